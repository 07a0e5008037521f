# transport/verbs_watch.c
s/queue == NULL || .*recv_cq == queue/link != NULL/
