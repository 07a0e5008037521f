/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - the fuzzer's inputs without the fuzzer: files that it found, or
 * random bytes.
 *
 *   fuzz_X FILE...              these
 *   fuzz_X --seeds N [FIRST]    random ones; which, if one aborts, is printed
 *                               (sanitizers abort with abort_on_error=1)
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

enum { INPUT_BYTES = 1 << 20 };

static uint8_t input[INPUT_BYTES];
static char failing[64]; /* what to call again */

static void say_failing(int number)
{
    ssize_t wrote = write(STDERR_FILENO, failing, strlen(failing));

    (void)wrote;
    signal(number, SIG_DFL);
}

static int replay_file(const char *name)
{
    FILE *file = fopen(name, "rb");
    size_t count;

    if (file == NULL) {
        perror(name);
        return 1;
    }
    count = fread(input, 1, sizeof(input), file);
    fclose(file);
    return LLVMFuzzerTestOneInput(input, count);
}

/* Few bytes: what they choose matters, and random bits go on behind them. */
static void replay_seed(unsigned long long seed)
{
    uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
    size_t count = 24;

    for (size_t i = 0; i < count; i++) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        input[i] = (uint8_t)(state * 0x2545f4914f6cdd1d >> 56);
    }
    LLVMFuzzerTestOneInput(input, count);
}

int main(int count, char **words)
{
    unsigned long long first = 0, seeds;
    int failed = 0;

    if (count < 3 || strcmp(words[1], "--seeds") != 0) {
        for (int i = 1; i < count; i++)
            failed |= replay_file(words[i]);
        return failed;
    }
    seeds = strtoull(words[2], NULL, 10);
    if (count > 3)
        first = strtoull(words[3], NULL, 10);
    signal(SIGABRT, say_failing);
    for (unsigned long long s = first; s < first + seeds; s++) {
        snprintf(failing, sizeof(failing), "again: --seeds 1 %llu\n", s);
        replay_seed(s);
    }
    printf("%llu seeds agree\n", seeds);
    return 0;
}
