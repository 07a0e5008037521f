/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables_aspis.c - how many tasks liars distort where every three workers share
 * one: the tables of Aspis, and what its rule does not foresee.
 */
#include "tables.h"

enum { LIARS_MIN = 2 };

/* Half of the last of four places. */
static const double rounding = 0.00005;

/* ---- The tables of the papers -------------------------------------------- */

/* From 2 liars on. */
struct printed_table {
    const char *name;
    uint32_t workers, liars_max;
    double fixed_share[10], independent_share[10];
};

static const double printed_fixed[] = {2,   10,  28,  60,  110,
                                       182, 280, 408, 570, 770};
static const double printed_independent[] = {0,  1,  4,  10,  20,
                                             35, 56, 84, 120, 165};

static const struct printed_table printed_tables[] = {
    {"Aspis, each 3 of 15 workers share a task",
     15,
     7,
     {.0044, .0220, .0615, .1319, .2418, .4000},
     {0, .0022, .0088, .0220, .0440, .0769}},
    {"Aspis, each 3 of 21 workers share a task",
     21,
     10,
     {.0015, .0075, .0211, .0451, .0827, .1368, .2105, .3068, .4286},
     {0, .0008, .0030, .0075, .0150, .0263, .0421, .0632, .0902}},
    {"Aspis, each 3 of 24 workers share a task",
     24,
     11,
     {.0010, .0049, .0138, .0296, .0543, .0899, .1383, .2016, .2816, .3804},
     {0, .0005, .0020, .0049, .0099, .0173, .0277, .0415, .0593, .0815}},
};

static struct trial_outcome play(struct tables *tables, uint32_t workers,
                                 uint32_t liars, enum ballot_scheme scheme,
                                 enum trial_rule rule)
{
    return tables_game(tables, &(struct table_game){
                                   .design = DESIGN_SUBSETS,
                                   .workers = workers,
                                   .replication = 3,
                                   .scheme = scheme,
                                   .rule = rule,
                                   .liars = liars,
                               });
}

static double share(uint32_t count, const struct trial_outcome *outcome)
{
    return (double)count / outcome->tasks;
}

static void both_attacks(struct tables *tables, const struct printed_table *p,
                         uint32_t q, enum trial_rule rule)
{
    const uint32_t at = q - LIARS_MIN;
    const char *name = trial_rule_name(rule);
    struct trial_outcome o =
        play(tables, p->workers, q, BALLOT_SCHEME_FIXED, rule);

    tables_add(tables, (struct table_number){printed_fixed[at], o.corrupted, 0},
               "q=%u fixed disagreement, %s: corrupted", q, name);
    tables_add(tables,
               (struct table_number){p->fixed_share[at], share(o.corrupted, &o),
                                     rounding},
               "q=%u fixed disagreement, %s: share of tasks", q, name);
    o = play(tables, p->workers, q, BALLOT_SCHEME_INDEPENDENT, rule);
    tables_add(tables,
               (struct table_number){printed_independent[at],
                                     o.corrupted + o.dropped, 0},
               "q=%u independent, %s: corrupted or dropped", q, name);
    tables_add(tables,
               (struct table_number){p->independent_share[at],
                                     share(o.corrupted + o.dropped, &o),
                                     rounding},
               "q=%u independent, %s: share of tasks", q, name);
    tables_add(tables, (struct table_number){q, o.caught, 0},
               "q=%u independent, %s: liars found", q, name);
}

/* What the plain vote of each task would lose. */
static void liar_majorities(struct tables *tables)
{
    static const double printed[] = {13, 37, 70, 110, 155, 203};

    for (uint32_t q = LIARS_MIN; q <= 7; q++) {
        const struct trial_outcome o =
            play(tables, 15, q, BALLOT_SCHEME_MAJORITY, TRIAL_VOTE);

        tables_add(
            tables,
            (struct table_number){printed[q - LIARS_MIN], o.corrupted, 0},
            "q=%u liars in the majority, vote: corrupted", q);
    }
}

void tables_aspis(struct tables *tables)
{
    const size_t count = sizeof(printed_tables) / sizeof(printed_tables[0]);

    for (size_t i = 0; i < (tables->quick ? 1 : count); i++) {
        const struct printed_table *p = &printed_tables[i];

        tables_begin(tables, p->name);
        for (uint32_t q = LIARS_MIN; q <= p->liars_max; q++) {
            both_attacks(tables, p, q, TRIAL_PAPER);
            both_attacks(tables, p, q, TRIAL_PROOF);
        }
        if (i == 0)
            liar_majorities(tables);
    }
}

/* ---- What the printed rule does not foresee ------------------------------ */

struct series {
    enum ballot_scheme scheme;
    uint32_t workers, first, last; /* liars */
    double corrupted[6], dropped[6];
};

static void play_series(struct tables *tables, const struct series *s,
                        enum trial_rule rule, bool counts_dropped)
{
    for (uint32_t q = s->first; q <= s->last; q++) {
        const struct trial_outcome o =
            play(tables, s->workers, q, s->scheme, rule);

        tables_add(
            tables,
            (struct table_number){s->corrupted[q - s->first], o.corrupted, 0},
            "K=%u q=%u %s, %s: corrupted", s->workers, q,
            ballot_scheme_name(s->scheme), trial_rule_name(rule));
        if (counts_dropped)
            tables_add(
                tables,
                (struct table_number){s->dropped[q - s->first], o.dropped, 0},
                "K=%u q=%u %s, %s: dropped", s->workers, q,
                ballot_scheme_name(s->scheme), trial_rule_name(rule));
    }
}

