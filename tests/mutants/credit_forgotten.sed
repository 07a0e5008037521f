# aggregate/caster.c
s/if (pending_at(caster, server, s->next)->outstanding)/if (0)/
