/* SPDX-License-Identifier: Apache-2.0 */
/* parts.c - what works in a communicator: a voter, a server, flows, threads.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "comm.h"
#include "inquest.h"

enum {
    MARGIN_MIN_MS = 200, /* that voters wait longer than servers */
    /* Few more saturate the memory of a socket. */
    THREADS_DEFAULT_MAX = 4,
};

struct shape parts_shape(const struct ballot_comm *comm)
{
    const struct settings *s = &comm->settings;

    return (struct shape){
        .ranks = comm->ranks,
        .coordinates_max = s->chunk,
        .planes_up = s->zero == BALLOT_ZERO_ABSTAIN ? 2 : 1,
        .planes_down = s->tie == BALLOT_TIE_ZERO ? 2 : 1,
        .rows = comm->redundancy == NULL
                    ? 0
                    : redundancy_shape(comm->redundancy)->load,
    };
}

/* Results that a server keeps: the last rounds whole where late ranks catch
 * up, else those that may still be on their way. */
static uint32_t kept_results(const struct settings *s)
{
    uint64_t chunks = (s->count_max + s->chunk - 1) / s->chunk;
    uint64_t kept = s->quorum == 0 ? s->window : chunks * s->kept_rounds;

    return kept < s->window ? s->window : (uint32_t)kept;
}

/* Cores that this process may run on. */
static uint32_t own_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    return (uint32_t)CPU_COUNT(&set);
}

/* The cores that every rank of this host can have to itself. */
static uint32_t spare_threads(const struct ballot_comm *comm)
{
    uint32_t threads = comm->local_cores / comm->local_ranks;
    uint32_t ours = own_cores();

    threads = threads < ours ? threads : ours;
    if (threads < 1)
        return 1;
    return threads < THREADS_DEFAULT_MAX ? threads : THREADS_DEFAULT_MAX;
}

static int open_crew(struct ballot_comm *comm)
{
    uint32_t threads = comm->settings.threads;

    if (threads == 0)
        threads = spare_threads(comm);
    report_debug(DEBUG_INFO, "rank %u: kernels run in %u thread%s", comm->rank,
                 threads, threads > 1 ? "s" : "");
    return crew_open(&comm->crew, threads);
}

static int open_inquest(struct ballot_comm *comm, char *why)
{
    const struct settings *s = &comm->settings;
    char broken[ASSIGNMENT_WHY_BYTES] = "";
    struct verifier_config config;
    int rc;

    if (comm->redundancy == NULL || !comm_serves(comm, comm->rank))
        return 0;
    redundancy_verifier(comm->redundancy, s, comm->kernels, &config);
    rc = inquest_open(&comm->inquest, &config, broken);
    if (rc < 0)
        snprintf(why, ERROR_BYTES, "redundant rounds: %s",
                 broken[0] != '\0' ? broken : strerror(-rc));
    return rc;
}

static int open_server(struct ballot_comm *comm)
{
    const struct settings *s = &comm->settings;
    struct serve_config config = {
        .tally =
            {
                .shape = parts_shape(comm),
                .server = comm->rank - comm->server_first,
                .servers = comm->servers,
                .window = s->window,
                .kept = kept_results(s),
                .quorum = s->quorum,
                .epoch = comm->epoch,
                .timeout_ns = (uint64_t)s->timeout_ms * 1000000,
                .grace_ns = (uint64_t)s->grace_ms * 1000000,
            },
        .rules =
            {
                .ties = s->tie,
                .zeros_abstain = s->zero == BALLOT_ZERO_ABSTAIN,
                .seed = s->seed,
                .weights = s->weights_hash == 0 ? NULL : s->weights,
            },
        .kernels = comm->kernels,
        .crew = comm->crew,
        .links = comm->links,
        .inquest = comm->inquest,
        .dissent = s->dissent != 0,
    };

    if (!comm_serves(comm, comm->rank))
        return 0;
    return serve_open(&comm->serve, &config);
}

static int open_voter(struct ballot_comm *comm)
{
    const struct settings *s = &comm->settings;
    uint32_t margin_ms = s->timeout_ms / 8;
    struct majority_config config = {
        .caster =
            {
                .shape = parts_shape(comm),
                .rank = comm->rank,
                .servers = comm->servers,
                .window = s->window,
                .epoch = comm->epoch,
                .timeout_ns = (uint64_t)s->timeout_ms * 1000000,
                .margin_ns =
                    UINT64_C(1000000) *
                    (margin_ms > MARGIN_MIN_MS ? margin_ms : MARGIN_MIN_MS),
            },
        .kernels = comm->kernels,
        .crew = comm->crew,
        .links = comm->links + comm->server_first,
        .local_ranks = comm->local_ranks,
        .landing = s->quorum == 0,
        .fused_max = s->count_max,
    };

    return majority_open(&comm->majority, &config);
}

int parts_open(struct ballot_comm *comm, char *why)
{
    struct flow_config flow = {
        .rank = comm->rank,
        .ranks = comm->ranks,
        .window = comm->settings.window,
        .slot_bytes = comm->slot_bytes,
        .stream_bytes = comm->stream_bytes,
        .epoch = comm->epoch,
        .brief_bytes = comm->brief_bytes,
        .crowded = comm->crowded,
        .links = comm->links,
    };
    int rc = open_crew(comm);

    comm->tells = report_asks(DEBUG_INFO);
    if (rc < 0) {
        snprintf(why, ERROR_BYTES,
                 "threads for the kernels: %s; set BALLOT_THREADS=1",
                 strerror(-rc));
        return rc;
    }
    rc = open_inquest(comm, why);
    if (rc < 0)
        return rc;
    rc = open_server(comm);
    if (rc == 0 && comm->rank < comm->ranks)
        rc = open_voter(comm);
    if (rc == 0 && comm->rank < comm->ranks)
        rc = flow_open(&comm->flow, &flow);
    if (rc < 0)
        snprintf(why, ERROR_BYTES,
                 "memory for %u slots of %u bytes a rank, or for results of "
                 "%llu coordinates (count_max), is not there: %s",
                 lanes_slots(comm->settings.window), comm->slot_bytes,
                 (unsigned long long)comm->settings.count_max, strerror(-rc));
    return rc;
}

void parts_close(struct ballot_comm *comm)
{
    flow_close(comm->flow);
    majority_close(comm->majority);
    serve_close(comm->serve);
    inquest_close(comm->inquest);
    crew_close(comm->crew);
}
