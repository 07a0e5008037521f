# aggregate/tally.c
s/sequence >= tally->base + tally->config.window/sequence > tally->base + tally->config.window/
