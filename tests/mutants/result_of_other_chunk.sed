# aggregate/tally.c
s/\.kept = (uint32_t)(l->sequence % t->config.kept),/.kept = (uint32_t)((l->sequence + 1) % t->config.kept),/
