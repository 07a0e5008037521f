/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.c - starts the ranks, and runs the cases.
 *
 * Usage: nccl_program processes|threads RANKS [CASE...]
 *        nccl_program deaths RANKS [CASE...]
 *        nccl_program own_ids RANKS
 *        nccl_program show KEY...
 *        nccl_program alone|majority
 */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*run)(struct rank *r);
} cases[] = {
    {"moves", case_moves},
    {"folds", case_folds},
    {"made_ops", case_made_ops},
    {"groups", case_groups},
    {"large_groups", case_large_groups},
    {"many_comms", case_many_comms},
    {"refused", case_refused},
    {"non_blocking", case_non_blocking},
    {"behind_fails", case_behind_fails},
    {"mismatch", case_mismatch},
    {"abort", case_abort},
    {"revoke", case_revoke},
    {"revoke_behind", case_revoke_behind},
    {"grow", case_grow},
    {"split", case_split},
    {"shrink", case_shrink},
};

static char **chosen; /* NULL at the end; all where it begins so */

void check(bool holds, const char *what, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "FAIL %s:%d: %s (last error: %s)\n", file, line, what,
            ncclGetLastError(NULL));
    _exit(1);
}

void want(ncclResult_t result, ncclResult_t got, const char *call,
          const char *file, int line)
{
    if (got == result)
        return;
    fprintf(stderr, "FAIL %s:%d: %s\n  is %d (%s) and not %d; last error: %s\n",
            file, line, call, (int)got, ncclGetErrorString(got), (int)result,
            ncclGetLastError(NULL));
    _exit(1);
}

ncclUniqueId next_id(struct rank *r)
{
    const uint32_t index = r->ids++ % IDS_MAX;
    const uint32_t turn = (r->ids - 1) / IDS_MAX + 1;

    if (r->rank == 0) {
        OK(ncclGetUniqueId(&r->board->ids[index]));
        r->board->made[index] = turn;
    }
    while (r->board->made[index] != turn)
        usleep(200);
    return r->board->ids[index];
}

ncclComm_t join(struct rank *r, ncclConfig_t *config)
{
    ncclUniqueId id = next_id(r);
    ncclComm_t comm = NULL;
    ncclResult_t result =
        ncclCommInitRankConfig(&comm, r->ranks, id, r->rank, config);

    if (result == ncclInProgress)
        result = settle(comm);
    WANT(ncclSuccess, result);
    return comm;
}

ncclResult_t settle(ncclComm_t comm)
{
    ncclResult_t state = ncclInProgress;

    for (int i = 0; i < 60000 && state == ncclInProgress; i++) {
        OK(ncclCommGetAsyncError(comm, &state));
        if (state == ncclInProgress)
            usleep(500);
    }
    return state;
}

void meet(struct rank *r)
{
    const uint32_t all = (uint32_t)r->ranks;
    const uint32_t mine = ++r->board->arrived;
    const uint32_t until = (mine + all - 1) / all * all;

    while (r->board->arrived < until)
        usleep(200);
}

static bool is_chosen(const char *name)
{
    for (char **c = chosen; *c != NULL; c++)
        if (strcmp(*c, name) == 0)
            return true;
    return *chosen == NULL;
}

static void run_rank(struct rank *r)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!is_chosen(cases[i].name))
            continue;
        r->comm = join(r, NULL);
        cases[i].run(r);
        if (r->comm != NULL)
            OK(ncclCommDestroy(r->comm));
        meet(r);
        if (r->rank == 0)
            printf("PASS %s of %d %s\n", cases[i].name, r->ranks,
                   r->process ? "processes" : "threads");
    }
    fflush(stdout);
}

static void *run_thread(void *context)
{
    run_rank(context);
    return NULL;
}

