# collective/ahead.c
s/^            c->spoilt = true;$/            c->spoilt = false;/
s/!mask_within(&c->counted, command->mask)/false/
