/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byzantine_once.c - attacks that take one write, or one message, for each
 * peer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "../../collective/lanes.h"
#include "byzantine.h"

struct attempt {
    const char *what;
    struct raw_write write;
};

/* Peer p meets the attempt p + shift of so many, so that with every shift rank
 * 0 gets another one. */
static const struct attempt *attempt_for(const struct attempt *attempts,
                                         uint32_t attempts_count, uint32_t peer)
{
    return &attempts[(peer + chosen.shift) % attempts_count];
}

static void post(struct liar *liar, uint32_t peer,
                 const struct attempt *attempt)
{
    if (!liar_post(liar, peer, &attempt->write))
        fail("the queue pair to rank %u failed before %s", peer, attempt->what);
}

static void report(uint32_t peer, const char *what, enum ibv_wc_status status)
{
    say("attack peer=%u status=%d what=%s", peer, (int)status, what);
}

static void expect(uint32_t peer, const char *what, enum ibv_wc_status got,
                   enum ibv_wc_status wanted)
{
    report(peer, what, got);
    if (got != wanted)
        fail("rank %u, %s: %s instead of %s", peer, what,
             ibv_wc_status_str(got), ibv_wc_status_str(wanted));
}

/* The address and key that rank 0 has told to somebody else. */
static void read_tap(struct raw_write *write)
{
    FILE *file = chosen.argument == NULL ? NULL : fopen(chosen.argument, "re");

    if (file == NULL ||
        fscanf(file, "%" SCNu64 " %" SCNu32, &write->address, &write->key) != 2)
        fail("--wrong-key=FILE: no address and key are there");
    fclose(file);
}

void attack_wrong_key(struct liar *liar)
{
    for (uint32_t peer = 0; peer < liar->ranks; peer++) {
        uint32_t other = peer == 1 ? 2 : 1;
        uint64_t own = liar_slot(liar, peer == liar->rank ? 0 : peer, 0);
        uint32_t key = liar_key(liar, peer == liar->rank ? 0 : peer, 0);
        struct attempt attempts[] = {
            {"another's memory and key", {.bytes = 64}},
            {"a key for us of another rank",
             {.address = liar_slot(liar, other, 0),
              .key = liar_key(liar, other, 0),
              .bytes = 64}},
            {"the next index", {.address = own, .key = key + 256, .bytes = 64}},
            {"another low byte", {.address = own, .key = key ^ 1, .bytes = 64}},
            {"no key", {.address = own, .key = 0, .bytes = 64}},
        };

        if (peer == liar->rank)
            continue;
        read_tap(&attempts[0].write);
        post(liar, peer, attempt_for(attempts, 5, peer));
        expect(peer, attempt_for(attempts, 5, peer)->what,
               liar_settle(liar, peer), IBV_WC_REM_ACCESS_ERR);
        liar_await_cut(liar, peer);
    }
}

void attack_out_of_bounds(struct liar *liar)
{
    uint64_t all = liar_region_bytes(liar);

    for (uint32_t peer = 0; peer < liar->ranks; peer++) {
        uint64_t own = peer == liar->rank ? 0 : liar_slot(liar, peer, 0);
        struct attempt attempts[] = {
            {"the byte after", {.address = own + all, .bytes = 1}},
            {"across the end", {.address = own + all - 63, .bytes = 64}},
            {"the byte before", {.address = own - 1, .bytes = 1}},
            {"across the beginning", {.address = own - 63, .bytes = 64}},
            {"far away", {.address = own + (UINT64_C(1) << 40), .bytes = 64}},
            {"around the end", {.address = UINT64_MAX - 31, .bytes = 64}},
        };

        if (peer == liar->rank)
            continue;
        for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
            attempts[i].write.key = liar_key(liar, peer, 0);
        post(liar, peer, attempt_for(attempts, 6, peer));
        expect(peer, attempt_for(attempts, 6, peer)->what,
               liar_settle(liar, peer), IBV_WC_REM_ACCESS_ERR);
        liar_await_cut(liar, peer);
    }
}

