/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_liars.c - verbs peers that know the key and lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "transport/clock.h"
#include "verbs_rig.h"

enum { SLOTS = 6, SLOT_BYTES = 1024 };

/* ---- Writes, posted by hand on rank 1's pair with rank 0 ---- */

struct write {
    const char *what;
    uint32_t number, slot; /* of the immediate */
    uint32_t bytes;
    enum ibv_wr_opcode opcode;
};

static struct ibv_send_wr write_of(const struct rig *rig, struct ibv_sge *piece,
                                   const struct write *write)
{
    struct verbs_link *link = rig_link(rig, 1, 0);

    *piece = (struct ibv_sge){.addr = (uintptr_t)link->staging,
                              .length = write->bytes,
                              .lkey = link->staging_key->lkey};
    return (struct ibv_send_wr){
        .sg_list = piece,
        .num_sge = 1,
        .opcode = write->opcode,
        .imm_data = htonl(write->number << 16 | write->slot),
        .wr.rdma = {.remote_addr = link->remote, .rkey = link->remote_keys[0]},
    };
}

static void post(const struct rig *rig, struct ibv_send_wr *wr)
{
    struct ibv_send_wr *bad;

    assert_int_equal(ibv_post_send(rig_pair(rig, 1, 0), wr, &bad), 0);
}

/* Rank 0 has lost rank 1, which broke the rules or not, and nobody else. */
static void check_the_liar_is_lost(const struct rig *rig, int reason)
{
    rig_expect_lost(rig, 0, 1, reason);
    rig_expect_silence(rig, 0);
    assert_int_equal(rig_counts(rig, 0).violations, reason == -EPROTO);
    rig_check_pair(rig, 0, 2);
}

static const struct write lies[] = {
    {"no bytes", 1, 1, 0, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"63 bytes", 1, 1, 63, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"65 bytes", 1, 1, 65, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"more than a slot", 1, 1, SLOT_BYTES + 64, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"slot too large", 1, SLOTS, 64, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"slot far too large", 1, 0xffff, 64, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"a number again", 0, 0, 64, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"a number of the past", 0xffff, 0, 64, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"a number far ahead", 33, 0, 64, IBV_WR_RDMA_WRITE_WITH_IMM},
    {"a message", 1, 0, 0, IBV_WR_SEND_WITH_IMM},
};

static void an_immediate_that_lies_costs_its_own_link(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct rig rig;
        struct ibv_sge piece;
        struct ibv_send_wr wr;

        print_message("  %s\n", lies[i].what);
        rig_start(&rig, SLOTS, SLOT_BYTES);
        assert_int_equal(rig.endpoints[0]->arrivals, 32);
        wr = write_of(&rig, &piece, &lies[i]);
        rig_put(&rig, 1, 0, 0, 128, 3);
        rig_expect(&rig, 0, 1, 0, 128, 3);
        post(&rig, &wr);
        check_the_liar_is_lost(&rig, -EPROTO);
        rig_stop(&rig);
    }
}

static void a_number_that_was_announced_and_not_read_is_not_taken_again(
    void **state)
{
    static const struct write first = {"", 5, 1, 64,
                                       IBV_WR_RDMA_WRITE_WITH_IMM};
    struct rig rig;
    struct ibv_sge piece;
    struct ibv_send_wr wr;

    (void)state;
    rig_start(&rig, SLOTS, SLOT_BYTES);
    wr = write_of(&rig, &piece, &first);
    post(&rig, &wr);
    /* It waits for the five before it. */
    rig_expect_silence(&rig, 0);
    post(&rig, &wr);
    check_the_liar_is_lost(&rig, -EPROTO);
    rig_stop(&rig);
}

static void a_slot_of_another_stripe_costs_its_own_link(void **state)
{
    static const struct write other = {"", 0, 1, 64,
                                       IBV_WR_RDMA_WRITE_WITH_IMM};
    struct rig rig;
    struct ibv_sge piece;
    struct ibv_send_wr wr;

    (void)state;
    setenv("BALLOT_IB_QPS_PER_CONNECTION", "3", 1);
    rig_start(&rig, SLOTS, SLOT_BYTES);
    unsetenv("BALLOT_IB_QPS_PER_CONNECTION");
    wr = write_of(&rig, &piece, &other);
    post(&rig, &wr);
    check_the_liar_is_lost(&rig, -EPROTO);
    rig_stop(&rig);
}

