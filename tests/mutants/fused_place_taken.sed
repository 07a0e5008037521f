# collective/majority.c
s/if (v->live || (packing_fused/if ((packing_fused/
