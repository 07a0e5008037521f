/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what was found, for people and for programs.
 */
#ifndef BALLOT_DOCTOR_REPORT_H
#define BALLOT_DOCTOR_REPORT_H

#include <stdio.h>

#include "judge.h"
#include "pair.h"
#include "self.h"

/* All but facts and problems may be NULL: not asked for. */
struct report {
    const struct facts *facts;
    const struct problems *problems;
    const struct self_test *self;
    const struct pair_result *pair;
};

/* Sections with aligned columns, then the problems and their cures. */
void report_text(FILE *file, const struct report *report);
void report_text_trials(FILE *file, const struct report *report);

/*
 * One JSON object. Its keys stay as they are between versions; new ones may
 * come:
 *   version, ok (false: the exit status is 1)
 *   machine    kernel, cpu, cores
 *   rdma       devices[{name, parent, numa_node, node, node_usable, provider,
 *              open_error, usable, ports[{port, state, link_layer, active_mtu,
 *              interface_mtu, gids[{index, type, gid, interface, ip}]}]}],
 *              chosen (null or {device, port, gid_index}: what ballot uses),
 *              modules{NAME: state}, rdma_cm, netns_mode
 *   memory     memlock_bytes (null: no limit), ipc_lock, ranks, slots,
 *              slot_bytes, needed_bytes, huge_private, huge_shared, nodes, node
 *   tcp        engine (null: none), io_uring, io_uring_reason
 *   kernels    chosen (null: none), asked, tables[{name, runs, lacks}]
 *   problems   [{level: note | warning | error, key, what, cure}]
 *   self_test  null or [{transport, verdict: pass | fail | absent, error, why,
 *              latency_us, bandwidth_gbs, pings, bytes}]
 *   peer       null or {error, why, cure, host, stages[as self_test],
 *              counters[{device, port, name, gained}], causes[{what, command}],
 *              transport, reason}
 * An error is the name of an errno, or null.
 */
void report_json(FILE *file, const struct report *report, bool is_ok);

#endif
