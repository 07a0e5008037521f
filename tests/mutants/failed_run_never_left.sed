# aggregate/decide.c
s/^            l->call.round != t->run_round) {/            false) {/
