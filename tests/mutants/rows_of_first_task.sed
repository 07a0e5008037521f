# collective/packing.c
s/call->tasks\[row\]/call->tasks[0]/
