# aggregate/caster.c
s/if (result->next_sequence != 0 && /if (0 \&\& /
