/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byzantine.c - one rank of a job that attacks the others over RDMA:
 *
 *     byzantine --ATTACK [--count COORDINATES] [--rounds ROUNDS] [--shift N]
 *
 * It is told of the job as every rank is (BALLOT_RANK and the rest), and calls
 * a majority of `count` float32 as they do. It exits with 0 if the attack took
 * place and ended as an attacker sees that it should; whether it has hurt
 * anybody is for the others to say.
 */
#include "byzantine.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ballot.h>

#include "../../transport/clock.h"

/* Fewer than a window, whose slots have the keys that were offered. */
enum { VOTES_BEFORE = 5 };

struct chosen chosen = {.count = 4096, .rounds = 100};
volatile sig_atomic_t told_to_end;

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

void fail(const char *format, ...)
{
    va_list arguments;

    printf("failed text=");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    _exit(1);
}

uint64_t deadline_ns(double seconds)
{
    const char *text = getenv("BALLOT_TEST_SLOW");
    double slow = text == NULL ? 1 : strtod(text, NULL);

    return clock_now_ns() + (uint64_t)(seconds * (slow < 1 ? 1 : slow) * 1e9);
}

bool is_past(uint64_t at_ns)
{
    return clock_now_ns() >= at_ns;
}

/* ---- The whole ---- */

static const struct attack {
    const char *name;
    int has_argument;
    void (*run)(struct liar *liar);
    enum early early;
} attacks[] = {
    {"wrong-key", required_argument, attack_wrong_key, EARLY_NOTHING},
    {"out-of-bounds", no_argument, attack_out_of_bounds, EARLY_NOTHING},
    {"replay", no_argument, attack_replay, EARLY_NOTHING},
    {"zero-length", no_argument, attack_zero_length, EARLY_NOTHING},
    {"other-opcodes", no_argument, attack_other_opcodes, EARLY_NOTHING},
    {"late-data", no_argument, attack_late_data, EARLY_NOTHING},
    {"after-count", no_argument, attack_after_count, EARLY_NOTHING},
    {"sealed", no_argument, attack_sealed, EARLY_NOTHING},
    {"flood", no_argument, attack_flood, EARLY_NOTHING},
    {"never-read", no_argument, attack_never_read, EARLY_NOTHING},
    {"vanish", required_argument, attack_vanish, EARLY_NOTHING},
    {"vanish-early", no_argument, NULL, EARLY_VANISH},
    {"huge-offer", no_argument, NULL, EARLY_HUGE},
    {"truncated-offer", no_argument, NULL, EARLY_TRUNCATED},
    {"garbage-offer", no_argument, NULL, EARLY_GARBAGE},
    {"false-offer", required_argument, NULL, EARLY_FALSE},
    {"half-open", required_argument, NULL, EARLY_HALF_OPEN},
};

enum { ATTACKS = sizeof(attacks) / sizeof(attacks[0]), PLAIN = 3 };

static const struct attack *read_options(int words_count, char **words)
{
    struct option options[ATTACKS + PLAIN + 1] = {
        {"count", required_argument, NULL, 'c'},
        {"rounds", required_argument, NULL, 'r'},
        {"shift", required_argument, NULL, 's'},
    };
    const struct attack *attack = NULL;
    int option, index;

    for (int i = 0; i < ATTACKS; i++)
        options[PLAIN + i] = (struct option){
            attacks[i].name, attacks[i].has_argument, NULL, 'a'};
    while ((option = getopt_long(words_count, words, "", options, &index)) !=
           -1) {
        switch (option) {
        case 'c': chosen.count = strtoull(optarg, NULL, 10); break;
        case 'r': chosen.rounds = strtoull(optarg, NULL, 10); break;
        case 's': chosen.shift = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'a':
            attack = &attacks[index - PLAIN];
            chosen.argument = optarg;
            break;
        default: return NULL;
        }
    }
    return attack;
}

static int call(struct ballot_comm *comm, float *buffer)
{
    for (size_t i = 0; i < chosen.count; i++)
        buffer[i] = i % 2 ? 1.0f : -1.0f;
    return ballot_all_reduce(buffer, buffer, chosen.count, BALLOT_FLOAT32,
                             BALLOT_MAJORITY, comm, NULL);
}

/* Joins, as far as an attack of the first moments lets it. */
static void attack_early(const struct attack *attack, float *buffer)
{
    struct ballot_config config = {.count_max = chosen.count};
    struct ballot_comm *comm = NULL;
    uint64_t called = 0;
    int rc;

    early_begin(attack->early, chosen.argument);
    rc = ballot_comm_init_env(&comm, &config);
    say("early times=%u rc=%d text=%s", early_count(), rc,
        rc < 0 ? ballot_last_error(NULL) : "");
    if (early_count() == 0)
        fail("it was not done");
    while (rc == 0 && called < chosen.rounds && (rc = call(comm, buffer)) == 0)
        called++;
    say("called times=%" PRIu64 " rc=%d text=%s", called, rc,
        rc < 0 ? ballot_last_error(comm) : "");
    if (attack->early == EARLY_HALF_OPEN && rc < 0)
        fail("a rank with strangers at its door cannot vote: %d", rc);
    if (attack->early == EARLY_FALSE && rc == 0)
        fail("what was written nowhere has arrived");
    (void)ballot_comm_finalize(&comm);
}

static void attack_running(const struct attack *attack, float *buffer)
{
    struct ballot_config config = {.count_max = chosen.count};
    struct ballot_comm *comm = NULL;
    struct liar liar;

    if (attack->run == attack_flood)
        wanted_rnr_retries = 7;
    wants_longest_rnr = attack->run == attack_never_read;
    wants_to_read = attack->run == attack_other_opcodes;
    if (ballot_comm_init_env(&comm, &config) < 0)
        fail("joining: %s", ballot_last_error(NULL));
    if (call(comm, buffer) < 0)
        fail("the first call: %s", ballot_last_error(comm));
    liar_open(&liar, comm);
    for (int i = 0; i < VOTES_BEFORE; i++)
        if (!liar_vote(&liar))
            fail("rank 0 cut us before there was a reason");
    say("attacks");
    attack->run(&liar);
}

static void end(int number)
{
    (void)number;
    told_to_end = 1;
}

int main(int words_count, char **words)
{
    const struct attack *attack = read_options(words_count, words);
    float *buffer = calloc(chosen.count, sizeof(float));

    if (attack == NULL || buffer == NULL) {
        fprintf(stderr, "usage: byzantine --ATTACK[=ARGUMENT] [--count "
                        "COORDINATES] [--rounds ROUNDS] [--shift N]\n");
        return 2;
    }
    signal(SIGTERM, end);
    if (attack->run == NULL)
        attack_early(attack, buffer);
    else
        attack_running(attack, buffer);
    say("done name=%s", attack->name);
    /* The library is stopped in its tracks, and cannot be closed. */
    _exit(0);
}
