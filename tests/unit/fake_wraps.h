/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_wraps.h - the functions that the linker replaces, for programs that are
 * linked with --wrap: a call of X becomes one of __wrap_X, and __real_X is what
 * it would have been. tests/CMakeLists.txt reads the names from these lines.
 */
#ifndef BALLOT_TESTS_UNIT_FAKE_WRAPS_H
#define BALLOT_TESTS_UNIT_FAKE_WRAPS_H

#include <dirent.h>
#include <ifaddrs.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>

/* verbs.h has them as macros, over the functions of the same name. */
#undef ibv_get_device_list
#undef ibv_reg_mr

#define WRAP(result, name, ...)                                                \
    result __real_##name(__VA_ARGS__);                                         \
    result __wrap_##name(__VA_ARGS__)

/* clang-format off: one a line, whatever its length. */
WRAP(struct ibv_device **, ibv_get_device_list, int *);
WRAP(void, ibv_free_device_list, struct ibv_device **);
WRAP(const char *, ibv_get_device_name, struct ibv_device *);
WRAP(struct ibv_context *, ibv_open_device, struct ibv_device *);
WRAP(int, ibv_close_device, struct ibv_context *);
WRAP(int, ibv_query_device, struct ibv_context *, struct ibv_device_attr *);
WRAP(ssize_t, _ibv_query_gid_table, struct ibv_context *,
     struct ibv_gid_entry *, size_t, uint32_t, size_t);
WRAP(int, ibv_query_pkey, struct ibv_context *, uint8_t, int, __be16 *);
WRAP(struct ibv_pd *, ibv_alloc_pd, struct ibv_context *);
WRAP(int, ibv_dealloc_pd, struct ibv_pd *);
WRAP(struct ibv_mr *, ibv_reg_mr, struct ibv_pd *, void *, size_t, int);
WRAP(struct ibv_mr *, ibv_reg_mr_iova2, struct ibv_pd *, void *, size_t,
     uint64_t, unsigned int);
WRAP(int, ibv_dereg_mr, struct ibv_mr *);
WRAP(struct ibv_comp_channel *, ibv_create_comp_channel, struct ibv_context *);
WRAP(int, ibv_destroy_comp_channel, struct ibv_comp_channel *);
WRAP(struct ibv_cq *, ibv_create_cq, struct ibv_context *, int, void *,
     struct ibv_comp_channel *, int);
WRAP(int, ibv_destroy_cq, struct ibv_cq *);
WRAP(int, ibv_get_cq_event, struct ibv_comp_channel *, struct ibv_cq **,
     void **);
WRAP(void, ibv_ack_cq_events, struct ibv_cq *, unsigned int);
WRAP(int, ibv_get_async_event, struct ibv_context *, struct ibv_async_event *);
WRAP(void, ibv_ack_async_event, struct ibv_async_event *);
WRAP(struct ibv_qp *, ibv_create_qp, struct ibv_pd *,
     struct ibv_qp_init_attr *);
WRAP(int, ibv_modify_qp, struct ibv_qp *, struct ibv_qp_attr *, int);
WRAP(int, ibv_destroy_qp, struct ibv_qp *);

WRAP(struct rdma_event_channel *, rdma_create_event_channel, void);
WRAP(void, rdma_destroy_event_channel, struct rdma_event_channel *);
WRAP(int, rdma_create_id, struct rdma_event_channel *, struct rdma_cm_id **,
     void *, enum rdma_port_space);
WRAP(int, rdma_destroy_id, struct rdma_cm_id *);
WRAP(int, rdma_resolve_addr, struct rdma_cm_id *, struct sockaddr *,
     struct sockaddr *, int);
WRAP(int, rdma_resolve_route, struct rdma_cm_id *, int);
WRAP(int, rdma_get_cm_event, struct rdma_event_channel *,
     struct rdma_cm_event **);
WRAP(int, rdma_ack_cm_event, struct rdma_cm_event *);

WRAP(void *, malloc, size_t);
WRAP(void *, calloc, size_t, size_t);
WRAP(void *, mmap, void *, size_t, int, int, int, off_t);
WRAP(int, fcntl, int, int, ...);
WRAP(int, epoll_create1, int);
WRAP(int, epoll_ctl, int, int, int, struct epoll_event *);
WRAP(int, access, const char *, int);
WRAP(int, getifaddrs, struct ifaddrs **);
WRAP(void, freeifaddrs, struct ifaddrs *);
WRAP(FILE *, fopen, const char *, const char *);
WRAP(DIR *, opendir, const char *);
WRAP(struct dirent *, readdir, DIR *);
WRAP(int, closedir, DIR *);
WRAP(int, stream_send, int, const void *, size_t, size_t *);
/* clang-format on */

#endif
