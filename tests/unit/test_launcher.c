/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_launcher.c - what is read from launchers' variables, and what is refused
 * because it is incomplete or contradicts itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collective/comm.h"
#include "collective/launcher.h"

extern char **environ;

/* Only these variables are set: "NAME=value NAME=value". */
static void set_all(const char *words)
{
    char *copy = strdup(words), *rest = copy;

    assert_non_null(copy);
    clearenv();
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        char *equals = strchr(word, '=');

        if (*word == '\0')
            continue;
        assert_non_null(equals);
        *equals = '\0';
        assert_int_equal(setenv(word, equals + 1, 1), 0);
    }
    free(copy);
}

#define OMPI       "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4 "
#define OMPI_LOCAL "OMPI_COMM_WORLD_LOCAL_SIZE=4 OMPI_UNIVERSE_SIZE=8 "
#define PMIX       "PMIX_RANK=2 PMIX_NAMESPACE=7@1 "
#define HYDRA      "PMI_RANK=1 PMI_SIZE=3 PMI_FD=9 "
#define STEP                                                                   \
    "SLURM_JOB_ID=77 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2 "           \
    "SLURM_STEP_NUM_TASKS=2 "
#define TORCH "RANK=5 WORLD_SIZE=6 MASTER_ADDR=m.example MASTER_PORT=29500 "

static const struct {
    const char *variables;
    int rank, ranks;
    enum meeting_way way;
    const char *root; /* what it begins with */
} understood[] = {
    {"BALLOT_RANK=1 BALLOT_RANKS=2 BALLOT_ROOT=h:5", 1, 2, MEET_AT_ROOT, "h:5"},
    {"BALLOT_RANK=1 BALLOT_RANKS=2", 1, 2, MEET_AT_ROOT, ""},
    /* What was set for ballot comes before any launcher. */
    {"BALLOT_RANK=0 BALLOT_RANKS=1 BALLOT_ROOT=h:5 " TORCH OMPI STEP, 0, 1,
     MEET_AT_ROOT, "h:5"},
    {TORCH, 5, 6, MEET_AT_ROOT, "m.example:"},
    {TORCH OMPI PMIX STEP, 5, 6, MEET_AT_ROOT, "m.example:"},
    {TORCH "BALLOT_ROOT=h:5", 5, 6, MEET_AT_ROOT, "h:5"},
    {"RANK=0 WORLD_SIZE=2 MASTER_ADDR=fd00::7 MASTER_PORT=1", 0, 2,
     MEET_AT_ROOT, "[fd00::7]:"},
    {"RANK=0 WORLD_SIZE=1", 0, 1, MEET_ALONE, ""},
    {OMPI OMPI_LOCAL PMIX, 2, 4, MEET_BY_PMIX, "127.0.0.1:"},
    {OMPI "OMPI_COMM_WORLD_LOCAL_SIZE=2 " PMIX, 2, 4, MEET_BY_PMIX, ""},
    {OMPI PMIX STEP, 2, 4, MEET_BY_PMIX, ""},
    {OMPI PMIX "BALLOT_ROOT=h:5", 2, 4, MEET_AT_ROOT, "h:5"},
    /* One host, and a name of the job. */
    {OMPI OMPI_LOCAL "OMPI_MCA_ess_base_jobid=12", 2, 4, MEET_AT_ROOT,
     "127.0.0.1:"},
    {"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1 OMPI_UNIVERSE_SIZE=8 "
     "OMPI_COMM_WORLD_LOCAL_SIZE=1 " PMIX,
     0, 1, MEET_ALONE, ""},
    /* A daemon that srun has started: one process is what mpirun was asked. */
    {"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1 " STEP, 0, 1, MEET_ALONE,
     ""},
    {HYDRA, 1, 3, MEET_BY_PMI, ""},
    {HYDRA STEP, 1, 3, MEET_BY_PMI, ""},
    {"PMI_RANK=0 PMI_SIZE=1", 0, 1, MEET_ALONE, ""},
    {STEP "SLURM_STEP_NUM_NODES=1 SLURM_STEP_NODELIST=n1", 1, 2, MEET_AT_ROOT,
     "127.0.0.1:"},
    {STEP "SLURM_STEP_NUM_NODES=2 SLURM_STEP_NODELIST=n[07-08],m1", 1, 2,
     MEET_AT_ROOT, "n07:"},
    {STEP "SLURM_NNODES=2 SLURM_NODELIST=n[07-08],m1", 1, 2, MEET_AT_ROOT,
     "n07:"},
    {STEP PMIX "SLURM_STEP_NUM_NODES=2 SLURM_STEP_NODELIST=a,b", 1, 2,
     MEET_BY_PMIX, "a:"},
    {STEP PMIX "SLURM_STEP_NUM_NODES=2 SLURM_STEP_NODELIST=a[", 1, 2,
     MEET_BY_PMIX, ""},
    /* `srun -n 1` in an allocation for more. */
    {"SLURM_STEPID=3 SLURM_PROCID=0 SLURM_NTASKS=1", 0, 1, MEET_ALONE, ""},
    /* A launcher that only PMIx knows; it also knows how many. */
    {PMIX, 2, 0, MEET_BY_PMIX, ""},
    {PMIX "SLURM_NTASKS=4", 2, 0, MEET_BY_PMIX, ""},
    /* Half of a launcher that people name variables after is no launcher. */
    {"RANK=general " OMPI PMIX, 2, 4, MEET_BY_PMIX, ""},
    {"WORLD_SIZE=big " HYDRA, 1, 3, MEET_BY_PMI, ""},
};

