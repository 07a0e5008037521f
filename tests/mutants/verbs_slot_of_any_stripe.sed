# transport/verbs_queue.c
s/verbs_stripe_of(endpoint, slot) == stripe \&\&/stripe < endpoint->settings.stripes \&\&/
