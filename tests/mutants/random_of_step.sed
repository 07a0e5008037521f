# collective/serve.c
/^static void count_tasks/,/^}/s/call->chunk \* t->shape.coordinates_max/call->chunk * call->detail/
