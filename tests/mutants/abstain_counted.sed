# aggregate/decide.c
s/ || l->abstain)/)/;s/ && !l->abstain &&/ \&\&/
