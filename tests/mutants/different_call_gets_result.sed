# aggregate/tally.c
s/if (d->status == STATUS_OK && !call_equal(&d->call, &l->call)) {/if (0) {/
