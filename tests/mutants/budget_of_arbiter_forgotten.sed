# aspis/verifier_judge.c
s/\*asked >= VERIFIER_ARBITRATIONS_MAX/false/
