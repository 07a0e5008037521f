# collective/flow_carry.c
s/return (m->flags \& MOVE_LAST) == 0 || flow->puts_left == 0/return true/
