# aggregate/tally.c
s/h->sequence % t->config.window == slot/slot < t->config.window/
