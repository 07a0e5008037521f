# aggregate/tally.c
s/^        return TALLY_LATE;/        return mask_set(\&decision_at(tally, sequence)->mask, voter), TALLY_LATE;/