/* The device keeps these out, and so nothing of another peer changes. */
static void what_is_not_a_peers_own_cannot_be_written(void **state)
{
    enum { OUTSIDE, BEFORE, OTHERS_KEY, OUR_STAGING, TRIES };

    (void)state;
    for (int try = 0; try < TRIES; try++) {
        static const struct write usual = {"", 0, 0, 64,
                                           IBV_WR_RDMA_WRITE_WITH_IMM};
        struct rig rig;
        struct ibv_sge piece;
        struct ibv_send_wr wr;
        const struct verbs_link *other;

        rig_start(&rig, SLOTS, SLOT_BYTES);
        wr = write_of(&rig, &piece, &usual);
        other = rig_link(&rig, 0, 2);
        if (try == OUTSIDE)
            wr.wr.rdma.remote_addr += SLOTS * SLOT_BYTES - 32;
        if (try == BEFORE)
            wr.wr.rdma.remote_addr -= 32;
        if (try == OTHERS_KEY) {
            wr.wr.rdma.remote_addr = (uintptr_t)other->inbound;
            wr.wr.rdma.rkey = other->inbound_key->rkey;
        }
        if (try == OUR_STAGING) {
            wr.wr.rdma.remote_addr = (uintptr_t)rig_link(&rig, 0, 1)->staging;
            wr.wr.rdma.rkey = rig_link(&rig, 0, 1)->staging_key->rkey;
        }
        memset(rig_link(&rig, 1, 0)->staging, 0xee, SLOT_BYTES);
        post(&rig, &wr);
        assert_int_not_equal(other->inbound[0], 0xee);
        assert_int_not_equal(rig_link(&rig, 0, 1)->staging[0], 0xee);
        check_the_liar_is_lost(&rig, -ECONNRESET);
        rig_expect_lost(&rig, 1, 0, -ECONNRESET);
        rig_stop(&rig);
    }
}

static void a_message_with_bytes_costs_its_own_link(void **state)
{
    static const struct write message = {"", 0, 0, 64, IBV_WR_SEND_WITH_IMM};
    struct rig rig;
    struct ibv_sge piece;
    struct ibv_send_wr wr;

    (void)state;
    rig_start(&rig, SLOTS, SLOT_BYTES);
    wr = write_of(&rig, &piece, &message);
    post(&rig, &wr);
    check_the_liar_is_lost(&rig, -EIO);
    rig_stop(&rig);
}

/* Who writes on without results waits at its own end; others do not. */
static void a_flood_waits_for_us(void **state)
{
    struct rig rig;
    uint32_t room = SLOTS + RECEIVE_BATCH;

    (void)state;
    rig_start(&rig, SLOTS, SLOT_BYTES);
    for (uint32_t i = 0; i < room + 1; i++) {
        struct write write = {"", i, i % SLOTS, 64, IBV_WR_RDMA_WRITE_WITH_IMM};
        struct ibv_sge piece;
        struct ibv_send_wr wr = write_of(&rig, &piece, &write);

        assert_int_equal(fake_not_ready, 0);
        post(&rig, &wr);
    }
    assert_int_equal(fake_not_ready, 1);
    rig_put(&rig, 2, 0, 0, 64, 9);
    for (uint32_t i = 0; i < room + 1; i++) {
        struct event event;

        assert_int_equal(transport_verbs.poll(rig.endpoints[0], &event, 1), 1);
        assert_int_equal(event.kind, EVENT_ARRIVED);
        assert_true(event.peer == 1 || i <= 16);
    }
    rig_expect_silence(&rig, 0);
    rig_check_pair(&rig, 0, 2);
    rig_stop(&rig);
}

static void a_word_on_the_control_connection_costs_its_own_link(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, SLOTS, SLOT_BYTES);
    assert_int_equal(
        send(rig_link(&rig, 1, 0)->descriptor, "x", 1, MSG_NOSIGNAL), 1);
    check_the_liar_is_lost(&rig, -EPROTO);
    rig_expect_lost(&rig, 1, 0, -ECONNRESET);
    rig_stop(&rig);
}

/* ---- Offers ---- */

/* Ranks 0 and 2 have one another, and both know that rank 1 is missing. */
static void check_the_liar_is_not_linked(struct rig *rig, int reason,
                                         const char *says)
{
    for (uint32_t rank = 0; rank < RIG_RANKS; rank += 2) {
        uint32_t other = 2 - rank;

        assert_int_equal(rig->connected[rank], reason);
        assert_true(rig->wanted[rank][1]);
        assert_false(rig->wanted[rank][other]);
        assert_null(rig_link(rig, rank, 1));
        assert_int_equal(transport_verbs.put(rig->endpoints[rank], 1, 0, 64),
                         -ENOTCONN);
        assert_non_null(strstr(rig->why[rank], says));
    }
    rig_expect_silence(rig, 0);
    rig_check_pair(rig, 0, 2);
    rig_stop(rig);
}

