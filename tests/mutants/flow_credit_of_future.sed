# collective/flow_stream.c
s/ || credited > s->sequence//
