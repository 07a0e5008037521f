# aspis/verifier_judge.c
s/^static void convict(/static const struct verifier_chunk *live;\
\
&/
s/const uint64_t \*rows\[\] = {verifier_copy(v, task, i),/const uint64_t *rows[] = {live->rows[seat[i].worker] == NULL ? verifier_copy(v, task, i) : live->rows[seat[i].worker] + seat[i].row * lines_for(coordinates) * LINE_WORDS,/
s/^    for (uint32_t task = 0; task < v->tasks; task++) {$/    live = chunk;\
&/
