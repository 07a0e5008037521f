# collective/evidence.c
s/wire->b < ranks && //
