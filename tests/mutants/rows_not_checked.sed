# aggregate/tally.c
s/rows_valid(&t->config.shape, h->call.rows) &&//
