/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - one rank of the whole-process tests: worker SCENARIO key=value...
 */
#include "worker.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static char **options;

const char *option_text(const char *key, const char *otherwise)
{
    size_t bytes = strlen(key);

    for (char **o = options; *o != NULL; o++)
        if (strncmp(*o, key, bytes) == 0 && (*o)[bytes] == '=')
            return *o + bytes + 1;
    return otherwise;
}

uint64_t option(const char *key, uint64_t otherwise)
{
    const char *text = option_text(key, NULL);

    return text == NULL ? otherwise : strtoull(text, NULL, 0);
}

struct ballot_comm *join(const struct ballot_config *config)
{
    struct ballot_comm *comm = NULL;

    need(ballot_comm_init_env(&comm, config), NULL, "init");
    return comm;
}

/* As in a container that refuses io_uring. */
static void refuse_uring(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {
        .len = sizeof(filter) / sizeof(filter[0]),
        .filter = filter,
    };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        need(-errno, NULL, "seccomp");
}

static const struct {
    const char *name;
    int (*run)(void);
} scenarios[] = {
    {"stream", stream},     {"train", train},
    {"disagree", disagree}, {"arguments", arguments},
    {"abort", abort_call},  {"init", init_only},
    {"cycles", cycles},     {"threads", threads},
    {"idle", idle},         {"async", async},
    {"requests", requests}, {"several", several},
    {"id", by_id},          {"values", values},
    {"sums", sums},         {"collectives", collectives},
    {"crowded", crowded},   {"beside", beside},
    {"unsent", unsent},     {"programs", programs},
    {"signum", signum},     {"feedback", feedback},
    {"dissent", dissent},   {"serve", serve},
    {"aspis", aspis},       {"designs", designs},
    {"truths", truths},     {"memory", memory},
    {"launched", launched}, {"allgather", allgather},
    {"part", part},         {"side", side},
    {"mistake", mistake},   {"remake", remake},
    {"cancel", cancel},     {"survive", survive},
    {"inherit", inherit},   {"stopped", stopped},
    {"crossed", crossed},
};

int main(int count, char **words)
{
    if (count < 2)
        return 2;
    options = words + 2;
    if (option("refuse_uring", 0) != 0)
        refuse_uring();
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        if (strcmp(scenarios[i].name, words[1]) == 0)
            return scenarios[i].run();
    fprintf(stderr, "worker: there is no scenario %s\n", words[1]);
    return 2;
}
