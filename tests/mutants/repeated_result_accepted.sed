# aggregate/caster.c
s/!p->outstanding || p->reading || //
