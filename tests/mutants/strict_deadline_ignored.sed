# aggregate/decide.c
s/} else if (has_passed(t, now_ns, t->start_ns, t->config.timeout_ns)) {/} else if (0) {/
