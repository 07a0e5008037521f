/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gbench.h - as much of Google Benchmark as a C program needs.
 *
 * gbench.cc is the only file of the tree in C++; no exception leaves it.
 */
#ifndef BALLOT_PERF_KERNELS_GBENCH_H
#define BALLOT_PERF_KERNELS_GBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench_state; /* one run of one benchmark; lives as long as its call */

/* Called once for each number of iterations that Google Benchmark tries. */
typedef void gbench_fn(struct gbench_state *state, void *context);

/*
 * Registers `body` under `name` with the arguments args[args_count], which
 * Google Benchmark appends to the name. `context` is not looked at and must
 * live until gbench_run() returns. 0 or -ENOMEM.
 */
int gbench_register(const char *name, const int64_t *args, size_t args_count,
                    gbench_fn *body, void *context);

/* Context that stands above the results and in the JSON. */
void gbench_context(const char *key, const char *value);

/*
 * Takes Google Benchmark's options out of the command line; *count and
 * arguments[] then hold what is left. Returns 0; or -EINVAL when a value is
 * wrong, *wrong is then the argument.
 */
int gbench_initialize(int *count, char **arguments, const char **wrong);

/* Runs what --benchmark_filter selects. How many that were, or -EINVAL when it
 * selects nothing. */
long gbench_run(void);

/* True until the iterations are done; the clock runs between two calls. */
bool gbench_keep_running(struct gbench_state *state);
int64_t gbench_argument(const struct gbench_state *state, size_t index);
int64_t gbench_iterations(const struct gbench_state *state);
void gbench_set_bytes_processed(struct gbench_state *state, int64_t bytes);
void gbench_set_counter(struct gbench_state *state, const char *name,
                        double value);
void gbench_set_label(struct gbench_state *state, const char *label);

/* Ends this benchmark, which is then reported with `why`. */
void gbench_skip(struct gbench_state *state, const char *why);

#ifdef __cplusplus
}
#endif

#endif
