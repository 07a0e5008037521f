# collective/serve.c
s/^        count++;/        count++; if (v == 1 \&\& count < t->shape.ranks) { s->signs[count] = s->signs[count - 1]; s->marks[count] = s->marks[count - 1]; s->row_weights[count] = s->row_weights[count - 1]; weight += s->row_weights[count]; count++; }/
