# collective/majority.c
s/state = v->call.state + put->first;/state = v->call.state;/
