# transport/verbs_link.c
s/        ibv_dereg_mr(link->staging_key);/        link->staging_key = NULL;/
