# aspis/verifier_chunk.c
s/^static size_t words_of/static const uint64_t *const *live;\
\
&/
/^static uint32_t count_thoroughly/,/^}/s/see_tasks(v);/& live = from;/
/^static void value_majority/,/^}/s/= verifier_copy(v, task, i);$/= live[v->seats[(size_t)task * v->replicas + i].worker] + v->seats[(size_t)task * v->replicas + i].row * words;/
