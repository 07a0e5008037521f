/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.h - the papers' numbers, played again.
 *
 * Nothing here computes a closed form: each number is counted in rounds that
 * trial.h plays, or in an assignment as it is.
 */
#ifndef BALLOT_TOOLS_TABLES_H
#define BALLOT_TOOLS_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "trial.h"

enum { TABLE_WHAT_BYTES = 80 };

struct table_row {
    const char *table;
    char what[TABLE_WHAT_BYTES];
    double printed, measured;
    double slack; /* 0: they are equal, or they differ */
};

struct tables {
    struct table_row *rows;
    size_t count, room;
    const char *table; /* of the rows that are added */
    bool quick;        /* leaves out what takes more than a second */
    bool slow;         /* and takes what takes minutes too */
    bool shows;        /* says on stderr where it is */
    int error;         /* the first one; nothing is added after it */
};

/* Fills in the rows. 0, or a negative errno after a line on stderr. The caller
 * closes it in any case. */
int tables_play(struct tables *tables);
void tables_close(struct tables *tables);

/* How many rows have another number than the papers. */
size_t tables_differing(const struct tables *tables);

void tables_print(FILE *file, const struct tables *tables);
void tables_print_csv(FILE *file, const struct tables *tables);
void tables_print_json(FILE *file, const struct tables *tables);

/* ---- For the files that fill them in ------------------------------------- */

void tables_begin(struct tables *tables, const char *table);

struct table_number {
    double printed, measured, slack;
};

__attribute__((format(printf, 3, 4))) void tables_add(
    struct tables *tables, struct table_number number, const char *format, ...);

/* Remembers the error, after a line on stderr. */
void tables_fail(struct tables *tables, int error, const char *why);

/* One kind of round, and its liars. */
struct table_game {
    enum design design;
    uint32_t workers, replication;
    enum ballot_scheme scheme;
    enum trial_rule rule;
    uint32_t liars;
    const struct ballot_cast *cast; /* NULL: the first `liars` by the scheme */
};

/* What a single round of it comes to; zeroes after an error. */
struct trial_outcome tables_game(struct tables *tables,
                                 const struct table_game *game);

void tables_sizes(struct tables *tables);
void tables_aspis(struct tables *tables);
void tables_unsound(struct tables *tables);
void tables_baselines(struct tables *tables);
void tables_rounds(struct tables *tables);

#endif
