# aspis/verifier.c
s/workers_remove(&v->convicted, worker);/;/
