/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_liar.c - opens and links the victim, the liar and the honest rank.
 */
#include "shm_liar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "transport/clock.h"
#include "transport/memory.h"
#include "transport/mesh.h"

static const struct credentials credentials = {.key = {2, 7}};
const struct transport *const shm = &transport_shm;

struct party victim, honest;
struct address table[RANKS];
struct shm_link liar;
struct shm_layout layout;
void *liar_page;
int liar_listener;
const int *victim_bell;
static int liar_page_descriptor;

uint64_t in_ms(uint64_t ms)
{
    return clock_later_ns(clock_now_ns(), ms);
}

void party_open(struct party *party, uint32_t rank)
{
    struct endpoint_config config = {.rank = rank,
                                     .ranks = RANKS,
                                     .slots = SLOTS,
                                     .slot_bytes = SLOT_BYTES,
                                     .credentials = &credentials,
                                     .bell =
                                         rank == VICTIM ? victim_bell : NULL};

    *party = (struct party){.rank = rank};
    assert_int_equal(shm->open(&party->endpoint, &config), 0);
    assert_int_equal(shm->address(party->endpoint, &table[rank]), 0);
}

static void *join(void *context)
{
    struct party *party = context;

    party->connected = shm->connect(party->endpoint, table, party->wanted,
                                    EPOCH, party->deadline_ns);
    return NULL;
}

void party_connect(struct party *party, uint64_t timeout_ms)
{
    party->deadline_ns = in_ms(timeout_ms);
    join(party);
}

static void start_joining(struct party *party, uint64_t timeout_ms)
{
    party->deadline_ns = in_ms(timeout_ms);
    assert_int_equal(pthread_create(&party->thread, NULL, join, party), 0);
}

void liar_approach(void)
{
    struct mesh_peer peers[RANKS] = {[VICTIM] = {.wanted = true}};
    struct mesh_config config = {
        .handshake = {.credentials = &credentials,
                      .purpose = PURPOSE_SHM,
                      .rank = LIAR,
                      .ranks = RANKS,
                      .epoch = EPOCH},
        .listener = liar_listener,
        .deadline_ns = in_ms(5000),
    };
    uint64_t strangers = 0;

    assert_int_equal(shm_socket_address(&peers[VICTIM].address,
                                        &peers[VICTIM].address_bytes,
                                        &table[VICTIM], &table[LIAR]),
                     0);
    assert_int_equal(mesh_connect(&config, peers, &strangers), 0);
    memset(&liar, 0, sizeof(liar));
    liar.descriptor = peers[VICTIM].descriptor;
    liar.state = LINK_MEETING;
}

void liar_begin(uint64_t timeout_ms)
{
    party_open(&victim, VICTIM);
    party_open(&honest, HONEST);
    shm_layout_init(&layout, SLOTS, SLOT_BYTES);
    assert_int_equal(layout.notices, NOTICES);
    assert_int_equal(memory_share(&liar_page, &liar_page_descriptor,
                                  layout.shown_bytes, MEMORY_READ),
                     0);
    liar_listener = shm_listen(&table[LIAR]);
    assert_true(liar_listener >= 0);
    victim.wanted[LIAR] = victim.wanted[HONEST] = true;
    honest.wanted[VICTIM] = true;
    start_joining(&victim, timeout_ms);
    start_joining(&honest, timeout_ms);
    liar_approach();
}

void liar_settle(int expected)
{
    pthread_join(victim.thread, NULL);
    pthread_join(honest.thread, NULL);
    assert_int_equal(victim.connected, expected);
    assert_int_equal(honest.connected, 0);
    assert_int_equal(victim.wanted[LIAR], expected != 0);
    assert_false(victim.wanted[HONEST]);
}

void liar_begin_linked(void)
{
    liar_begin(5000);
    assert_int_equal(shm_links_exchange(&liar, 1, &layout, liar_page_descriptor,
                                        in_ms(5000), NULL),
                     0);
    liar_settle(0);
}

struct event next_event(struct endpoint *endpoint)
{
    uint64_t deadline_ns = in_ms(5000);
    struct event event;

    while (shm->poll(endpoint, &event, 1) == 0)
        assert_true(clock_now_ns() < deadline_ns);
    return event;
}

void liar_harmed_nobody(void)
{
    struct event event;

    assert_int_equal(shm->put(victim.endpoint, HONEST, 1, 64), 0);
    event = next_event(honest.endpoint);
    assert_int_equal(event.kind, EVENT_ARRIVED);
    assert_int_equal(event.slot, 1);
    assert_int_equal(shm->put(honest.endpoint, VICTIM, 2, 128), 0);
    do {
        event = next_event(victim.endpoint);
    } while (event.peer == LIAR && event.kind == EVENT_ARRIVED);
    assert_int_equal(event.kind, EVENT_ARRIVED);
    assert_int_equal(event.peer, HONEST);
    assert_int_equal(event.slot, 2);
    assert_int_equal(event.bytes, 128);
}

void liar_end(void)
{
    shm->close(victim.endpoint);
    shm->close(honest.endpoint);
    shm_link_close(&liar, &layout);
    memory_unmap(liar_page, layout.shown_bytes);
    close(liar_page_descriptor);
    close(liar_listener);
}

void liar_send(const void *bytes, size_t count, const int *descriptors,
               size_t descriptors_count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes,
                           .iov_len = count};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

    if (descriptors_count > 0) {
        struct cmsghdr *header = (struct cmsghdr *)(void *)control;

        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(descriptors_count * sizeof(int));
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(descriptors_count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, descriptors_count * sizeof(int));
    }
    assert_int_equal(sendmsg(liar.descriptor, &message, MSG_NOSIGNAL), count);
}

int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}
