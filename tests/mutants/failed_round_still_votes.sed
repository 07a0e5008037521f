# aggregate/caster.c
s/bool abstain = r->call.abstain || r->over;/bool abstain = r->call.abstain;/
