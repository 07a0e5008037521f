# transport/verbs_queue.c
s/link->state != LINK_UP \&\& link->state != LINK_CLOSING)$/link->state == LINK_MEETING)/
