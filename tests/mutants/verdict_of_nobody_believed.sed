# collective/evidence.c
s/within(&wire->quarantined, ranks) && //
