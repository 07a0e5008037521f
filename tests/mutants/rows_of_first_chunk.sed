# collective/packing.c
/^static void pack_tasks/,/^}/s/put->first/0/
