/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c - the papers' numbers, played again. */
#include "tables.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { COORDINATES = 64 }; /* of a task; a lie turns half of them or more */

void tables_fail(struct tables *tables, int error, const char *why)
{
    if (tables->error != 0)
        return;
    fprintf(stderr, "ballot-aspis: %s\n", why);
    tables->error = error;
}

void tables_begin(struct tables *tables, const char *table)
{
    tables->table = table;
    if (tables->shows)
        fprintf(stderr, "ballot-aspis: %s\n", table);
}

static bool make_room(struct tables *tables)
{
    const size_t room = tables->room == 0 ? 64 : 2 * tables->room;
    struct table_row *rows;

    if (tables->count < tables->room)
        return true;
    rows = realloc(tables->rows, room * sizeof(*rows));
    if (rows == NULL) {
        tables_fail(tables, -ENOMEM, "no memory for the tables");
        return false;
    }
    tables->rows = rows;
    tables->room = room;
    return true;
}

void tables_add(struct tables *tables, struct table_number number,
                const char *format, ...)
{
    struct table_row *row;
    va_list arguments;

    if (tables->error != 0 || !make_room(tables))
        return;
    row = &tables->rows[tables->count++];
    *row = (struct table_row){.table = tables->table,
                              .printed = number.printed,
                              .measured = number.measured,
                              .slack = number.slack};
    va_start(arguments, format);
    vsnprintf(row->what, sizeof(row->what), format, arguments);
    va_end(arguments);
}

struct trial_outcome tables_game(struct tables *tables,
                                 const struct table_game *game)
{
    const struct trial_config config = {
        .assignment = {.design = game->design,
                       .workers = game->workers,
                       .replication = game->replication},
        .attack = game->scheme == BALLOT_SCHEME_INDEPENDENT
                      ? BALLOT_ATTACK_RANDOM
                      : BALLOT_ATTACK_REVERSED,
        .rule = game->rule,
        .promise = game->liars,
        .coordinates = COORDINATES,
        .seed = 1,
    };
    struct trial_outcome outcome = {.tasks = 1};
    char why[ASSIGNMENT_WHY_BYTES];
    struct ballot_cast cast;
    struct trial *trial;
    int error;

    if (tables->error != 0)
        return outcome;
    if (game->cast != NULL)
        cast = *game->cast;
    else
        ballot_cast_draw(&cast, game->scheme, game->workers, game->liars, 0);
    error = trial_open(&trial, &config, why);
    if (error < 0) {
        tables_fail(tables, error, why);
        return outcome;
    }
    trial_play(trial, &cast, 0, &outcome);
    trial_close(trial);
    return outcome;
}

int tables_play(struct tables *tables)
{
    tables_sizes(tables);
    tables_aspis(tables);
    tables_unsound(tables);
    tables_baselines(tables);
    tables_rounds(tables);
    return tables->error;
}

void tables_close(struct tables *tables)
{
    free(tables->rows);
    tables->rows = NULL;
}

/* ---- Output -------------------------------------------------------------- */

static bool differs(const struct table_row *row)
{
    return !(fabs(row->printed - row->measured) <= row->slack + 1e-9);
}

size_t tables_differing(const struct tables *tables)
{
    size_t count = 0;

    for (size_t i = 0; i < tables->count; i++)
        count += differs(&tables->rows[i]);
    return count;
}

/* Counts as such, shares with the papers' four places. */
static const char *shown(char text[24], double number)
{
    const bool whole = number == floor(number);

    snprintf(text, 24, whole ? "%.0f" : "%.4f", number);
    return text;
}

void tables_print(FILE *file, const struct tables *tables)
{
    const size_t wrong = tables_differing(tables);
    const char *table = NULL;

    for (size_t i = 0; i < tables->count; i++) {
        const struct table_row *row = &tables->rows[i];
        char printed[24], measured[24], slack[24] = "";

        if (row->table != table)
            fprintf(file, "%s%s\n%-56s %9s %9s\n", i == 0 ? "" : "\n",
                    row->table, "", "printed", "measured");
        table = row->table;
        if (row->slack > 0.001)
            snprintf(slack, sizeof(slack), " (+-%g)", row->slack);
        fprintf(file, "  %-54s %9s %9s  %s%s\n", row->what,
                shown(printed, row->printed), shown(measured, row->measured),
                differs(row) ? "DIFFERS" : "equal", slack);
    }
    fprintf(file, "\n%zu numbers: %zu equal, %zu differ\n", tables->count,
            tables->count - wrong, wrong);
}

void tables_print_csv(FILE *file, const struct tables *tables)
{
    fputs("table,what,printed,measured,slack,equal\n", file);
    for (size_t i = 0; i < tables->count; i++) {
        const struct table_row *row = &tables->rows[i];

        fprintf(file, "\"%s\",\"%s\",%.10g,%.10g,%g,%d\n", row->table,
                row->what, row->printed, row->measured, row->slack,
                !differs(row));
    }
}

/* No text of a table has a quote in it. */
void tables_print_json(FILE *file, const struct tables *tables)
{
    const size_t wrong = tables_differing(tables);

    fprintf(file, "{\n  \"numbers\": %zu,\n  \"differing\": %zu,\n",
            tables->count, wrong);
    fputs("  \"rows\": [", file);
    for (size_t i = 0; i < tables->count; i++) {
        const struct table_row *row = &tables->rows[i];

        fprintf(file,
                "%s\n    {\"table\": \"%s\", \"what\": \"%s\", \"printed\": "
                "%.10g, \"measured\": %.10g, \"slack\": %g, \"equal\": %s}",
                i == 0 ? "" : ",", row->table, row->what, row->printed,
                row->measured, row->slack, differs(row) ? "false" : "true");
    }
    fputs("\n  ]\n}\n", file);
}
