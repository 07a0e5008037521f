# transport/verbs_queue.c
s/\.spent == RECEIVE_BATCH \&\&/.spent == UINT32_MAX \&\&/