static void what_launchers_say_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(understood) / sizeof(understood[0]); i++) {
        struct launcher l;
        char why[ERROR_BYTES] = "";

        set_all(understood[i].variables);
        if (launcher_read(&l, why) != 0)
            fail_msg("%s: %s", understood[i].variables, why);
        if (l.rank != understood[i].rank || l.ranks != understood[i].ranks ||
            l.way != understood[i].way ||
            strncmp(l.root, understood[i].root, strlen(understood[i].root)) !=
                0 ||
            (understood[i].root[0] == '\0' && l.root[0] != '\0'))
            fail_msg("%s: %d of %d, way %d, root '%s'", understood[i].variables,
                     l.rank, l.ranks, (int)l.way, l.root);
        assert_int_equal(launcher_has_more(), understood[i].ranks != 1);
    }
}

static const struct {
    const char *variables;
    int error;
    const char *says;
} refused[] = {
    {"", -ENOENT, "no launcher is visible"},
    {"BALLOT_ROOT=h:5 BALLOT_KEY_FILE=k", -ENOENT, "no launcher is visible"},
    {"SLURM_NTASKS=1 SLURM_JOB_ID=5 SLURM_PROCID=0", -ENOENT, "no launcher"},
    {"MASTER_ADDR=m MASTER_PORT=1", -ENOENT, "no launcher"},
    {"BALLOT_RANK=0", -EINVAL, "BALLOT_RANK is set, but BALLOT_RANKS is not"},
    {"BALLOT_RANKS=2", -EINVAL, "BALLOT_RANKS is set, but BALLOT_RANK is not"},
    {"BALLOT_RANK=0 " OMPI, -EINVAL, "BALLOT_RANKS is not"},
    {"BALLOT_RANK=-1 BALLOT_RANKS=2", -EINVAL, "BALLOT_RANK=-1"},
    {"BALLOT_RANK=0 BALLOT_RANKS=2x", -EINVAL, "BALLOT_RANKS=2x"},
    /* A part of a launcher's variables. */
    {"RANK=0", -EINVAL, "RANK is set, but WORLD_SIZE is not"},
    {"WORLD_SIZE=2", -EINVAL, "WORLD_SIZE is set, but RANK is not"},
    {"RANK=0 WORLD_SIZE=2x", -EINVAL, "WORLD_SIZE=2x"},
    {"RANK=0 WORLD_SIZE=2", -EINVAL, "MASTER_ADDR="},
    {"RANK=0 WORLD_SIZE=2 MASTER_ADDR=m", -EINVAL, "MASTER_PORT="},
    {"RANK=0 WORLD_SIZE=2 MASTER_ADDR=m MASTER_PORT=0", -EINVAL,
     "MASTER_PORT=0"},
    {"OMPI_UNIVERSE_SIZE=4", -EINVAL, "OMPI_COMM_WORLD_RANK is not"},
    {"OMPI_COMM_WORLD_RANK=0", -EINVAL, "OMPI_COMM_WORLD_SIZE is not"},
    {"OMPI_COMM_WORLD_SIZE=1", -EINVAL, "OMPI_COMM_WORLD_RANK is not"},
    {"OMPI_COMM_WORLD_RANK=0 OMPI_UNIVERSE_SIZE=4", -EINVAL,
     "OMPI_COMM_WORLD_SIZE is not"},
    {"PMI_RANK=0", -EINVAL, "PMI_SIZE is not"},
    {"PMI_FD=5", -EINVAL, "PMI_FD is set, but PMI_RANK is not"},
    {"SLURM_NTASKS=4", -EINVAL, "srun has not started this process"},
    {"SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_JOB_ID=5", -EINVAL,
     "srun has not started this process"},
    {"SLURM_STEP_ID=1 SLURM_NTASKS=4", -EINVAL, "SLURM_PROCID is not"},
    {"SLURM_STEP_ID=1 SLURM_PROCID=0", -EINVAL, "SLURM_NTASKS is not"},
    {"PMIX_RANK=x PMIX_NAMESPACE=n", -EINVAL, "PMIX_RANK=x"},
    /* Nowhere to meet. */
    {"PMI_RANK=0 PMI_SIZE=2", -EINVAL, "set BALLOT_ROOT=host:port"},
    {OMPI "OMPI_COMM_WORLD_LOCAL_SIZE=2", -EINVAL, "set BALLOT_ROOT=host:port"},
    {OMPI OMPI_LOCAL, -EINVAL, "set BALLOT_ROOT=host:port"},
    {STEP "SLURM_STEP_NUM_NODES=2 SLURM_STEP_NODELIST=n[1-", -EINVAL,
     "no list of hosts"},
    {STEP "SLURM_STEP_NUM_NODES=2", -EINVAL, "no list of hosts"},
    /* Contradictions. */
    {"RANK=2 WORLD_SIZE=2 MASTER_ADDR=m MASTER_PORT=1", -EINVAL,
     "rank 2 of 2 ranks"},
    {"PMI_RANK=0 PMI_SIZE=0 PMI_FD=3", -EINVAL, "rank 0 of 0 ranks"},
    {"RANK=0 WORLD_SIZE=1 LOCAL_WORLD_SIZE=4", -EINVAL,
     "LOCAL_WORLD_SIZE=4, but WORLD_SIZE=1"},
    {"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1 "
     "OMPI_COMM_WORLD_LOCAL_SIZE=2",
     -EINVAL, "more ranks on this host than in all"},
    {"SLURM_STEP_ID=4294967290 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1 "
     "SLURM_NTASKS=4",
     -EINVAL, "this step of Slurm has 1 task, but SLURM_NTASKS=4"},
    /* One rank, while others were started. */
    {"RANK=0 WORLD_SIZE=1 " OMPI, -EINVAL, "a job of one, but Open MPI"},
    {"RANK=0 WORLD_SIZE=1 " HYDRA, -EINVAL, "has started more (PMI_RANK=1"},
    {"RANK=0 WORLD_SIZE=1 " STEP, -EINVAL, "a job of one, but Slurm"},
    {"PMI_RANK=0 PMI_SIZE=1 RANK=3", -EINVAL, "a job of one, but torchrun"},
    {"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1 " HYDRA, -EINVAL,
     "a job of one, but a process manager"},
};

