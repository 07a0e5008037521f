/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_trials.c - the report for people: what was tried.
 */
#include "report.h"

#include <string.h>

static void print_heading(FILE *file, const char *heading, const char *large)
{
    fprintf(file, "\n%s\n  %-13s %-8s %14s %14s\n", heading, "transport", "",
            "64 B, us", large);
}

static void print_trial(FILE *file, const char *name, enum verdict verdict,
                        int error, const char *why,
                        const struct trial_times *times)
{
    fprintf(file, "  %-13s %-8s ", name, verdict_name(verdict));
    if (verdict == VERDICT_PASS)
        fprintf(file, "%14.2f %14.3f\n", times->latency_us,
                times->bandwidth_gbs);
    else
        fprintf(file, "%s (%s)\n", why, strerrorname_np(-error));
}

static void print_self(FILE *file, const struct self_test *self)
{
    print_heading(file, "Self-test (one way; every byte is checked)",
                  "512 KiB, GB/s");
    for (uint32_t i = 0; i < self->count; i++) {
        const struct self_result *result = &self->results[i];

        print_trial(file, result->name, result->verdict, result->error,
                    result->why, &result->times);
    }
}

static void print_side(FILE *file, const char *who,
                       const struct rdma_side *side)
{
    if (side->has_device)
        fprintf(file, "  RDMA %-8s %s port %u, GID %u (%s, %s), MTU %u\n", who,
                side->device, side->port, side->gid.index,
                gid_type_name(side->gid.type), side->gid.ip, side->mtu);
    else
        fprintf(file, "  RDMA %-8s no usable device\n", who);
}

static bool tried_rdma(const struct pair_result *pair)
{
    for (uint32_t i = 0; i < pair->stages_count; i++)
        if (tried_transports[i].is_rdma &&
            pair->stages[i].verdict != VERDICT_ABSENT)
            return true;
    return false;
}

static void print_counters(FILE *file, const struct counters *gained)
{
    if (gained->count == 0)
        fputs("  counters      none of loss or retries has grown\n", file);
    for (uint32_t i = 0; i < gained->count; i++)
        fprintf(file, "  counters      %s port %u: %s + %llu\n",
                gained->list[i].device, gained->list[i].port,
                gained->list[i].name,
                (unsigned long long)gained->list[i].value);
}

static void print_causes(FILE *file, const struct pair_result *pair)
{
    if (pair->causes_count == 0)
        return;
    fputs("\n  tcp works, RDMA does not. Likely causes, in order:\n", file);
    for (uint32_t i = 0; i < pair->causes_count; i++)
        fprintf(file, "  %u. %s\n     try: %s\n", i + 1, pair->causes[i].what,
                pair->causes[i].command);
}

static void print_pair(FILE *file, const struct pair_result *pair)
{
    char heading[PAIR_HOST_BYTES + 64];

    snprintf(heading, sizeof(heading),
             "With %s (one way; every byte is checked)",
             pair->host[0] != '\0' ? pair->host : "the other side");
    print_heading(file, heading, "1 MiB, GB/s");
    for (uint32_t i = 0; i < pair->stages_count; i++) {
        const struct pair_stage *stage = &pair->stages[i];

        print_trial(file, stage->name, stage->verdict, stage->error, stage->why,
                    &stage->times);
    }
    if (pair->error != 0) {
        fprintf(file, "  failed        %s (%s)\n", pair->why,
                strerrorname_np(-pair->error));
        if (pair->cure[0] != '\0')
            fprintf(file, "  %13s cure: %s\n", "", pair->cure);
        return;
    }
    print_side(file, "here", &pair->rdma);
    print_side(file, "there", &pair->rdma_theirs);
    if (tried_rdma(pair))
        print_counters(file, &pair->gained);
    fprintf(file, "  ballot uses   %s: %s\n", pair->choice, pair->reason);
    print_causes(file, pair);
}

void report_text_trials(FILE *file, const struct report *report)
{
    if (report->self != NULL)
        print_self(file, report->self);
    if (report->pair != NULL)
        print_pair(file, report->pair);
}
