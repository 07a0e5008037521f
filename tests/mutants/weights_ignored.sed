# collective/serve.c
s/\.weights = s->weights == NULL ? NULL : s->row_weights,/.weights = NULL,/
