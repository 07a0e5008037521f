# aggregate/tally.c
s/^    if (tally->counting)$/    if (0)/
