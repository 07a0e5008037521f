# collective/flow_carry.c
s/(m->flags & MOVE_COPIED) == 0 &&//
