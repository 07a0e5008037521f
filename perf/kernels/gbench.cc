/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gbench.cc - the C functions of gbench.h on Google Benchmark's classes.
 */
#include "gbench.h"

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <vector>

struct gbench_state {
    benchmark::State &real;
};

namespace
{

bool is_good_format(const char *value)
{
    return std::strcmp(value, "console") == 0 ||
           std::strcmp(value, "json") == 0 || std::strcmp(value, "csv") == 0;
}

/* Initialize() ends the process with code 0 when it does not like a value, so
 * the ones that have few good values are looked at before. */
const char *wrong_format(int count, char **arguments)
{
    static const char *const formats[] = {"--benchmark_format=",
                                          "--benchmark_out_format="};

    for (int i = 1; i < count; i++)
        for (const char *format : formats) {
            const std::size_t length = std::strlen(format);

            if (std::strncmp(arguments[i], format, length) == 0 &&
                !is_good_format(arguments[i] + length))
                return arguments[i];
        }
    return nullptr;
}

} // namespace

int gbench_register(const char *name, const int64_t *args, size_t args_count,
                    gbench_fn *body, void *context)
{
    try {
        benchmark::RegisterBenchmark(name, [body,
                                            context](benchmark::State &real) {
            gbench_state state{real};

            body(&state, context);
        })->Args(std::vector<int64_t>(args, args + args_count));
        return 0;
    } catch (const std::exception &) {
        return -ENOMEM;
    }
}

void gbench_context(const char *key, const char *value)
{
    benchmark::AddCustomContext(key, value);
}

int gbench_initialize(int *count, char **arguments, const char **wrong)
{
    *wrong = wrong_format(*count, arguments);
    if (*wrong != nullptr)
        return -EINVAL;
    benchmark::Initialize(count, arguments);
    return 0;
}

long gbench_run(void)
{
    const std::size_t run = benchmark::RunSpecifiedBenchmarks();

    benchmark::Shutdown();
    return run > 0 ? static_cast<long>(run) : -EINVAL;
}

bool gbench_keep_running(struct gbench_state *state)
{
    return state->real.KeepRunning();
}

int64_t gbench_argument(const struct gbench_state *state, size_t index)
{
    return state->real.range(index);
}

int64_t gbench_iterations(const struct gbench_state *state)
{
    return static_cast<int64_t>(state->real.iterations());
}

void gbench_set_bytes_processed(struct gbench_state *state, int64_t bytes)
{
    state->real.SetBytesProcessed(bytes);
}

void gbench_set_counter(struct gbench_state *state, const char *name,
                        double value)
{
    state->real.counters[name] = value;
}

void gbench_set_label(struct gbench_state *state, const char *label)
{
    state->real.SetLabel(label);
}

void gbench_skip(struct gbench_state *state, const char *why)
{
    state->real.SkipWithError(why);
}
