# aggregate/tally.c
s/\.slot = a->slot,/.slot = (a->slot + 1) % t->config.window,/
