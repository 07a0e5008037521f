# collective/serve.c
s/(abstain || weight % 2 == 0)/true/
