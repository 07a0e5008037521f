# aggregate/tally.c
s/return decision_at(t, l->sequence)->sequence != l->sequence ||/return 0 \&\&/
