# aspis/verifier_judge.c
s/ && record->distance == 0)/)/
