# aggregate/decide.c
s/whole_chunk(&t->config.shape, call)/call->detail/
