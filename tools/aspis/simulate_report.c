/* SPDX-License-Identifier: Apache-2.0 */
/* simulate_report.c - what became of a simulated job. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "simulate.h"

const char *simulate_design_name(enum design design)
{
    switch (design) {
    case DESIGN_SUBSETS: return "subsets";
    case DESIGN_STEINER: return "sts";
    case DESIGN_PLANE: return "plane";
    case DESIGN_REPETITION: return "repetition";
    case DESIGN_MOLS: return "mols";
    }
    return NULL;
}

static const char *outcome_name(enum verdict_outcome outcome)
{
    switch (outcome) {
    case VERDICT_REACHED: return "reached";
    case VERDICT_AMBIGUOUS: return "ambiguous";
    case VERDICT_BROKEN: return "promise-broken";
    case VERDICT_UNDECIDED: return "undecided";
    }
    return NULL;
}

static uint32_t liars_of(const struct simulation *s)
{
    uint32_t count = 0;

    for (uint32_t w = 0; w < s->cast.workers; w++)
        count += ballot_cast_lies(&s->cast, (int)w);
    return count;
}

/* The first round after which all liars are accused; 0: none. */
static uint32_t found_in(const struct simulation *s)
{
    for (uint32_t r = 0; r < s->rounds; r++)
        if (s->outcomes[r].caught == liars_of(s))
            return r + 1;
    return 0;
}

struct totals {
    uint64_t corrupted, dropped, wronged, trusted_liars;
};

static struct totals totals_of(const struct simulation *s)
{
    struct totals totals = {0};

    for (uint32_t r = 0; r < s->rounds; r++) {
        totals.corrupted += s->outcomes[r].corrupted;
        totals.dropped += s->outcomes[r].dropped;
        totals.wronged += s->outcomes[r].wronged;
        totals.trusted_liars += s->outcomes[r].trusted_liars;
    }
    return totals;
}

static const char *cast_name(const struct simulation *s)
{
    return ballot_scheme_name(s->cast.scheme);
}

void simulate_print(FILE *file, const struct simulation *s)
{
    const struct totals totals = totals_of(s);
    const uint32_t found = found_in(s);

    fprintf(file,
            "%s of %u workers, %u replicas, %u tasks; %u liars, %s, %s; rule "
            "%s for at most %u\n\n",
            simulate_design_name(s->config.assignment.design), s->cast.workers,
            s->config.assignment.replication, s->outcomes[0].tasks, liars_of(s),
            cast_name(s), ballot_attack_name(s->config.attack),
            trial_rule_name(s->config.rule), s->config.promise);
    fprintf(file, "%6s %9s %10s %8s %7s %8s %8s %12s  %s\n", "round",
            "disputed", "corrupted", "dropped", "caught", "wronged", "trusted",
            "wrong signs", "verdict");
    for (uint32_t r = 0; r < s->rounds; r++) {
        const struct trial_outcome *o = &s->outcomes[r];

        fprintf(file, "%6u %9u %10u %8u %7u %8u %8u %12u  %s\n", r + 1,
                o->disputed, o->corrupted, o->dropped, o->caught, o->wronged,
                o->trusted_liars, o->wrong_signs,
                outcome_name(o->verdict.outcome));
    }
    if (found > 0)
        fprintf(file, "\nall liars are accused after round %u; ", found);
    else
        fputs("\nno round accuses all liars; ", file);
    fprintf(file,
            "%llu tasks corrupted and %llu dropped, honest workers accused "
            "%llu times, liars trusted %llu times\n",
            (unsigned long long)totals.corrupted,
            (unsigned long long)totals.dropped,
            (unsigned long long)totals.wronged,
            (unsigned long long)totals.trusted_liars);
}

void simulate_print_csv(FILE *file, const struct simulation *s)
{
    fputs("round,tasks,disputed,corrupted,dropped,caught,wronged,trusted_liars,"
          "proven_honest,wrong_signs,verdict\n",
          file);
    for (uint32_t r = 0; r < s->rounds; r++) {
        const struct trial_outcome *o = &s->outcomes[r];

        fprintf(file, "%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%s\n", r + 1, o->tasks,
                o->disputed, o->corrupted, o->dropped, o->caught, o->wronged,
                o->trusted_liars, workers_count(&o->verdict.honest),
                o->wrong_signs, outcome_name(o->verdict.outcome));
    }
}

static void print_set(FILE *file, const char *name,
                      const struct worker_set *set)
{
    const char *separator = "";

    fprintf(file, "\"%s\": [", name);
    for (uint32_t w = workers_next(set, 0); w < WORKERS_MAX;
         w = workers_next(set, w + 1)) {
        fprintf(file, "%s%u", separator, w);
        separator = ", ";
    }
    fputs("]", file);
}

