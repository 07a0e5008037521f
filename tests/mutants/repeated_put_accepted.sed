# aggregate/tally.c
s/return !l->used || sequence > l->sequence;/return true;/
