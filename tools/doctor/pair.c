/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.c - a trial between two hosts, transport by transport.
 *
 * tcp comes first. Its link then carries what each side found of a transport,
 * so that both go on together and both can tell what came of it.
 */
#include "pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../transport/clock.h"
#include "../../transport/shm.h"
#include "meet.h"

/* What a side found of one transport. */
struct finding {
    int32_t error;
    uint32_t pings;
    uint64_t bytes;
    double latency_us, bandwidth_gbs;
    char why[LINK_WHY_BYTES];
    uint8_t padding[32];
};

_Static_assert(sizeof(struct finding) % 64 == 0, "a finding fills lines");

static uint32_t other(const struct pair *pair)
{
    return SIDES - 1 - pair->rank;
}

/* ---- One transport ---- */

static void run_stage(struct pair *pair, uint32_t t, struct tried_link *link,
                      struct trial_times *times)
{
    struct address table[SIDES];
    bool wanted[SIDES] = {false};
    int rc;

    *link = (struct tried_link){
        .transport = tried_transports[t].transport,
        .endpoint = pair->endpoints[t],
        .peer = other(pair),
        .slot_bytes = TRIAL_SLOT_BYTES,
        .deadline_ns = clock_later_ns(clock_now_ns(), pair->options->stage_ms),
    };
    for (int s = 0; s < SIDES; s++)
        table[s] = pair->offers[s].addresses[t];
    wanted[link->peer] = true;
    rc = link->transport->connect(link->endpoint, table, wanted, pair->epoch,
                                  link->deadline_ns);
    if (rc != 0)
        tried_fail(link, rc, "the two sides cannot be linked%s%.400s",
                   pair->whys[t][0] != '\0' ? ": " : "", pair->whys[t]);
    else
        trial_run(times, link, !pair->options->listens);
}

static struct finding found(const struct tried_link *link,
                            const struct trial_times *times)
{
    struct finding finding = {
        .error = link->error,
        .pings = times->pings,
        .bytes = times->bytes,
        .latency_us = times->latency_us,
        .bandwidth_gbs = times->bandwidth_gbs,
    };

    memcpy(finding.why, link->why, sizeof(finding.why));
    return finding;
}

/* Tells what was found here and hears what was found there. Slots 1 and 2 in
 * turn: the other side may be one stage behind. */
static int swap(struct pair *pair, uint32_t turn, const struct finding *ours,
                struct finding *theirs)
{
    /* It may have to wait for its deadline where we failed at once. */
    pair->control.deadline_ns =
        clock_later_ns(clock_now_ns(), 2 * pair->options->stage_ms);
    return tried_swap(&pair->control, 1 + turn % 2, ours, theirs,
                      sizeof(*ours));
}

static void fill_stage(struct pair_stage *stage, const struct finding *ours,
                       const struct finding *theirs, bool drives)
{
    const struct finding *measured = drives ? ours : theirs;
    char why[LINK_WHY_BYTES];

    meet_copy_printable(why, sizeof(why), theirs->why);
    if (ours->error == 0 && theirs->error == 0) {
        stage->verdict = VERDICT_PASS;
        stage->times = (struct trial_times){
            .pings = measured->pings,
            .latency_us = measured->latency_us,
            .bytes = measured->bytes,
            .bandwidth_gbs = measured->bandwidth_gbs,
        };
        return;
    }
    stage->verdict = VERDICT_FAIL;
    stage->error = ours->error != 0 ? ours->error : theirs->error;
    if (ours->error != 0 && theirs->error != 0)
        snprintf(stage->why, sizeof(stage->why), "here: %s; there: %s",
                 ours->why, why);
    else
        snprintf(stage->why, sizeof(stage->why), "%s: %s",
                 ours->error != 0 ? "here" : "there",
                 ours->error != 0 ? ours->why : why);
}

static bool is_same_host(const struct pair *pair, uint32_t t)
{
    return shm_same_host(&pair->offers[0].addresses[t],
                         &pair->offers[1].addresses[t]);
}

/* Whether there is anything to try; both sides come to the same answer. */
static bool can_try(const struct pair *pair, uint32_t t,
                    struct pair_stage *stage)
{
    int here = pair->offers[pair->rank].errors[t];
    int there = pair->offers[other(pair)].errors[t];

    stage->verdict =
        tried_transports[t].is_rdma ? VERDICT_ABSENT : VERDICT_FAIL;
    stage->error = here != 0 ? here : there;
    if (stage->error != 0) {
        snprintf(stage->why, sizeof(stage->why), "it cannot be opened %s%s%s",
                 here != 0 ? "here" : "there",
                 here != 0 && pair->whys[t][0] != '\0' ? ": " : "",
                 here != 0 ? pair->whys[t] : "");
        return false;
    }
    if (tried_transports[t].transport != &transport_shm ||
        is_same_host(pair, t))
        return true;
    stage->verdict = VERDICT_ABSENT;
    stage->error = -EHOSTUNREACH;
    snprintf(stage->why, sizeof(stage->why),
             "the other side is another host, network namespace or user");
    return false;
}

