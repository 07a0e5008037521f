# aggregate/decide.c
s/has_passed(t, now_ns, t->grace_ns, t->config.grace_ns)/true/
