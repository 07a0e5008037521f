# aggregate/decide.c
s/^            t->start_ns = now_ns;/            t->start_ns = now_ns - t->config.timeout_ns \/ 2;/
