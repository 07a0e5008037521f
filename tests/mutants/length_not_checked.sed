# aggregate/tally.c
s/bytes == vote_bytes(.*abstain);/bytes >= LINE_BYTES;/
