# aggregate/tally.c
s/tally->live-- ==/tally->live ==/
