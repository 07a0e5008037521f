# aggregate/caster.c
s/header->sequence != p->sequence || //
