/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launcher.c - who has started this process.
 *
 * A job whose processes do not find each other must not run as many jobs of
 * one: each would train alone and nobody would notice. So what is incomplete or
 * contradicts itself is an error, and one rank is believed only where no other
 * launcher speaks of more.
 */
#include "launcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm.h"
#include "launcher_root.h"

enum {
    NUMBER_MAX = 1000000,
    UNSET = -1,
    NO_NUMBER = -2,
    TRACES = 3,
};

/* A launcher's variables. */
struct convention {
    const char *name;
    const char *rank, *size, *local_size;
    const char *traces[TRACES]; /* others that show that it was there */
};

enum { TORCHRUN, OPEN_MPI, PMI, SLURM, CONVENTIONS };

static const struct convention conventions[CONVENTIONS] = {
    [TORCHRUN] = {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", {NULL}},
    [OPEN_MPI] = {"Open MPI",
                  "OMPI_COMM_WORLD_RANK",
                  "OMPI_COMM_WORLD_SIZE",
                  "OMPI_COMM_WORLD_LOCAL_SIZE",
                  {"OMPI_UNIVERSE_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                   "OMPI_COMM_WORLD_LOCAL_SIZE"}},
    [PMI] = {"a process manager with PMI",
             "PMI_RANK",
             "PMI_SIZE",
             "MPI_LOCALNRANKS",
             {"PMI_FD"}},
    [SLURM] = {"Slurm",
               "SLURM_PROCID",
               "SLURM_STEP_NUM_TASKS",
               NULL,
               {"SLURM_STEP_ID"}},
};

/* What one of them says. */
struct seen {
    int rank, size, local_size; /* or UNSET, NO_NUMBER */
    const char *set;            /* a variable that shows it; NULL: not here */
    const char *wrong;          /* one that is missing or no number, or NULL */
};

static bool is_set(const char *name)
{
    const char *text = getenv(name);

    return text != NULL && *text != '\0';
}

static int read_number(const char *name)
{
    const char *text = name == NULL ? NULL : getenv(name);
    char *end;
    long number;

    if (text == NULL || *text == '\0')
        return UNSET;
    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < 0 || number > NUMBER_MAX)
        return NO_NUMBER;
    return (int)number;
}

/* Within an allocation Slurm sets variables without having started us; only a
 * step of srun has ranks. Old versions have other names for two of them. */
static struct seen look_slurm(void)
{
    struct seen seen = {UNSET, UNSET, UNSET, NULL, NULL};
    bool step = is_set("SLURM_STEP_ID") || is_set("SLURM_STEPID");
    int tasks = read_number("SLURM_NTASKS");

    if (!step && tasks <= 1)
        return seen;
    seen.set = step ? "SLURM_STEP_ID" : "SLURM_NTASKS";
    seen.rank = read_number("SLURM_PROCID");
    seen.size = read_number("SLURM_STEP_NUM_TASKS");
    if (seen.size == UNSET)
        seen.size = tasks;
    if (!step)
        seen.wrong = "SLURM_STEP_ID";
    else if (seen.rank < 0)
        seen.wrong = "SLURM_PROCID";
    else if (seen.size < 0)
        seen.wrong = "SLURM_NTASKS";
    return seen;
}

static struct seen look(int which)
{
    const struct convention *c = &conventions[which];
    struct seen seen = {
        .rank = read_number(c->rank),
        .size = read_number(c->size),
        .local_size = read_number(c->local_size),
    };

    if (which == SLURM)
        return look_slurm();
    for (int t = TRACES - 1; t >= 0; t--)
        if (c->traces[t] != NULL && is_set(c->traces[t]))
            seen.set = c->traces[t];
    if (seen.size != UNSET)
        seen.set = c->size;
    if (seen.rank != UNSET)
        seen.set = c->rank;
    if (seen.size < 0)
        seen.wrong = c->size;
    if (seen.rank < 0)
        seen.wrong = c->rank;
    return seen;
}

/* ---- What is refused ---- */

static int refuse_incomplete(int which, const struct seen *seen, char *why)
{
    const char *name = conventions[which].name;
    const char *text = getenv(seen->wrong);

    if (which == SLURM && strcmp(seen->wrong, "SLURM_STEP_ID") == 0)
        snprintf(why, ERROR_BYTES,
                 "this is an allocation of Slurm for %s tasks, but srun has not"
                 " started this process: start it with srun, or for one process"
                 " alone set BALLOT_RANK=0, BALLOT_RANKS=1 and"
                 " BALLOT_ROOT=127.0.0.1:0",
                 getenv("SLURM_NTASKS"));
    else if (text != NULL && *text != '\0')
        snprintf(why, ERROR_BYTES,
                 "%s=%s: it must be a number from 0 to %d, as %s sets it",
                 seen->wrong, text, NUMBER_MAX, name);
    else
        snprintf(why, ERROR_BYTES,
                 "%s is set, but %s is not: if %s has started this process, let"
                 " it pass on all of its variables; else unset that one, or set"
                 " BALLOT_RANK, BALLOT_RANKS and BALLOT_ROOT=host:port",
                 seen->set, seen->wrong, name);
    return -EINVAL;
}

static int refuse_contradiction(int which, const struct seen *seen, char *why)
{
    const struct convention *c = &conventions[which];
    int tasks = read_number("SLURM_NTASKS");

    why[0] = '\0';
    if (seen->size == 0 || seen->rank >= seen->size)
        snprintf(why, ERROR_BYTES,
                 "rank %d of %d ranks (%s, %s): one of these is not %s's; do"
                 " not set them by hand, or set BALLOT_RANK, BALLOT_RANKS and"
                 " BALLOT_ROOT=host:port",
                 seen->rank, seen->size, c->rank, c->size, c->name);
    else if (seen->local_size > seen->size)
        snprintf(why, ERROR_BYTES,
                 "%s=%d, but %s=%d: there are more ranks on this host than in"
                 " all; let %s set them, and nobody else",
                 c->local_size, seen->local_size, c->size, seen->size, c->name);
    else if (which == SLURM && tasks > seen->size)
        snprintf(why, ERROR_BYTES,
                 "this step of Slurm has %d task%s, but SLURM_NTASKS=%d: a"
                 " shell in an allocation is a step of its own; start the"
                 " program with srun",
                 seen->size, seen->size == 1 ? "" : "s", tasks);
    return why[0] != '\0' ? -EINVAL : 0;
}

/*
 * Whether another launcher speaks of more ranks than the one that was chosen
 * for one. Launchers for MPI start their daemons by srun, so that under them
 * Slurm's step is theirs; torchrun is a task itself.
 */
static int refuse_alone(int chosen, const struct seen *all, char *why)
{
    for (int w = 0; w < CONVENTIONS; w++) {
        const struct seen *seen = &all[w];
        bool more = seen->size > 1 || seen->rank > 0;

        if (w == chosen || !more ||
            (w == SLURM && (chosen != TORCHRUN || seen->wrong != NULL)))
            continue;
        snprintf(
            why, ERROR_BYTES,
            "%s=1 is a job of one, but %s has started more (%s=%s, %s=%s):"
            " each process would work alone. Unset what does not hold, or"
            " set BALLOT_RANK, BALLOT_RANKS and BALLOT_ROOT=host:port",
            conventions[chosen].size, conventions[w].name, conventions[w].rank,
            is_set(conventions[w].rank) ? getenv(conventions[w].rank) : "",
            conventions[w].size,
            is_set(conventions[w].size) ? getenv(conventions[w].size) : "");
        return -EINVAL;
    }
    return 0;
}

/* ---- Who it is ---- */

static int read_own(struct launcher *l, char *why)
{
    static const char *const names[] = {"BALLOT_RANK", "BALLOT_RANKS"};
    int numbers[2];

    for (int i = 0; i < 2; i++) {
        numbers[i] = read_number(names[i]);
        if (numbers[i] == UNSET)
            snprintf(why, ERROR_BYTES,
                     "%s is set, but %s is not: set both, and"
                     " BALLOT_ROOT=host:port, or neither",
                     names[1 - i], names[i]);
        else if (numbers[i] == NO_NUMBER)
            snprintf(why, ERROR_BYTES, "%s=%s: it must be a number", names[i],
                     getenv(names[i]));
        if (numbers[i] < 0)
            return -EINVAL;
    }
    l->name = "who set BALLOT_RANK";
    l->rank = numbers[0];
    l->ranks = numbers[1];
    l->way = MEET_AT_ROOT;
    return 0;
}

static bool pmix_is_there(void)
{
    return is_set("PMIX_NAMESPACE") && is_set("PMIX_RANK");
}

/* Where they meet. */
static int choose_way(struct launcher *l, int which, char *why)
{
    const char *root = getenv("BALLOT_ROOT");
    int rc = 0;

    l->way = MEET_AT_ROOT;
    if (root != NULL && *root != '\0') {
        if (strlen(root) >= sizeof(l->root)) {
            snprintf(why, ERROR_BYTES, "BALLOT_ROOT is too long");
            return -EINVAL;
        }
        memcpy(l->root, root, strlen(root) + 1);
        return 0;
    }
    if (l->ranks == 1) {
        l->way = MEET_ALONE;
        return 0;
    }
    if (which == TORCHRUN)
        return launcher_root_torchrun(l, why);
    if (which == SLURM)
        rc = launcher_root_slurm(l, why);
    else if (l->one_host)
        launcher_root_local(l);
    if (pmix_is_there())
        l->way = MEET_BY_PMIX;
    else if (which == PMI && is_set("PMI_FD"))
        l->way = MEET_BY_PMI;
    else if (rc == 0 && l->root[0] == '\0') {
        snprintf(why, ERROR_BYTES,
                 "%s does not say where rank 0 is (no %s): set"
                 " BALLOT_ROOT=host:port, a port of rank 0's host, on all"
                 " ranks",
                 l->name,
                 which == PMI ? "PMI_FD" : "PMIX_NAMESPACE and PMIX_RANK");
        rc = -EINVAL;
    }
    /* PMIx needs no root, but has to do without where there is no library. */
    return l->way == MEET_BY_PMIX || l->way == MEET_BY_PMI ? 0 : rc;
}

/* Rank and way are known, the number of ranks is not. */
static int read_pmix(struct launcher *l, char *why)
{
    l->name = "a launcher with PMIx";
    l->rank = read_number("PMIX_RANK");
    l->ranks = 0;
    if (l->rank >= 0)
        return choose_way(l, CONVENTIONS, why);
    snprintf(why, ERROR_BYTES, "PMIX_RANK=%s: it must be a number",
             getenv("PMIX_RANK"));
    return -EINVAL;
}

static int read_none(const struct seen *all, char *why)
{
    for (int w = 0; w < CONVENTIONS; w++)
        if (all[w].set != NULL)
            return refuse_incomplete(w, &all[w], why);
    snprintf(why, ERROR_BYTES,
             "BALLOT_RANK is not set, and no launcher is visible: start the "
             "program with ballot-run, mpirun, srun or torchrun, as in "
             "`ballot-run -n RANKS program`, or set BALLOT_RANK, BALLOT_RANKS "
             "and BALLOT_ROOT=host:port");
    return -ENOENT;
}

int launcher_read(struct launcher *launcher, char *why)
{
    struct launcher l = {.name = NULL};
    struct seen all[CONVENTIONS];
    int which = CONVENTIONS, rc;

    if (is_set("BALLOT_RANK") || is_set("BALLOT_RANKS")) {
        rc = read_own(&l, why);
        if (rc == 0 && is_set("BALLOT_ROOT"))
            rc = choose_way(&l, CONVENTIONS, why);
        if (rc == 0)
            *launcher = l;
        return rc;
    }
    for (int w = CONVENTIONS - 1; w >= 0; w--) {
        all[w] = look(w);
        if (all[w].set != NULL && all[w].wrong == NULL)
            which = w;
    }
    if (which < CONVENTIONS) {
        l.name = conventions[which].name;
        l.rank = all[which].rank;
        l.ranks = all[which].size;
        l.one_host = all[which].local_size == all[which].size;
        rc = refuse_contradiction(which, &all[which], why);
        if (rc == 0 && l.ranks == 1)
            rc = refuse_alone(which, all, why);
        if (rc == 0)
            rc = choose_way(&l, which, why);
    } else {
        rc = pmix_is_there() ? read_pmix(&l, why) : read_none(all, why);
    }
    if (rc == 0)
        *launcher = l;
    return rc;
}

bool launcher_has_more(void)
{
    struct launcher launcher;
    char why[ERROR_BYTES];

    return launcher_read(&launcher, why) == 0 && launcher.ranks != 1;
}