/* What is announced is nothing that an honest rank would announce. */
void attack_replay(struct liar *liar)
{
    uint32_t slots = lanes_slots(liar->window);

    for (uint32_t peer = 0; peer < liar->ranks; peer++) {
        uint32_t last, next, beyond;
        struct attempt attempts[5];

        if (peer == liar->rank)
            continue;
        next = liar_next_immediate(liar, peer, 0);
        last = next - (1u << 16);
        beyond = next + (UINT32_C(40000) << 16);
        attempts[0] = (struct attempt){"a repeated number",
                                       {.bytes = 64, .immediate = last}};
        attempts[1] = (struct attempt){"an invented number",
                                       {.bytes = 64, .immediate = beyond}};
        attempts[2] = (struct attempt){
            "a slot that does not exist",
            {.bytes = 64, .immediate = (next & ~0xffffu) | slots}};
        attempts[3] =
            (struct attempt){"half a line", {.bytes = 32, .immediate = next}};
        attempts[4] =
            (struct attempt){"more than a slot",
                             {.bytes = (uint32_t)(liar_slot(liar, peer, 1) -
                                                  liar_slot(liar, peer, 0)) +
                                       64,
                              .immediate = next}};
        for (int i = 0; i < 5; i++) {
            attempts[i].write.address = liar_slot(liar, peer, 0);
            attempts[i].write.key = liar_key(liar, peer, 0);
            attempts[i].write.opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
        }
        post(liar, peer, attempt_for(attempts, 5, peer));
        expect(peer, attempt_for(attempts, 5, peer)->what,
               liar_settle(liar, peer), IBV_WC_SUCCESS);
        liar_await_cut(liar, peer);
    }
}

/* A device delivers it whatever address and key it names. */
void attack_zero_length(struct liar *liar)
{
    for (uint32_t peer = 0; peer < liar->ranks; peer++) {
        struct attempt attempt = {
            "no bytes, and no such key",
            {.address = 64, .key = 64, .opcode = IBV_WR_RDMA_WRITE_WITH_IMM}};

        if (peer == liar->rank)
            continue;
        attempt.write.immediate = liar_next_immediate(liar, peer, 0);
        post(liar, peer, &attempt);
        expect(peer, attempt.what, liar_settle(liar, peer), IBV_WC_SUCCESS);
        liar_await_cut(liar, peer);
    }
}

/* A queue pair takes writes alone. */
void attack_other_opcodes(struct liar *liar)
{
    for (uint32_t peer = 0; peer < liar->ranks; peer++) {
        struct attempt attempts[] = {
            {"a read", {.bytes = 64, .opcode = IBV_WR_RDMA_READ}},
            {"an atomic", {.bytes = 8, .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD}},
            {"a message", {.bytes = 64, .opcode = IBV_WR_SEND}},
            {"an empty message", {.bytes = 0, .opcode = IBV_WR_SEND}},
        };
        const struct attempt *attempt = attempt_for(attempts, 4, peer);
        enum ibv_wc_status status;

        if (peer == liar->rank)
            continue;
        for (int i = 0; i < 4; i++) {
            attempts[i].write.address = liar_slot(liar, peer, 0);
            attempts[i].write.key = liar_key(liar, peer, 0);
        }
        post(liar, peer, attempt);
        status = liar_settle(liar, peer);
        report(peer, attempt->what, status);
        /* Receives have room for nothing, which is enough for an empty one. */
        if (attempt->write.bytes > 0 && status != IBV_WC_REM_INV_REQ_ERR &&
            status != IBV_WC_REM_ACCESS_ERR && status != IBV_WC_REM_OP_ERR)
            fail("rank %u, %s: %s", peer, attempt->what,
                 ibv_wc_status_str(status));
        liar_await_cut(liar, peer);
    }
}

void attack_late_data(struct liar *liar)
{
    static const char more[4096] = "blv1";

    for (uint32_t peer = 0; peer < liar->ranks; peer++) {
        if (peer == liar->rank)
            continue;
        if (send(liar_descriptor(liar, peer), more, sizeof(more),
                 MSG_NOSIGNAL | MSG_DONTWAIT) <= 0)
            fail("nothing more can be said to rank %u", peer);
        report(peer, "data after the offer", IBV_WC_SUCCESS);
        liar_await_cut(liar, peer);
    }
}
