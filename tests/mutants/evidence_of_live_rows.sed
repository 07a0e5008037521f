# aspis/verifier_chunk.c
s/compare_rows(v, task, copies, count, chunk->coordinates, distances);/compare_rows(v, task, rows, count, chunk->coordinates, distances);/
