# aggregate/caster.c
s/^    c->astray = s->next > sequence ? s->next - sequence : 0;/    c->astray = 0;/
