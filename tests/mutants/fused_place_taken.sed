# collective/majority.c
s/if (v->live || (call->kind/if ((call->kind/
