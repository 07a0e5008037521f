# collective/flow_stream.c
s/ || !move_may_go(flow, m, at + fragment)//