static void what_is_wrong_is_refused_with_its_cause(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct launcher l;
        char why[ERROR_BYTES] = "";
        int rc;

        set_all(refused[i].variables);
        memset(&l, 0xa5, sizeof(l));
        rc = launcher_read(&l, why);
        if (rc != refused[i].error || strstr(why, refused[i].says) == NULL)
            fail_msg("%s: %d, '%s'", refused[i].variables, rc, why);
        assert_int_equal(l.rank, (int)0xa5a5a5a5); /* untouched */
        assert_false(launcher_has_more());
    }
}

static void a_value_of_any_length_is_taken_or_refused(void **state)
{
    static const char *const names[] = {
        "BALLOT_ROOT",         "MASTER_ADDR", "MASTER_PORT",         "RANK",
        "SLURM_STEP_NODELIST", "PMIX_RANK",   "OMPI_COMM_WORLD_SIZE"};
    char value[2001];

    (void)state;
    memset(value, '7', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
        for (int other = 0; other < 3; other++) {
            struct launcher l;
            char why[ERROR_BYTES] = "";

            set_all(other == 0   ? TORCH
                    : other == 1 ? STEP "SLURM_STEP_NUM_NODES=2"
                                 : PMIX);
            setenv(names[n], value, 1);
            if (launcher_read(&l, why) == 0)
                assert_in_range(strlen(l.root), 0, sizeof(l.root) - 1);
            else
                assert_in_range(strlen(why), 1, sizeof(why) - 1);
        }
}

/* All ranks of a job draw one port, and jobs draw different ones. */
static void ports_tell_jobs_apart(void **state)
{
    static const char *const jobs[] = {
        TORCH,
        TORCH "TORCHELASTIC_RUN_ID=b",
        "RANK=5 WORLD_SIZE=6 MASTER_ADDR=m.example MASTER_PORT=29501",
        /* One agent counts the restarts of all ranks, several do not. */
        TORCH "LOCAL_WORLD_SIZE=6 TORCHELASTIC_RESTART_COUNT=0",
        TORCH "LOCAL_WORLD_SIZE=6 TORCHELASTIC_RESTART_COUNT=1",
        STEP "SLURM_STEP_NUM_NODES=1",
        "SLURM_JOB_ID=77 SLURM_STEP_ID=1 SLURM_PROCID=1 SLURM_NTASKS=2 "
        "SLURM_STEP_NUM_NODES=1",
        "SLURM_JOB_ID=78 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2 "
        "SLURM_STEP_NUM_NODES=1",
        "SLURM_JOBID=79 SLURM_STEPID=0 SLURM_PROCID=1 SLURM_NTASKS=2 "
        "SLURM_STEP_NUM_NODES=1",
        OMPI OMPI_LOCAL "OMPI_MCA_ess_base_jobid=12",
        OMPI OMPI_LOCAL "OMPI_MCA_ess_base_jobid=13",
    };
    enum { JOBS = sizeof(jobs) / sizeof(jobs[0]) };
    unsigned long ports[JOBS];
    struct launcher l;
    char why[ERROR_BYTES];

    (void)state;
    for (int j = 0; j < JOBS; j++) {
        set_all(jobs[j]);
        assert_int_equal(launcher_read(&l, why), 0);
        ports[j] = strtoul(strrchr(l.root, ':') + 1, NULL, 10);
        assert_in_range(ports[j], 10000, 29999);
        for (int i = 0; i < j; i++)
            assert_int_not_equal(ports[i], ports[j]);
    }
    set_all("RANK=0 WORLD_SIZE=6 MASTER_ADDR=m.example MASTER_PORT=29500 "
            "TORCHELASTIC_RESTART_COUNT=3");
    assert_int_equal(launcher_read(&l, why), 0);
    assert_int_equal(strtoul(strrchr(l.root, ':') + 1, NULL, 10), ports[0]);
}

static void a_port_is_never_the_store_s(void **state)
{
    (void)state;
    clearenv();
    setenv("RANK", "0", 1);
    setenv("WORLD_SIZE", "2", 1);
    setenv("MASTER_ADDR", "h", 1);
    for (int port = 10000; port < 30000; port++) {
        struct launcher l;
        char text[16], why[ERROR_BYTES];

        snprintf(text, sizeof(text), "%d", port);
        setenv("MASTER_PORT", text, 1);
        assert_int_equal(launcher_read(&l, why), 0);
        assert_string_not_equal(l.root + 2, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_launchers_say_is_understood),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_cause),
        cmocka_unit_test(a_value_of_any_length_is_taken_or_refused),
        cmocka_unit_test(ports_tell_jobs_apart),
        cmocka_unit_test(a_port_is_never_the_store_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
