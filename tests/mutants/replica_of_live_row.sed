# aspis/verifier_chunk.c
s/^static size_t words_of/static const uint64_t *const *live;\
\
&/
/^static uint32_t count_thoroughly/,/^}/s/see_tasks(v);/& live = from;/
s/return verifier_copy(v, task, choice.replica);/return live[v->seats[(size_t)task * v->replicas + choice.replica].worker] + v->seats[(size_t)task * v->replicas + choice.replica].row * words;/
