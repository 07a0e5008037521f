# collective/majority.c
s/bool wanted = caster_wants(m->caster, result) && v->live;/bool wanted = v->live;/
