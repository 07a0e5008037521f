# transport/verbs_offer.c
s/stream_load32(bytes + AT_SLOTS) != endpoint->config.slots/false/
