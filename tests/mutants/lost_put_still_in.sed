# aggregate/tally.c
s/^        o->in--;$/        ;/
