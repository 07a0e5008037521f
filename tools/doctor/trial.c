/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.c - bytes there and back between two endpoints.
 *
 * The driver sends pings on slot 0 and waits for each to come back, then large
 * messages on slots 1 and 2, each of which is answered by a line on the same
 * slot. So a slot is written again only after its bytes were looked at. Every
 * message has another part of one pattern, so stale bytes are seen.
 */
#include "trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../transport/clock.h"

enum {
    MAGIC = 0x726f7464, /* "dtor" */
    PINGS_MAX = 2000,
    PINGS_MS = 500, /* no new one after that */
    LARGE_MIN = 8,
    LARGE_MAX = 4096,
    LARGE_MS = 300,
    LARGE_UNDER_WAY = TRIAL_SLOTS - 1,
    PATTERN_SHIFTS = 64,
    PATTERN_BYTES = TRIAL_SLOT_BYTES + PATTERN_SHIFTS * TRIAL_PING_BYTES,
};

enum kind { KIND_PING = 1, KIND_LARGE, KIND_END };

/* Begins every message. */
struct head {
    uint32_t magic, kind;
    uint64_t number;
};

struct trial {
    struct tried_link *link;
    uint8_t *pattern; /* [PATTERN_BYTES] */
    struct trial_times *times;
};

/* ---- Messages ---- */

static int make_pattern(struct trial *trial)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

    trial->pattern = malloc(PATTERN_BYTES);
    if (trial->pattern == NULL)
        return tried_fail(trial->link, -ENOMEM, "no memory");
    for (size_t i = 0; i < PATTERN_BYTES; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        trial->pattern[i] = (uint8_t)(state >> 56);
    }
    return 0;
}

static const uint8_t *pattern_of(const struct trial *trial, uint64_t number)
{
    return &trial->pattern[number % PATTERN_SHIFTS * TRIAL_PING_BYTES];
}

static int send_message(struct trial *trial, uint32_t slot, enum kind kind,
                        uint64_t number, uint32_t bytes)
{
    struct head head = {.magic = MAGIC, .kind = kind, .number = number};
    void *memory;
    int rc = tried_stage(trial->link, slot, &memory);

    if (rc != 0)
        return rc;
    memcpy((uint8_t *)memory + sizeof(head),
           pattern_of(trial, number) + sizeof(head), bytes - sizeof(head));
    memcpy(memory, &head, sizeof(head));
    return tried_put(trial->link, slot, bytes);
}

/* The head is copied once, and only the copy is believed. */
static int read_message(struct trial *trial, const struct event *event,
                        struct head *head)
{
    const uint8_t *bytes = event->memory;

    memcpy(head, bytes, sizeof(*head));
    if (head->magic != MAGIC)
        return tried_fail(trial->link, -EPROTO, "slot %u holds no message",
                          event->slot);
    if (memcmp(bytes + sizeof(*head),
               pattern_of(trial, head->number) + sizeof(*head),
               event->bytes - sizeof(*head)) != 0)
        return tried_fail(trial->link, -EBADMSG,
                          "message %llu arrived with wrong bytes",
                          (unsigned long long)head->number);
    return 0;
}

static int expect(struct trial *trial, uint32_t slot, enum kind kind,
                  uint64_t number)
{
    struct event event;
    struct head head;
    char awaited[48];
    int rc;

    snprintf(awaited, sizeof(awaited), "the answer to %s %llu",
             kind == KIND_PING    ? "ping"
             : kind == KIND_LARGE ? "message"
                                  : "the end, after message",
             (unsigned long long)number);
    rc = tried_wait(trial->link, &event, awaited);
    if (rc == 0)
        rc = read_message(trial, &event, &head);
    if (rc == 0 && (event.slot != slot || event.bytes != TRIAL_PING_BYTES ||
                    head.kind != kind || head.number != number))
        rc = tried_fail(trial->link, -EPROTO, "%s was another one", awaited);
    return rc;
}

