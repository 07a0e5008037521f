# aggregate/decide.c
s/bool expired = .*;/bool expired = false;/
