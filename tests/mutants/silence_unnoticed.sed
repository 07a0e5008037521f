# aggregate/caster.c
s/^            silent = true;/            ;/
