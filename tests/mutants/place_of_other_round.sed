# aggregate/caster.c
s/r->used && r->number == s->round && //
