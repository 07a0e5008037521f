# collective/majority.c
s/v->end.every.words\[w\] &= mask.words\[w\];/v->end.every.words[w] |= mask.words[w];/
