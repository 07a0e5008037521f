# collective/serve.c
s/(weight + 2 - minus) \/ 2/(weight + 4 - minus) \/ 2/
