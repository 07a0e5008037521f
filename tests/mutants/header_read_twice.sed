# collective/serve.c
s/const struct call \*call = &command->header.call;/const struct call *call = \&((const struct header *)(const void *)s->slots[(size_t)(63 - __builtin_clzll(command->mask->words[0] | 1)) * s->config.tally.window + command->slot])->call;/
