# aggregate/tally.c
s/ && h->epoch == t->config.epoch//