static void an_offer_that_lies_costs_its_own_link(void **state)
{
    static const struct {
        const char *what;
        struct rig_lie lie;
        int reason;
        const char *says;
    } offers[] = {
        {"wrong magic", {LIE_WORD, 0, 0x31766c63, NULL}, -EPROTO, ""},
        {"more slots", {LIE_WORD, 4, SLOTS + 1, NULL}, -EPROTO, ""},
        {"larger slots", {LIE_WORD, 8, SLOT_BYTES * 2, NULL}, -EPROTO, ""},
        {"more stripes",
         {LIE_WORD, 12, 2, NULL},
         -EPROTO,
         "rank 1 has 2 queue pairs and we have 1: give all the same "
         "BALLOT_IB_QPS_PER_CONNECTION"},
        {"sealed slots",
         {LIE_WORD, 32, 2, NULL},
         -EPROTO,
         "rank 1 seals 2 slots and we 0: give all the same BALLOT_IB_SEAL"},
        {"no MTU", {LIE_WORD, 16, 0, NULL}, -EPROTO, ""},
        {"an MTU that is not", {LIE_WORD, 16, 6, NULL}, -EPROTO, ""},
        {"nothing", {LIE_CUT, 0, 0, NULL}, -ECONNRESET, ""},
        {"half an offer", {LIE_CUT, 30, 0, NULL}, -ECONNRESET, ""},
        {"silence", {LIE_SILENCE, 30, 0, NULL}, -ETIMEDOUT, ""},
        {"no confirmation", {LIE_CONFIRM, 0, 7, NULL}, -EPROTO, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        struct rig rig;

        print_message("  %s\n", offers[i].what);
        rig_prepare(&rig, SLOTS, SLOT_BYTES);
        rig.lie = offers[i].lie;
        if (rig.lie.kind == LIE_SILENCE)
            rig.patience_ms = 1000;
        rig_open(&rig);
        rig_connect(&rig);
        check_the_liar_is_not_linked(&rig, offers[i].reason, offers[i].says);
    }
}

static struct rig *early; /* until it was written */

/* Rank 1 writes as soon as rank 0 can be written to. */
static void write_early(void)
{
    static const struct write usual = {"", 0, 0, 64,
                                       IBV_WR_RDMA_WRITE_WITH_IMM};
    uint64_t until_ns = clock_later_ns(clock_now_ns(), 2000);
    struct ibv_qp *pair = early == NULL ? NULL : rig_pair(early, 1, 0);
    struct ibv_sge piece;
    struct ibv_send_wr wr, *bad;

    if (pair == NULL || pair->state != IBV_QPS_RTS)
        return;
    while (!fake_reaches_peer(pair) && clock_now_ns() < until_ns)
        ;
    wr = write_of(early, &piece, &usual);
    (void)ibv_post_send(pair, &wr, &bad);
    early = NULL;
}

/* What it wrote may still be in our completion queue when its link is gone. */
static void a_write_before_a_wrong_confirmation_is_ignored(void **state)
{
    struct rig rig;

    (void)state;
    rig_prepare(&rig, SLOTS, SLOT_BYTES);
    rig.lie = (struct rig_lie){LIE_CONFIRM, 0, 7, write_early};
    early = &rig;
    rig_open(&rig);
    rig_connect(&rig);
    check_the_liar_is_not_linked(&rig, -EPROTO, "");
}

/* An honest peer may be that fast, too. */
static void a_write_before_the_confirmation_arrives(void **state)
{
    struct rig rig;
    struct event event;

    (void)state;
    rig_prepare(&rig, SLOTS, SLOT_BYTES);
    rig.lie = (struct rig_lie){LIE_NONE, 0, 0, write_early};
    early = &rig;
    rig_open(&rig);
    rig_connect(&rig);
    assert_int_equal(rig.connected[0], 0);
    assert_int_equal(transport_verbs.poll(rig.endpoints[0], &event, 1), 1);
    assert_int_equal(event.kind, EVENT_ARRIVED);
    assert_int_equal(event.bytes, 64);
    rig_stop(&rig);
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(an_immediate_that_lies_costs_its_own_link),
    cmocka_unit_test(
        a_number_that_was_announced_and_not_read_is_not_taken_again),
    cmocka_unit_test(a_slot_of_another_stripe_costs_its_own_link),
    cmocka_unit_test(what_is_not_a_peers_own_cannot_be_written),
    cmocka_unit_test(a_message_with_bytes_costs_its_own_link),
    cmocka_unit_test(a_flood_waits_for_us),
    cmocka_unit_test(a_word_on_the_control_connection_costs_its_own_link),
    cmocka_unit_test(an_offer_that_lies_costs_its_own_link),
    cmocka_unit_test(a_write_before_a_wrong_confirmation_is_ignored),
    cmocka_unit_test(a_write_before_the_confirmation_arrives),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
