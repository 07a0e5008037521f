# collective/ahead.c
s/\.first = c->counted_count == 0,/.first = false,/
