# aggregate/tally.c
s/if (age >= t->config.window || v->seen >> age & 1)/if (0)/
