# aggregate/tally.c
s/^        o->mixed = true;$/        ;/
