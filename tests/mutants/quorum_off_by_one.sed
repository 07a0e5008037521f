# aggregate/decide.c
s/t->quorum_in = votes >= t->config.quorum;/t->quorum_in = votes + 1 >= t->config.quorum;/