/* ---- The side that drives ---- */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int drive_pings(struct trial *trial, uint64_t *number)
{
    static const double half_us = 2000;
    uint64_t *round_ns = calloc(PINGS_MAX, sizeof(*round_ns));
    uint64_t end_ns = clock_later_ns(clock_now_ns(), PINGS_MS);
    uint32_t count = 0;
    int rc =
        round_ns == NULL ? tried_fail(trial->link, -ENOMEM, "no memory") : 0;

    while (rc == 0 && count < PINGS_MAX) {
        uint64_t begun_ns = clock_now_ns();

        if (count > 0 && begun_ns >= end_ns)
            break;
        rc = send_message(trial, 0, KIND_PING, *number, TRIAL_PING_BYTES);
        if (rc == 0)
            rc = expect(trial, 0, KIND_PING, *number);
        round_ns[count++] = clock_now_ns() - begun_ns;
        ++*number;
    }
    if (rc == 0) {
        qsort(round_ns, count, sizeof(*round_ns), by_size);
        trial->times->pings = count;
        trial->times->latency_us = (double)round_ns[count / 2] / half_us;
    }
    free(round_ns);
    return rc;
}

static uint32_t large_slot(uint64_t number)
{
    return 1 + (uint32_t)(number % LARGE_UNDER_WAY);
}

static int drive_large(struct trial *trial, uint64_t *number)
{
    uint64_t begun_ns = clock_now_ns();
    uint64_t end_ns = clock_later_ns(begun_ns, LARGE_MS);
    uint64_t first = *number, answered = *number;
    int rc = 0;

    while (rc == 0) {
        uint64_t sent = *number - first;
        bool more =
            sent < LARGE_MIN || (sent < LARGE_MAX && clock_now_ns() < end_ns);

        if (more && *number - answered < LARGE_UNDER_WAY) {
            rc = send_message(trial, large_slot(*number), KIND_LARGE, *number,
                              trial->link->slot_bytes);
            ++*number;
        } else if (answered < *number) {
            rc = expect(trial, large_slot(answered), KIND_LARGE, answered);
            answered++;
        } else {
            break;
        }
    }
    trial->times->bytes = (*number - first) * trial->link->slot_bytes;
    trial->times->bandwidth_gbs =
        (double)trial->times->bytes / (double)(clock_now_ns() - begun_ns);
    return rc;
}

static int drive(struct trial *trial)
{
    uint64_t number = 0;
    int rc = drive_pings(trial, &number);

    if (rc == 0)
        rc = drive_large(trial, &number);
    if (rc == 0)
        rc = send_message(trial, 0, KIND_END, number, TRIAL_PING_BYTES);
    if (rc == 0)
        rc = expect(trial, 0, KIND_END, number);
    return rc;
}

/* ---- The side that answers ---- */

static bool is_expected(const struct event *event, uint32_t slot_bytes,
                        const struct head *head, uint64_t number)
{
    bool is_large = head->kind == KIND_LARGE;

    return head->kind >= KIND_PING && head->kind <= KIND_END &&
           head->number == number &&
           event->slot == (is_large ? large_slot(number) : 0) &&
           event->bytes == (is_large ? slot_bytes : TRIAL_PING_BYTES);
}

static int answer(struct trial *trial)
{
    struct head head = {.kind = KIND_PING};
    uint64_t number = 0;
    int rc = 0;

    while (rc == 0 && head.kind != KIND_END) {
        char awaited[48];
        struct event event;

        snprintf(awaited, sizeof(awaited), "message %llu of the other side",
                 (unsigned long long)number);
        rc = tried_wait(trial->link, &event, awaited);
        if (rc == 0)
            rc = read_message(trial, &event, &head);
        if (rc == 0 &&
            !is_expected(&event, trial->link->slot_bytes, &head, number))
            rc =
                tried_fail(trial->link, -EPROTO, "%s was another one", awaited);
        if (rc == 0)
            rc = send_message(trial, event.slot, head.kind, number,
                              TRIAL_PING_BYTES);
        number++;
    }
    return rc == 0 ? tried_wait_left(trial->link) : rc;
}

int trial_run(struct trial_times *times, struct tried_link *link, bool drives)
{
    struct trial trial = {.link = link, .times = times};
    int rc;

    *times = (struct trial_times){0};
    rc = make_pattern(&trial);
    if (rc == 0)
        rc = drives ? drive(&trial) : answer(&trial);
    free(trial.pattern);
    return rc;
}
