/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_verbs.h - RDMA devices within the process, for machines without any.
 *
 * The linker puts these functions in the place of libibverbs, librdmacm and of
 * a few of the C library. Queue pairs of one process write each other's memory
 * as a device would: it checks keys, bounds and protection domains, takes a
 * receive for each immediate, and completes in the order of posting. It counts
 * what was made and not freed, aborts at what would hang or be undefined with
 * the true libraries, and lets any call fail on command.
 *
 * fake_verbs.c has what is counted and what fails, fake_device.c devices,
 * fake_pairs.c queue pairs, fake_work.c what they do, fake_routes.c the
 * connection manager, fake_system.c the C library.
 */
#ifndef BALLOT_TESTS_UNIT_FAKE_VERBS_H
#define BALLOT_TESTS_UNIT_FAKE_VERBS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Calls that fail on command ---- */

enum fake_call {
    FAKE_GET_DEVICE_LIST,
    FAKE_OPEN_DEVICE,
    FAKE_QUERY_DEVICE,
    FAKE_QUERY_PORT,
    FAKE_QUERY_GID_TABLE,
    FAKE_QUERY_PKEY,
    FAKE_CREATE_CHANNEL,
    FAKE_CREATE_CQ,
    FAKE_ALLOC_PD,
    FAKE_REG_MR,
    FAKE_ALLOC_MW,
    FAKE_BIND_MW,
    FAKE_CREATE_QP,
    FAKE_MODIFY_QP,
    FAKE_POST_SEND,
    FAKE_POST_RECV,
    FAKE_POLL_CQ,
    FAKE_NOTIFY_CQ,
    FAKE_ACCESS,
    FAKE_EVENT_CHANNEL,
    FAKE_CREATE_ID,
    FAKE_RESOLVE_ADDRESS,
    FAKE_RESOLVE_ROUTE,
    FAKE_MALLOC,
    FAKE_CALLOC,
    FAKE_MMAP,
    FAKE_FCNTL,
    FAKE_EPOLL_CREATE,
    FAKE_EPOLL_ADD,
    FAKE_GETIFADDRS,
    FAKE_CALLS,
};

/* Call number `nth` (from 1) of its kind by this thread from now on fails with
 * `error`, and so do the times - 1 after it. */
void fake_fail(enum fake_call call, uint32_t nth, uint32_t times, int error);
/* How often that has happened; no more of it happens. */
uint32_t fake_stop_failing(void);
const char *fake_call_name(enum fake_call call);

/* ---- Devices ---- */

enum { FAKE_DEVICES_MAX = 4, FAKE_PORTS_MAX = 2, FAKE_GIDS_MAX = 8 };

struct fake_device {
    struct ibv_device device;
    struct ibv_device_attr limits;
    struct ibv_port_attr ports[FAKE_PORTS_MAX];
    struct ibv_gid_entry gids[FAKE_GIDS_MAX];
    uint32_t gids_count;
    uint32_t inline_max;  /* bytes that a work request takes */
    bool wants_read_room; /* refuses max_dest_rd_atomic = 0 */
    uint16_t pkeys[4];    /* network order */
    const char *node;     /* what numa_node says, or NULL: no such file */
    const char *ipoib;    /* the interface over it, or NULL */
};

extern struct fake_device fake_devices[FAKE_DEVICES_MAX];
extern int fake_devices_count;

/*
 * Starts anew with `count` devices "fake0", "fake1", ...: each with one active
 * port of Ethernet, MTU 1024, GID 0 for RoCE v1 and GID 1 for RoCE v2 of
 * 10.9.0.1, 10.9.0.2, ...
 */
void fake_reset(int count);

/* Adds "192.0.2.1" or "2001:db8::1" as the next GID of a port (from 1). */
void fake_add_gid(struct fake_device *device, uint32_t port, const char *ip,
                  enum ibv_gid_type type);

/* The device speaks InfiniBand, and `ipoib` (or NULL) is its interface. */
void fake_make_infiniband(struct fake_device *device, const char *ipoib);

/* What getifaddrs() tells of "ib0", which IPoIB made. */
extern bool fake_ipoib_has_v4, fake_ipoib_has_v6;

/* Objects that are not freed yet, of all kinds. */
uint32_t fake_alive(void);

/* ---- What devices do ---- */

/* While true nothing that is posted is carried out. */
extern bool fake_is_held;
void fake_release(void);

/* The oldest work request of a queue pair, a send if there is one, ends with
 * `status`, and all others are flushed. */
void fake_end(struct ibv_qp *pair, enum ibv_wc_status status);

/* Writes that found no receive, ever. */
extern uint64_t fake_not_ready;
/* Completions that were taken, of sends. */
extern uint64_t fake_signalled;

/* An event of the device that endpoint's context will read. */
void fake_tell(struct ibv_context *context, enum ibv_event_type type,
               void *element);
void fake_tell_port(struct ibv_context *context, enum ibv_event_type type,
                    int port);

/* Whether what is posted there now would reach its peer. */
bool fake_reaches_peer(const struct ibv_qp *pair);
/* What a queue pair was told last of its way. */
struct ibv_qp_attr fake_attributes(const struct ibv_qp *pair);

/* ---- What the network's manager does ---- */

struct fake_routes {
    bool silent;        /* no answer, ever */
    int refused;        /* device to which there is no way, or -1 */
    bool refuses_route; /* there is an address and no route */
    int status;         /* of what is refused */
    int paths;          /* found */
    uint8_t port;       /* that they leave from */
    uint8_t mtu;        /* enum ibv_mtu */
    uint8_t hop_limit, service_level;
    uint16_t pkey; /* network order */
};
extern struct fake_routes fake_routes;

#endif
