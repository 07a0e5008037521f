# aspis/verifier_chunk.c
/^static void dispute/,/^}/{
s/^    uint32_t count = 0;$/&\
\
    compare_rows(v, task, rows, (uint32_t)__builtin_popcount(v->states[task].present), chunk->coordinates, distances);/
s/compare_rows(v, task, copies, count, chunk->coordinates, distances);//
}