static void print_json_round(FILE *file, uint32_t round,
                             const struct trial_outcome *o)
{
    fprintf(file,
            "    {\"round\": %u, \"verdict\": \"%s\", \"disputed\": %u, "
            "\"corrupted\": %u, \"dropped\": %u,\n     \"wronged\": %u, "
            "\"trusted_liars\": %u, \"wrong_signs\": %u,\n     ",
            round, outcome_name(o->verdict.outcome), o->disputed, o->corrupted,
            o->dropped, o->wronged, o->trusted_liars, o->wrong_signs);
    print_set(file, "byzantine", &o->verdict.byzantine);
    fputs(", ", file);
    print_set(file, "honest", &o->verdict.honest);
    fputs("}", file);
}

void simulate_print_json(FILE *file, const struct simulation *s)
{
    const uint32_t found = found_in(s);
    struct worker_set liars = {{0}};

    for (uint32_t w = 0; w < s->cast.workers; w++)
        if (ballot_cast_lies(&s->cast, (int)w))
            workers_add(&liars, w);
    fprintf(file,
            "{\n  \"design\": \"%s\", \"workers\": %u, \"replicas\": %u, "
            "\"tasks\": %u,\n  \"scheme\": \"%s\", \"attack\": \"%s\", "
            "\"rule\": \"%s\", \"promise\": %u,\n  ",
            simulate_design_name(s->config.assignment.design), s->cast.workers,
            s->config.assignment.replication, s->outcomes[0].tasks,
            cast_name(s), ballot_attack_name(s->config.attack),
            trial_rule_name(s->config.rule), s->config.promise);
    print_set(file, "liars", &liars);
    if (found > 0)
        fprintf(file, ",\n  \"all_accused_after\": %u", found);
    else
        fputs(",\n  \"all_accused_after\": null", file);
    fputs(",\n  \"rounds\": [\n", file);
    for (uint32_t r = 0; r < s->rounds; r++) {
        print_json_round(file, r + 1, &s->outcomes[r]);
        fputs(r + 1 < s->rounds ? ",\n" : "\n", file);
    }
    fputs("  ]\n}\n", file);
}

/* ---- The picture --------------------------------------------------------- */

struct curve {
    const char *title, *style;
    size_t at; /* in struct trial_outcome, a uint32_t */
};

static const struct curve task_curves[] = {
    {"disputed", "linespoints lc rgb '#888888' pt 6",
     offsetof(struct trial_outcome, disputed)},
    {"dropped", "linespoints lw 2 lc rgb '#e69f00' pt 5",
     offsetof(struct trial_outcome, dropped)},
    {"corrupted", "linespoints lw 2 lc rgb '#d55e00' pt 7",
     offsetof(struct trial_outcome, corrupted)},
};

static const struct curve worker_curves[] = {
    {"liars accused", "linespoints lw 2 lc rgb '#009e73' pt 7",
     offsetof(struct trial_outcome, caught)},
    {"honest accused", "linespoints lw 2 lc rgb '#d55e00' pt 5",
     offsetof(struct trial_outcome, wronged)},
};

static void draw(FILE *gnuplot, const struct simulation *s,
                 const struct curve *curves, size_t count)
{
    for (size_t c = 0; c < count; c++)
        fprintf(gnuplot, "%s'-' with %s title '%s'", c == 0 ? "plot " : ", ",
                curves[c].style, curves[c].title);
    fputc('\n', gnuplot);
    for (size_t c = 0; c < count; c++) {
        for (uint32_t r = 0; r < s->rounds; r++)
            fprintf(gnuplot, "%u %u\n", r + 1,
                    *(const uint32_t *)((const char *)&s->outcomes[r] +
                                        curves[c].at));
        fputs("e\n", gnuplot);
    }
}

static void draw_all(FILE *gnuplot, const struct simulation *s)
{
    fputs("set terminal pngcairo size 1200,480 noenhanced\nset output '",
          gnuplot);
    for (const char *at = s->plot; *at != '\0'; at++)
        fprintf(gnuplot, *at == '\'' ? "''" : "%c", *at);
    fprintf(gnuplot,
            "'\nset grid\nset xlabel 'round'\nset key below\n"
            "set multiplot layout 1,2\nset xrange [0.5:%u.5]\n"
            "set title 'tasks, of %u: %u liars of %u, %s, rule %s'\n"
            "set yrange [0:*]\n",
            s->rounds, s->outcomes[0].tasks, liars_of(s), s->cast.workers,
            cast_name(s), trial_rule_name(s->config.rule));
    draw(gnuplot, s, task_curves, sizeof(task_curves) / sizeof(task_curves[0]));
    fprintf(gnuplot, "set title 'workers'\nset yrange [0:%u]\n",
            liars_of(s) + 1);
    draw(gnuplot, s, worker_curves,
         sizeof(worker_curves) / sizeof(worker_curves[0]));
    fputs("unset multiplot\n", gnuplot);
}

int simulate_plot(const struct simulation *s)
{
    void (*before)(int);
    FILE *gnuplot;
    int status;

    fflush(NULL);
    gnuplot = popen("gnuplot", "w");
    if (gnuplot == NULL)
        return -errno;
    /* When gnuplot ends early, its status says so. */
    before = signal(SIGPIPE, SIG_IGN);
    draw_all(gnuplot, s);
    status = pclose(gnuplot);
    signal(SIGPIPE, before);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}