static int run_threads(struct rank *ranks, int count)
{
    pthread_t threads[RANKS_MAX];

    for (int r = 0; r < count; r++)
        CHECK(pthread_create(&threads[r], NULL, run_thread, &ranks[r]) == 0);
    for (int r = 0; r < count; r++)
        pthread_join(threads[r], NULL);
    return 0;
}

static int run_processes(struct rank *ranks, int count,
                         void (*run)(struct rank *r))
{
    bool failed = false;
    int status;

    for (int r = 0; r < count; r++) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            ranks[r].process = true;
            run(&ranks[r]);
            exit(0);
        }
    }
    while (!failed && wait(&status) > 0)
        failed = status != 0;
    if (failed)
        kill(0, SIGTERM); /* others wait for it; we are our own group */
    return failed;
}

/* ---- Ranks that are killed ---- */

/* Whether the victim was killed, and all others have ended well. */
static bool run_death(const struct death *death, struct rank *ranks, int count,
                      int victim)
{
    pid_t children[RANKS_MAX];
    bool good = true;

    memset(ranks[0].board, 0, sizeof(*ranks[0].board));
    for (int r = 0; r < count; r++) {
        children[r] = fork();
        CHECK(children[r] >= 0);
        if (children[r] == 0) {
            death->run(&ranks[r], victim);
            exit(0);
        }
    }
    for (int left = count; left > 0; left--) {
        int status, r = 0;
        pid_t child = wait(&status);

        while (r < count && children[r] != child)
            r++;
        CHECK(child > 0 && r < count);
        children[r] = 0;
        if (r == victim ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                        : status == 0)
            continue;
        good = false;
        for (int o = 0; o < count; o++)
            if (children[o] > 0)
                kill(children[o], SIGKILL);
    }
    printf("%s death %s of rank %d of %d (shrink %.1f ms)\n",
           good ? "PASS" : "FAIL", death->name, victim, count,
           (double)ranks[0].board->shrink_us / 1000);
    fflush(stdout);
    return good;
}

/* The first rank, where all meet and who leads them, and the last. */
static int run_deaths(struct rank *ranks, int count)
{
    bool good = true;

    for (int d = 0; d < deaths_count; d++) {
        if (!is_chosen(deaths[d].name))
            continue;
        good &= run_death(&deaths[d], ranks, count, 0);
        good &= run_death(&deaths[d], ranks, count, count - 1);
    }
    return good ? 0 : 1;
}

static int run_alone(const char *which)
{
    if (strcmp(which, "majority") == 0) {
        alone_majority();
        printf("PASS majority\n");
        return 0;
    }
    alone_words();
    printf("PASS words\n");
    alone_parameters();
    printf("PASS parameters\n");
    alone_memory();
    printf("PASS memory\n");
    alone_init_all();
    printf("PASS init_all\n");
    alone_abort_init();
    printf("PASS abort_init\n");
    return 0;
}

int main(int argc, char **argv)
{
    struct rank ranks[RANKS_MAX] = {0};
    struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int count = argc >= 3 ? atoi(argv[2]) : 0;

    if (argc >= 3 && strcmp(argv[1], "show") == 0)
        return environment_show(argv + 2);
    if (argc == 2 && board != MAP_FAILED)
        return run_alone(argv[1]);
    if (argc < 3 || count < 2 || count > RANKS_MAX || board == MAP_FAILED) {
        fprintf(stderr,
                "usage: nccl_program processes|threads|deaths 2..%d [CASE...]"
                " | own_ids RANKS | show KEY... | alone | majority\n",
                RANKS_MAX);
        return 2;
    }
    chosen = argv + 3;
    for (int r = 0; r < count; r++)
        ranks[r] = (struct rank){.board = board, .ranks = count, .rank = r};
    setpgid(0, 0);
    if (argv[1][0] == 'd')
        return run_deaths(ranks, count);
    if (argv[1][0] == 'o')
        return run_processes(ranks, count, own_ids);
    return argv[1][0] == 'p' ? run_processes(ranks, count, run_rank)
                             : run_threads(ranks, count);
}
