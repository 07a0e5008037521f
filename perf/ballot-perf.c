/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot-perf.c - measures the collectives, as nccl-tests does NCCL's.
 */
#include "perf_options.h"
#include "perf_run.h"
#include "tools/launch.h"

#include <signal.h>
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

int main(int count, char **arguments)
{
    struct perf_options options;
    int code;

    if (perf_options_parse(&options, count, arguments, &code) != 0)
        return code;
    if (options.ranks == 0) {
        start_clock(options.timeout_ms);
        return perf_run(&options);
    }
    return launch_run(&(struct launch){
        .program = "ballot-perf",
        .ranks = options.ranks,
        .timeout_ms = options.timeout_ms,
        .grace_ms = LAUNCH_GRACE_MS,
        .bound = options.bound,
        .body = run_rank,
        .context = &options,
    });
}
