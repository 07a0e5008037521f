# collective/inquest.c
s/if (!q->stepped || q->step != call->detail) {/if (!q->stepped) {/