static const struct series by_paper[] = {
    {BALLOT_SCHEME_TAKE_OVER, 15, 2, 7, {1, 10, 34, 80, 155, 266}, {0}},
    {BALLOT_SCHEME_SCAPEGOAT, 15, 3, 6, {15, 40, 74, 115}, {0}},
    {BALLOT_SCHEME_SILENT_GROUP, 15, 3, 7, {1, 4, 10, 20, 35}, {0}},
    {BALLOT_SCHEME_TAKE_OVER, 21, 8, 8, {420}, {0}},
    {BALLOT_SCHEME_TAKE_OVER, 21, 10, 10, {885}, {0}},
    {BALLOT_SCHEME_SCAPEGOAT, 21, 4, 4, {58}, {0}},
    {BALLOT_SCHEME_SCAPEGOAT, 21, 6, 6, {175}, {0}},
    {BALLOT_SCHEME_SCAPEGOAT, 21, 8, 8, {336}, {0}},
};

static const struct series by_proof[] = {
    {BALLOT_SCHEME_INDEPENDENT, 15, 2, 7, {0}, {0, 1, 4, 10, 20, 35}},
    {BALLOT_SCHEME_FIXED, 15, 2, 7, {2, 10, 28, 60, 110, 182}, {0}},
    {BALLOT_SCHEME_TAKE_OVER, 15, 2, 7, {1, 7, 22, 50, 95, 161}, {0}},
    {BALLOT_SCHEME_FRAMING, 15, 2, 7, {1, 4, 10, 20, 35, 56}, {0}},
    {BALLOT_SCHEME_SCAPEGOAT, 15, 2, 7, {0}, {1, 4, 10, 20, 35, 56}},
    {BALLOT_SCHEME_SILENT_GROUP, 15, 2, 7, {0, 1, 4, 10, 20, 35}, {0}},
};

/* Whom the rules accuse, where liars dispute with one victim alone. */
static void frame(struct tables *tables, uint32_t workers, uint32_t q)
{
    struct trial_outcome o =
        play(tables, workers, q, BALLOT_SCHEME_FRAMING, TRIAL_PAPER);

    tables_add(tables, (struct table_number){1, o.wronged, 0},
               "K=%u q=%u framing, paper: honest expelled", workers, q);
    tables_add(tables, (struct table_number){0, o.caught, 0},
               "K=%u q=%u framing, paper: liars found", workers, q);
    o = play(tables, workers, q, BALLOT_SCHEME_FRAMING, TRIAL_PROOF);
    tables_add(tables, (struct table_number){0, o.wronged + o.caught, 0},
               "K=%u q=%u framing, proof: proven Byzantine", workers, q);
    tables_add(tables,
               (struct table_number){0, workers_count(&o.verdict.honest), 0},
               "K=%u q=%u framing, proof: proven honest", workers, q);
}

/* Whom the paper's rule expels for the liars, and proof does not. */
static void blame(struct tables *tables)
{
    for (uint32_t q = LIARS_MIN; q <= 7; q++) {
        struct trial_outcome o =
            play(tables, 15, q, BALLOT_SCHEME_TAKE_OVER, TRIAL_PAPER);

        tables_add(tables, (struct table_number){q - 1, o.wronged, 0},
                   "K=15 q=%u take-over, paper: honest expelled", q);
        o = play(tables, 15, q, BALLOT_SCHEME_TAKE_OVER, TRIAL_PROOF);
        tables_add(tables, (struct table_number){0, o.wronged, 0},
                   "K=15 q=%u take-over, proof: honest expelled", q);
        o = play(tables, 15, q, BALLOT_SCHEME_SCAPEGOAT, TRIAL_PROOF);
        tables_add(tables, (struct table_number){q - 1, o.caught, 0},
                   "K=15 q=%u scapegoat, proof: liars found", q);
    }
}

/* Figure 2b: workers 1 to 3 lie to 4 to 6. */
static void figure(struct tables *tables)
{
    struct trial_outcome o =
        play(tables, 7, 3, BALLOT_SCHEME_FIXED, TRIAL_PAPER);

    tables_add(
        tables,
        (struct table_number){1, o.verdict.outcome == VERDICT_AMBIGUOUS, 0},
        "K=7 q=3 fixed, paper: ambiguous");
    o = play(tables, 7, 3, BALLOT_SCHEME_FIXED, TRIAL_PROOF);
    tables_add(tables,
               (struct table_number){1, workers_count(&o.verdict.honest), 0},
               "K=7 q=3 fixed, proof: proven honest");
    tables_add(tables, (struct table_number){10, o.corrupted, 0},
               "K=7 q=3 fixed, proof: corrupted");
}

void tables_unsound(struct tables *tables)
{
    tables_begin(tables, "Where liars turn the printed rule");
    for (size_t i = 0; i < sizeof(by_paper) / sizeof(by_paper[0]); i++)
        if (!tables->quick || by_paper[i].workers == 15)
            play_series(tables, &by_paper[i], TRIAL_PAPER, false);
    for (uint32_t workers = 7; workers <= 15; workers += 8)
        for (uint32_t q = LIARS_MIN; 2 * q < workers; q++)
            frame(tables, workers, q);
    blame(tables);
    figure(tables);
    tables_begin(tables, "What the rule of proof loses");
    for (size_t i = 0; i < sizeof(by_proof) / sizeof(by_proof[0]); i++)
        play_series(tables, &by_proof[i], TRIAL_PROOF, true);
}
