# aggregate/decide.c
s/return t->ticking && now_ns/return now_ns/
