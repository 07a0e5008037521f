# collective/inquest.c
s/q->before += q->vote_count;/q->before = q->vote_count * 0;/
