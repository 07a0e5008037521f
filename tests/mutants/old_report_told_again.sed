# collective/inquest.c
s/if (!q->written || q->report != call->round)/if (!q->written)/
