# aspis/verifier_chunk.c
s/^static size_t words_of/static const uint64_t *const *live;\
\
&/
/^static uint32_t count_thoroughly/,/^}/s/see_tasks(v);/& live = from;/
/if (!state->disputed)/{n;s/return .*/return state->present == 0 ? verifier_value(v, task) : live[v->seats[(size_t)task * v->replicas + __builtin_ctz(state->present)].worker] + v->seats[(size_t)task * v->replicas + __builtin_ctz(state->present)].row * words;/;}
