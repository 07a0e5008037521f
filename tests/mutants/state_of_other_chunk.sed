# collective/packing.c
s/call->state + put->first/call->state/
