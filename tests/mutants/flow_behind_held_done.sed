# collective/flow_carry.c
s/holds = apart[.]stays || m->held > 0/holds = apart.stays/
