# transport/verbs_queue.c
s/bytes % 64 == 0/true/
