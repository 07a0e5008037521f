/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byzantine_always.c - attacks that go on as long as the job, or end it for
 * this rank.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "../../collective/lanes.h"
#include "../../transport/transport.h"
#include "byzantine.h"

/* Writes other signs where our last vote lies; with `whole` its header line,
 * too. The next slot's staging is not in use. */
static bool rewrite(struct liar *liar, bool whole)
{
    uint32_t slot = (uint32_t)(liar->header.sequence % liar->window);
    uint32_t source = (slot + 1) % liar->window;
    uint32_t skipped = whole ? 0 : LINE_BYTES;
    uint32_t signs = LINE_BYTES * (uint32_t)lines_for(chosen.count);

    for (uint32_t i = 0; i < skipped + signs; i += 64)
        liar_staging(liar, 0, source)[i] += 0x5b;
    return liar_post(liar, 0,
                     &(struct raw_write){
                         .address = liar_slot(liar, 0, slot) + skipped,
                         .key = liar_key(liar, 0, slot),
                         .bytes = LINE_BYTES + signs - skipped,
                         .source_slot = source,
                     });
}

/* The header line must arrive whole, or this vote has no result. */
void attack_after_count(struct liar *liar)
{
    enum { REWRITES_AFTER = 8 };
    uint64_t while_counted = 0, afterwards = 0;
    struct header result;

    while (liar->header.sequence + 1 < chosen.rounds) {
        uint64_t until_ns = deadline_ns(20);

        liar_put_vote(liar);
        while (!liar_has_result(liar, &result)) {
            while_counted += rewrite(liar, false);
            if (liar_is_cut(liar, 0) || is_past(until_ns))
                fail("round %" PRIu64 " has no result", liar->header.sequence);
        }
        for (int i = 0; i < REWRITES_AFTER; i++)
            afterwards += rewrite(liar, true);
    }
    if (liar_settle(liar, 0) != IBV_WC_SUCCESS)
        fail("our own slots refuse us");
    say("rewritten counted=%" PRIu64 " after=%" PRIu64, while_counted,
        afterwards);
    if (while_counted < chosen.rounds || afterwards < chosen.rounds)
        fail("too few rewrites");
}

/* A slot is closed from its arrival until it was read, and has another key from
 * then on: the old one serves until the arrival is known, and never again. */
void attack_sealed(struct liar *liar)
{
    uint64_t until_ns = deadline_ns(10);
    uint64_t written = 0;

    liar_put_vote(liar);
    while (rewrite(liar, false)) {
        written++;
        if (is_past(until_ns))
            fail("a slot that has arrived stays open");
    }
    say("sealed status=%d posted=%" PRIu64, (int)liar_settle(liar, 0), written);
    if (liar_settle(liar, 0) != IBV_WC_REM_ACCESS_ERR)
        fail("the seal is not what refuses us");
    liar_await_cut(liar, 0);
}

/* A ping wants an answer; a vote of long after is nothing that can be counted,
 * but well framed. */
static void fill_flood(struct liar *liar, uint32_t peer, uint32_t ping)
{
    struct header header = liar->header;

    header.sequence = UINT64_MAX / 2;
    for (uint32_t slot = 0; slot < lanes_slots(liar->window); slot++)
        memcpy(liar_staging(liar, peer, slot), &header, sizeof(header));
    header = (struct header){.magic = HEADER_MAGIC,
                             .epoch = liar->header.epoch,
                             .kind = HEADER_CONTROL};
    memset(liar_staging(liar, peer, ping), 0, 3 * LINE_BYTES);
    memcpy(liar_staging(liar, peer, ping), &header, sizeof(header));
}

void attack_flood(struct liar *liar)
{
    uint32_t slots = lanes_slots(liar->window);
    uint32_t ping = lane_first(liar->window, LANE_CONTROL) + CONTROL_PING;
    uint64_t sent = 0;
    uint32_t flooded = liar->ranks;

    for (uint32_t peer = 0; peer < liar->ranks; peer++)
        if (peer != liar->rank)
            fill_flood(liar, peer, ping);
    for (uint64_t i = 0; !told_to_end && flooded > 0; i++) {
        uint32_t slot = i % 4 == 0 ? ping : (uint32_t)(i % slots);

        flooded = 0;
        for (uint32_t peer = 0; peer < liar->ranks; peer++) {
            if (peer == liar->rank)
                continue;
            flooded += liar_post(
                liar, peer,
                &(struct raw_write){
                    .address = liar_slot(liar, peer, slot),
                    .key = liar_key(liar, peer, slot),
                    .bytes = slot == ping ? 3 * LINE_BYTES : LINE_BYTES,
                    .source_slot = slot,
                    .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
                    .immediate = liar_next_immediate(liar, peer, slot),
                });
        }
        sent += flooded;
    }
    say("flooded sent=%" PRIu64 " peers=%u", sent, flooded);
    if (sent < 1000)
        fail("this was no flood");
}

/* Votes, and takes no result: the server's writes find no receive. */
void attack_never_read(struct liar *liar)
{
    uint64_t first = liar->header.sequence;

    liar->posts_receives = false;
    while (liar->header.sequence + 1 < chosen.rounds && liar_vote(liar))
        ;
    if (!liar_is_cut(liar, 0))
        fail("rank 0 still writes to us after %" PRIu64 " votes",
             liar->header.sequence - first);
    say("unread votes=%" PRIu64, liar->header.sequence - first);
}

void attack_vanish(struct liar *liar)
{
    bool orderly =
        chosen.argument != NULL && strcmp(chosen.argument, "close") == 0;

    say("vanishes");
    liar_put_vote(liar);
    if (orderly)
        transport_verbs.close(liar->endpoint);
    _exit(0);
}
