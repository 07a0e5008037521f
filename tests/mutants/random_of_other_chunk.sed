# collective/serve.c
s/(uint64_t)call->chunk \* call->detail/(uint64_t)0/
