# collective/inquest.c
s/^    end_round(q);$/    ;/
