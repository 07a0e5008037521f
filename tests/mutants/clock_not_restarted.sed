# aggregate/decide.c
s/^    t->run_clock = false;$/    ;/
