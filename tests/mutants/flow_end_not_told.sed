# collective/flow_carry.c
s/header[.]flags = FLAG_TELL/header.flags = 0/
