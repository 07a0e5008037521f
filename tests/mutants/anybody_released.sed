# collective/inquest.c
s/verifier_release(inquest->verifier, call->detail);/verifier_release(inquest->verifier, 2);/
