# aspis/verifier_chunk.c
/^static bool count_quickly/,/^}/s/= verifier_value(v, task);/= count == 0 ? verifier_value(v, task) : rows[0];/
