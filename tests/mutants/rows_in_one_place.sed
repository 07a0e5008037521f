# collective/packing.c
s/signs + row \* words, NULL,/signs, NULL,/
