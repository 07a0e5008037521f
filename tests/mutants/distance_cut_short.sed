# collective/evidence.c
s/\.distance = scratch\[i\]\.distance,/.distance = (uint8_t)scratch[i].distance,/
