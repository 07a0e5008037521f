# collective/serve.c
s/bool minus = rules->ties == TIES_MINUS;/bool minus = rules->ties == TIES_PLUS;/
