/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c - the requirements: a row for each case.
 */
#include "rows.h"

#include "sets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench_list *const required[] = {
    &bench_votes, &bench_compares, &bench_verifies, &bench_floats,
    &bench_folds};

enum { LISTS = sizeof(required) / sizeof(required[0]) };

/* Ids in a list are separated by commas. */
static bool is_listed(const char *only, const char *id)
{
    const size_t length = strlen(id);

    for (const char *at = only; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, id, length) == 0 &&
            (at[length] == '\0' || at[length] == ','))
            return true;
    }
    return only == NULL;
}

static uint32_t rows_of(const struct bench_family *family)
{
    uint32_t count = 0;

    while (count < FAMILY_VOTERS_MAX && family->voters[count] != 0)
        count++;
    return count > 0 ? count : 1;
}

static int append(struct bench_rows *rows, const struct bench_family *family)
{
    const uint32_t added = rows_of(family);
    struct bench_row *grown =
        realloc(rows->rows, (rows->count + added) * sizeof(*grown));

    if (grown == NULL)
        return -ENOMEM;
    rows->rows = grown;
    for (uint32_t i = 0; i < added; i++) {
        grown[rows->count] = family->row;
        grown[rows->count++].what.voters = family->voters[i];
    }
    return 0;
}

static int append_list(struct bench_rows *rows, const struct bench_list *list,
                       const char *only)
{
    int error = 0;

    for (size_t f = 0; f < list->count && error == 0; f++)
        if (is_listed(only, list->families[f].row.id))
            error = append(rows, &list->families[f]);
    return error;
}

static bool has_id(const char *id, size_t length)
{
    for (size_t l = 0; l < LISTS; l++)
        for (size_t f = 0; f < required[l]->count; f++) {
            const char *known = required[l]->families[f].row.id;

            if (strlen(known) == length && strncmp(known, id, length) == 0)
                return true;
        }
    return false;
}

/* NULL, or the first id that no row has. */
static const char *unknown_id(const char *only)
{
    while (only != NULL) {
        const size_t length = strcspn(only, ",");

        if (!has_id(only, length))
            return only;
        only = only[length] == ',' ? only + length + 1 : NULL;
    }
    return NULL;
}

int bench_rows_open(struct bench_rows *rows, const char *only, bool extra,
                    const char **wrong)
{
    int error = 0;

    *rows = (struct bench_rows){0};
    *wrong = unknown_id(only);
    if (*wrong != NULL)
        return -EINVAL;
    for (size_t l = 0; l < LISTS && error == 0; l++)
        error = append_list(rows, required[l], only);
    if (error == 0 && extra)
        error = append_list(rows, &bench_extras, NULL);
    if (error != 0)
        free(rows->rows);
    return error;
}

const char *bench_layout_name(enum bench_layout layout)
{
    static const char *const names[] = {"skewed", "aligned", "pieces"};

    return names[layout];
}

const char *bench_type_name(enum sign_type type)
{
    static const char *const names[TYPES] = {"float32", "float16", "bfloat16",
                                             "float64", "signs"};

    return names[type];
}

void bench_row_case(char text[BENCH_CASE_TEXT], const struct bench_row *row)
{
    const char *place = bench_place_name(row->what.place);

    if (row->what.kind != BENCH_ROWS)
        snprintf(text, BENCH_CASE_TEXT, "%s %s",
                 bench_type_name(row->what.type), place);
    else if (row->what.place != BENCH_DRAM)
        snprintf(text, BENCH_CASE_TEXT, "N=%u %s", row->what.voters, place);
    else
        snprintf(text, BENCH_CASE_TEXT, "N=%u %s %s", row->what.voters, place,
                 bench_layout_name(row->what.layout));
}
