/* SPDX-License-Identifier: Apache-2.0 */
/* simulate.h - ballot-aspis simulate: a job of redundant tasks with liars. */
#ifndef BALLOT_TOOLS_SIMULATE_H
#define BALLOT_TOOLS_SIMULATE_H

#include <stdio.h>

#include "trial.h"

struct simulation {
    struct trial_config config;
    struct ballot_cast cast;
    uint32_t rounds;
    struct trial_outcome *outcomes; /* [rounds] */
    const char *csv, *plot;         /* files, NULL: none */
    bool is_json;
};

/* arguments[0] is the program's name. Returns the exit status. */
int simulate_start(int count, char **arguments);

/* ---- simulate_report.c --------------------------------------------------- */

void simulate_print(FILE *file, const struct simulation *simulation);
void simulate_print_json(FILE *file, const struct simulation *simulation);
void simulate_print_csv(FILE *file, const struct simulation *simulation);

/* Tasks and workers against the rounds, by gnuplot; a negative errno. */
int simulate_plot(const struct simulation *simulation);

const char *simulate_design_name(enum design design);

#endif
