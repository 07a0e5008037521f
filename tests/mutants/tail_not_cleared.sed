# collective/serve.c
s/^    clear_tail(vote.result, call->coordinates);/    ;/
