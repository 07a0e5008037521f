/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot-perf.c - measures the collectives, as nccl-tests does NCCL's, and what
 * carries them, as perftest does verbs.
 */
#include "p2p.h"
#include "perf_options.h"
#include "perf_run.h"
#include "tools/launch.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static void end_late(int number)
{
    static const char text[] = "ballot-perf: not finished by --timeout\n";

    (void)number;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(1);
    _exit(LAUNCH_EXIT_TIMEOUT);
}

/* For a rank that another launcher started. */
static void start_clock(uint32_t timeout_ms)
{
    const struct itimerval clock = {
        .it_value = {.tv_sec = timeout_ms / 1000,
                     .tv_usec = timeout_ms % 1000 * 1000},
    };

    signal(SIGALRM, end_late);
    setitimer(ITIMER_REAL, &clock, NULL);
}

static int run_rank(void *context)
{
    return perf_run(context);
}

static int run_p2p_rank(void *context)
{
    return p2p_run(context);
}

/* Starts the ranks; without any, this process is one that a launcher started.
 */
static int start(const struct launch *launch)
{
    if (launch->ranks > 0)
        return launch_run(launch);
    start_clock(launch->timeout_ms);
    return launch->body(launch->context);
}

static int start_p2p(int count, char **arguments)
{
    struct p2p_options options;
    int code;

    if (p2p_options_parse(&options, count, arguments, &code) != 0)
        return code;
    return start(&(struct launch){
        .program = "ballot-perf",
        .ranks = options.ranks,
        .timeout_ms = options.timeout_ms,
        .grace_ms = LAUNCH_GRACE_MS,
        .bound = options.bound,
        .body = run_p2p_rank,
        .context = &options,
    });
}

int main(int count, char **arguments)
{
    struct perf_options options;
    int code;

    if (count > 1 && strcmp(arguments[1], "p2p") == 0)
        return start_p2p(count, arguments);
    if (perf_options_parse(&options, count, arguments, &code) != 0)
        return code;
    return start(&(struct launch){
        .program = "ballot-perf",
        .ranks = options.ranks,
        .timeout_ms = options.timeout_ms,
        .grace_ms = LAUNCH_GRACE_MS,
        .bound = options.bound,
        .body = run_rank,
        .context = &options,
    });
}