static int try_stage(struct pair *pair, uint32_t t, struct pair_stage *stage)
{
    struct finding ours, theirs;
    struct trial_times times = {0};
    struct tried_link link;
    int rc;

    snprintf(stage->name, sizeof(stage->name), "%s",
             tried_transports[t].transport->name);
    if (!can_try(pair, t, stage))
        return 0;
    run_stage(pair, t, &link, &times);
    if (t == 0)
        pair->control = link;
    ours = found(&link, &times);
    theirs = (struct finding){0};
    if (t > 0 || link.error == 0) {
        rc = swap(pair, t, &ours, &theirs);
        if (rc != 0) {
            pair->result->error = rc;
            snprintf(pair->result->why, sizeof(pair->result->why),
                     "%s, after %s was tried", pair->control.why, stage->name);
            return rc;
        }
    }
    fill_stage(stage, &ours, &theirs, !pair->options->listens);
    return 0;
}

/* Stops where tcp fails: nothing would carry what the other side found. */
static void try_stages(struct pair *pair, const struct facts *facts)
{
    struct pair_result *result = pair->result;

    for (uint32_t t = 0; t < tried_count; t++) {
        struct pair_stage *stage = &result->stages[result->stages_count++];
        struct counters before;

        if (tried_transports[t].is_rdma)
            counters_read(&before, facts, "");
        if (try_stage(pair, t, stage) != 0)
            return;
        if (tried_transports[t].is_rdma) {
            counters_read(&result->gained, facts, "");
            counters_gain(&result->gained, &before);
            if (stage->verdict == VERDICT_FAIL)
                pair_explain(result);
        }
        if (t == 0 && stage->verdict != VERDICT_PASS)
            return;
    }
}

/* ---- What ballot would use ---- */

static const struct pair_stage *stage_of(const struct pair_result *result,
                                         const char *name)
{
    for (uint32_t i = 0; i < result->stages_count; i++)
        if (strcmp(result->stages[i].name, name) == 0)
            return &result->stages[i];
    return NULL;
}

static bool stage_works(const struct pair_result *result, const char *name)
{
    const struct pair_stage *stage = stage_of(result, name);

    return stage != NULL && stage->verdict == VERDICT_PASS;
}

static void choose(struct pair_result *result, const struct facts *facts)
{
    const struct pair_stage *verbs = stage_of(result, "verbs");
    const char *asked = facts->transport_asked;

    result->choice = "none";
    if (asked[0] != '\0' && strcmp(asked, "auto") != 0) {
        for (uint32_t t = 0; t < tried_count; t++)
            if (strcmp(asked, tried_transports[t].transport->name) == 0)
                result->choice = tried_transports[t].transport->name;
        snprintf(result->reason, sizeof(result->reason),
                 "BALLOT_TRANSPORT=%s asks for it", asked);
    } else if (stage_works(result, "shm")) {
        result->choice = "shm";
        snprintf(result->reason, sizeof(result->reason),
                 "same host, network namespace and user");
    } else if (verbs != NULL && verbs->verdict != VERDICT_ABSENT) {
        result->choice = "verbs";
        snprintf(result->reason, sizeof(result->reason),
                 "another host, and both have a device%s",
                 verbs->verdict == VERDICT_PASS
                     ? ""
                     : ", though it does not work: until it is mended, set "
                       "BALLOT_TRANSPORT=tcp for all ranks");
    } else if (stage_works(result, "tcp")) {
        result->choice = "tcp";
        snprintf(result->reason, sizeof(result->reason),
                 "another host, and not both have an RDMA device");
    } else {
        snprintf(result->reason, sizeof(result->reason), "nothing works");
    }
}

bool pair_passed(const struct pair_result *pair)
{
    for (uint32_t i = 0; i < pair->stages_count; i++)
        if (pair->stages[i].verdict == VERDICT_FAIL)
            return false;
    return pair->error == 0 && pair->stages_count > 0;
}

void pair_run(struct pair_result *result, const struct pair_options *options,
              const struct facts *facts)
{
    struct pair *pair = calloc(1, sizeof(*pair));

    *result = (struct pair_result){.choice = "none"};
    if (pair == NULL) {
        result->error = -ENOMEM;
        snprintf(result->why, sizeof(result->why), "no memory");
        return;
    }
    pair->options = options;
    pair->result = result;
    pair->rank = options->listens ? 0 : 1;
    if (meet_other(pair, facts) == 0) {
        try_stages(pair, facts);
        choose(result, facts);
    }
    for (uint32_t t = 0; t < tried_count; t++)
        tried_transports[t].transport->close(pair->endpoints[t]);
    bootstrap_root_close(pair->root);
    explicit_bzero(&pair->credentials, sizeof(pair->credentials));
    free(pair);
}
