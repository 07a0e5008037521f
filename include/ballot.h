/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot.h - collectives for training on many machines, and the majority vote.
 *
 * Every function returns 0 (or what its comment says) on success and a negative
 * errno on failure; ballot_last_error() then says in words what failed, which
 * ranks are concerned and what to do about it. No call waits for ever: each has
 * a deadline (struct ballot_config, BALLOT_TIMEOUT_MS).
 *
 * Calls on one communicator are matched by their order, as in NCCL and MPI: all
 * ranks make the same calls in the same order. A communicator may be used from
 * several threads, if they agree on that order among themselves.
 *
 * Errors that any collective may return:
 *   -EINVAL       an argument is out of range; nothing was sent
 *   -EPROTO       ranks disagree: another rank called something else
 *   -ETIMEDOUT    the deadline passed; ballot_last_error() names the ranks
 *                 that are missing
 *   -ENOTCONN     a rank that is needed has died
 *   -ESTALE       (with a quorum) this rank is so late that the results it
 *                 missed are gone: take the parameters anew, then go on calling
 *   -ECANCELED    ballot_comm_abort() was called here
 * Without a quorum all of them but -EINVAL end the communicator: every later
 * call on it returns the same error at once; ballot_comm_shrink() makes a
 * communicator of who is left.
 */
#ifndef BALLOT_H
#define BALLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BALLOT_API __attribute__((visibility("default")))

#define BALLOT_VERSION_MAJOR 0
#define BALLOT_VERSION_MINOR 1
#define BALLOT_VERSION_PATCH 0

enum {
    BALLOT_RANKS_MAX = 1024,
    BALLOT_WEIGHT_MAX = 15,
    BALLOT_UNIQUE_ID_BYTES = 128,
    BALLOT_SERVERS_MAX = 64, /* dedicated ones */
};

struct ballot_comm;    /* a communicator: the ranks that work together */
struct ballot_request; /* a collective under way */

/* Made by one process, carried to all others out of band. Holds the address of
 * the root and the job's secret: who has it may join. */
struct ballot_unique_id {
    unsigned char internal[BALLOT_UNIQUE_ID_BYTES];
};

enum ballot_type {
    BALLOT_FLOAT32,
    BALLOT_FLOAT16,
    BALLOT_BFLOAT16,
    BALLOT_FLOAT64,
    /* Packed signs: count coordinates in ceil(count / 64) little-endian 64-bit
     * words; coordinate i is bit i mod 64 of word i / 64, 1 means minus. */
    BALLOT_SIGNS,
    BALLOT_VOTE_TYPES, /* all before it vote, these do not */
    BALLOT_INT8 = BALLOT_VOTE_TYPES,
    BALLOT_UINT8,
    BALLOT_INT16,
    BALLOT_UINT16,
    BALLOT_INT32,
    BALLOT_UINT32,
    BALLOT_INT64,
    BALLOT_UINT64,
    BALLOT_TYPES,
};

enum ballot_op {
    /* The sign that most ranks had, as +1 or -1 in the caller's type (packed
     * for BALLOT_SIGNS). Negative values vote minus; +0, -0 and NaN plus. */
    BALLOT_MAJORITY,
    /* Every type but BALLOT_SIGNS. Integers wrap around. */
    BALLOT_SUM,
    BALLOT_AVG, /* the sum divided by the ranks; of integers, cut off */
    BALLOT_PROD,
    BALLOT_MIN, /* NaN where any rank has one; -0 is less than +0 */
    BALLOT_MAX,
    /* Integers and BALLOT_SIGNS. */
    BALLOT_BIT_AND,
    BALLOT_BIT_OR,
    BALLOT_BIT_XOR,
    BALLOT_OPS, /* and what ballot_op_create_premul_sum() makes */
};

/* Who counts. */
enum ballot_servers {
    BALLOT_SERVERS_RANKS, /* every rank its share: fastest; any death ends it */
    BALLOT_SERVERS_ROOT,  /* rank 0 counts all: quorum, late ranks catch up */
    /* ballot-server processes count, each its share, and do not vote. One of
     * them alone does as root, for all ranks. */
    BALLOT_SERVERS_DEDICATED,
};

/* What an even count decides. */
enum ballot_tie {
    BALLOT_TIE_PLUS,
    BALLOT_TIE_MINUS,
    BALLOT_TIE_ZERO,   /* the output is 0 there (not for BALLOT_SIGNS) */
    BALLOT_TIE_RANDOM, /* a hash of seed, round and coordinate */
};

/* What a coordinate that is exactly zero votes. */
enum ballot_zero {
    BALLOT_ZERO_PLUS,
    BALLOT_ZERO_ABSTAIN, /* a second bit a coordinate goes up */
};

/* Who gets in. */
enum ballot_auth {
    BALLOT_AUTH_DEFAULT, /* group where there is a key, else none */
    BALLOT_AUTH_GROUP,   /* the job's secret is required */
    BALLOT_AUTH_NONE,    /* everybody who knows the port */
};

/* Which ranks compute which tasks of a redundant round (ballot_aspis.h). */
enum ballot_design {
    BALLOT_DESIGN_NONE,
    BALLOT_DESIGN_SUBSETS,    /* a task for every `replicas` of the ranks */
    BALLOT_DESIGN_STS,        /* Steiner triples: 1 or 3 mod 6 ranks, 3
                                 replicas, each two ranks meet in one task */
    BALLOT_DESIGN_PLANE,      /* a projective plane of order replicas - 1 */
    BALLOT_DESIGN_REPETITION, /* groups of `replicas` neighbours */
    BALLOT_DESIGN_MOLS,       /* Latin squares of a prime power of symbols */
};

/* What is concluded from disputes. */
enum ballot_rule {
    BALLOT_RULE_PROOF,      /* what follows from them, and no more */
    BALLOT_RULE_PAPER,      /* the clique rule as printed: not safe */
    BALLOT_RULE_PAPER_PLUS, /* the degree rule of Aspis+ as printed */
};

/* How long disputes are evidence. */
enum ballot_evidence {
    BALLOT_EVIDENCE_ROUND, /* until their round ends */
    BALLOT_EVIDENCE_KEEP,  /* while the communicator lives; the promise is of
                              the same liars then */
};

/*
 * Configuration of a communicator; the same on every rank (init_timeout_ms,
 * auth, dissent and threads may differ). Nothing is kept by reference: weights
 * are copied. Start from BALLOT_CONFIG_DEFAULT; 0 and NULL mean "choose".
 * Environment variables of the name in brackets override the default, not a
 * value that was set here.
 */
struct ballot_config {
    enum ballot_servers servers; /* [BALLOT_SERVERS=ranks|root] */
    const char *servers_at;      /* "host:port,host:port": dedicated servers,
                                    the same list on every rank; all meet at
                                    the first of them, not at BALLOT_ROOT
                                    [BALLOT_SERVERS=host:port,...] */
    const char *transport;       /* "shm", "tcp", "verbs", "^shm", "^verbs"
                                    [BALLOT_TRANSPORT] */
    uint32_t chunk;              /* coordinates, multiple of 512
                                    [BALLOT_CHUNK] */
    uint32_t window;             /* slots of a voter at a server, 1..32
                                    [BALLOT_WINDOW] */
    uint32_t quorum;             /* voters that decide; 0: all. Needs
                                    servers = root, or one dedicated server
                                    [BALLOT_QUORUM] */
    uint32_t liars;              /* promise: at most so many of the voters
                                    lie; checks 2 liars + 1 <= quorum <=
                                    ranks - liars. With a design it is
                                    what proofs rest on, and the default
                                    is (ranks - 1) / 2 [BALLOT_LIARS] */
    uint32_t grace_ms;           /* after a quorum is in, wait so long for
                                    the others; default 100
                                    [BALLOT_GRACE_MS] */
    uint32_t timeout_ms;         /* of a collective; default 60000
                                    [BALLOT_TIMEOUT_MS] */
    uint32_t init_timeout_ms;    /* until all ranks are there; default 60000
                                    [BALLOT_INIT_TIMEOUT_MS] */
    enum ballot_tie tie;         /* [BALLOT_TIE=plus|minus|zero|random] */
    enum ballot_zero zero;       /* [BALLOT_ZERO=plus|abstain] */
    uint64_t seed;               /* of random ties */
    const uint8_t *weights;      /* [ranks], each 1..15; NULL: all 1. Never
                                    derive them from earlier results */
    uint32_t kept_rounds;        /* results kept for late ranks; default 8
                                    [BALLOT_KEPT_ROUNDS] */
    size_t count_max;            /* largest count of a call where memory is
                                    reserved (quorum, optimiser steps);
                                    default 2^25 [BALLOT_COUNT_MAX] */
    bool same_voters;            /* fail a round whose chunks were not all
                                    decided by the same voters */
    uint32_t dissent;            /* 1: count for ballot_comm_dissent(),
                                    where this rank counts votes; 0: do
                                    not [BALLOT_DISSENT] */
    enum ballot_auth auth;       /* [BALLOT_AUTH=group|none] */
    uint32_t threads;            /* that share packing, counting and applying,
                                    up to 64; default: the cores that each
                                    rank of a host can have to itself, at
                                    most 4 [BALLOT_THREADS] */
    /* Redundant rounds, ballot_aspis.h. A design needs one server, at most 256
     * ranks, zeros that are plus, no weights and no dissent. All chunks are
     * then short enough for all tasks of all ranks. */
    enum ballot_design design;     /* [BALLOT_DESIGN=none|subsets|sts|plane|
                                      repetition|mols] */
    uint32_t replicas;             /* of a task; default 3 [BALLOT_REPLICAS] */
    enum ballot_rule rule;         /* [BALLOT_RULE=proof|paper|paper+] */
    enum ballot_evidence evidence; /* [BALLOT_EVIDENCE=round|keep] */
    double flip_rate;              /* how often signs of honest replicas of
                                      a task differ, where ranks do not
                                      compute bit for bit alike: up to 0.1;
                                      0: never [BALLOT_FLIP_RATE] */
    size_t step_count;             /* coordinates of all votes of a step
                                      together, for flip_rate alone
                                      [BALLOT_STEP_COUNT] */
};

#define BALLOT_CONFIG_DEFAULT ((struct ballot_config){0})

/* ---- The library -------------------------------------------------------- */

/* 10000 * major + 100 * minor + patch into *version. */
BALLOT_API int ballot_version(int *version);

/* What `error` (a negative errno) means here; never NULL. */
BALLOT_API const char *ballot_error_string(int error);

/*
 * The last error in words: of `comm`, or with NULL of this thread's last call
 * that had no communicator (init). "" if there was none. Valid until the
 * next failure on the same communicator (or thread).
 */
BALLOT_API const char *ballot_last_error(const struct ballot_comm *comm);

/* ---- Life of a communicator --------------------------------------------- */

/*
 * Makes an id and starts listening for the ranks in this process, which must
 * stay until all have joined. Its address is that of BALLOT_SOCKET_IFNAME or of
 * the route to other hosts; BALLOT_ROOT=host:port sets both.
 */
BALLOT_API int ballot_get_unique_id(struct ballot_unique_id *id);

/*
 * Joins `ranks` processes into one communicator; a collective call, ends on all
 * ranks or names those that did not come. `config` may be NULL. The caller owns
 * *comm and gives it back with ballot_comm_finalize() or _abort() +
 * _finalize().
 *
 *   -EINVAL     a rank, count or configuration is out of range
 *   -EEXIST     another process joined as the same rank
 *   -EPROTO     ranks disagree on the configuration or on the number of ranks
 *   -EACCES     the key is wrong
 *   -ETIMEDOUT  ranks are missing; the error names them
 */
BALLOT_API int ballot_comm_init_rank(struct ballot_comm **comm, int ranks,
                                     const struct ballot_unique_id *id,
                                     int rank,
                                     const struct ballot_config *config);

#include "ballot_launch.h"

BALLOT_API int ballot_comm_rank(const struct ballot_comm *comm);
BALLOT_API int ballot_comm_size(const struct ballot_comm *comm);

/*
 * Waits for outstanding requests, says goodbye, serves the others until they
 * have said it too (or the deadline), then frees everything and sets *comm to
 * NULL. NULL is allowed. Requests must have been waited for: their handles are
 * invalid afterwards.
 */
BALLOT_API int ballot_comm_finalize(struct ballot_comm **comm);

/*
 * Ends every operation of `comm` with -ECANCELED; only sets a flag, returns at
 * once, from any thread. Buffers stay in use until the call or the request that
 * uses them has returned. ballot_comm_finalize() then frees without goodbye.
 */
BALLOT_API int ballot_comm_abort(struct ballot_comm *comm);

/* ---- Collectives --------------------------------------------------------
 *
 * `request` NULL: blocks until complete. Otherwise returns at once with
 * *request, owned by the caller, to be given to ballot_wait() or, until it says
 * done, ballot_test(); buffers stay in use until then. At most 64 requests are
 * under way on a communicator; one more gives -EAGAIN.
 */

/*
 * recv[count] = op over all ranks' send[count]; send == recv is allowed. After
 * a failure the content of recv is undefined.
 *
 * All ranks get the same bits, in every run and over every transport: the order
 * in which values are folded depends on the ranks and the count alone. Each
 * step is rounded to the type.
 *
 * On the wire a majority is ceil(count / 8) bytes and one 64-byte line a chunk,
 * each way. Source: Bernstein et al., "signSGD with Majority Vote is
 * Communication Efficient and Fault Tolerant", ICLR 2019, Algorithm 1.
 */
BALLOT_API int ballot_all_reduce(const void *send, void *recv, size_t count,
                                 enum ballot_type type, enum ballot_op op,
                                 struct ballot_comm *comm,
                                 struct ballot_request **request);

/* recv[count] on every rank = send[count] of rank `root`. Only root reads
 * send; send == recv is allowed. */
BALLOT_API int ballot_broadcast(const void *send, void *recv, size_t count,
                                enum ballot_type type, int root,
                                struct ballot_comm *comm,
                                struct ballot_request **request);

/* Returns when every rank has called it. */
BALLOT_API int ballot_barrier(struct ballot_comm *comm,
                              struct ballot_request **request);

#include "ballot_collectives.h"

/* Hyper-parameters of one Signum step. */
struct ballot_signum {
    float rate;         /* eta > 0 */
    float momentum;     /* beta in [0, 1); 0 is signSGD */
    float weight_decay; /* lambda >= 0, decoupled */
};

/*
 * One optimiser step, fused on both sides:
 *   momentum = (1 - beta) gradient + beta momentum; vote on its signs;
 *   parameters = parameters - rate (sign(vote) + weight_decay parameters).
 * All arrays float32 [count], count <= config.count_max. Momentum is updated
 * when it is packed. Parameters change only when the last result of the round
 * is in: a failed round leaves them as they were.
 * Source: Bernstein et al. 2019, Algorithm 1 (SIGNUM with majority vote).
 */
BALLOT_API int ballot_signum_step(float *parameters, float *momentum,
                                  const float *gradient, size_t count,
                                  const struct ballot_signum *signum,
                                  struct ballot_comm *comm,
                                  struct ballot_request **request);

/* Hyper-parameters of one step with error feedback. */
struct ballot_feedback {
    float rate;         /* eta > 0 */
    float scale;        /* of what a sign stands for, > 0 and finite; 0: chosen
                           for each block of coordinates at each rank */
    float weight_decay; /* lambda >= 0, decoupled */
};

/*
 * One optimiser step as ballot_signum_step(), with error feedback instead of
 * momentum: what the signs of a rank leave of its gradients comes back to it.
 *   p = gradient + error; vote on its signs;
 *   error = p - sent, where sent is scale, or -scale where p < 0;
 *   parameters = parameters - rate (sign(vote) + weight_decay parameters).
 * Scale 0 takes the mean of |p| over blocks of 16384 coordinates, from
 * coordinate 0 of the call on; where config.chunk is smaller, over each chunk.
 * Scales stay at their rank: only signs are voted on, and what the majority
 * takes from them does not come back.
 *
 * All arrays float32 [count], count <= config.count_max; the first error is
 * zeros. It is updated when it is packed, so a failed round may have updated
 * some of it; parameters are then as they were. An error that would not be
 * finite becomes 0, as with a gradient that has a NaN, and what is not finite
 * is left out of the mean. Where zeros abstain a p of zero sends nothing and
 * its error is zero.
 * Source: Karimireddy et al., "Error Feedback Fixes SignSGD and other Gradient
 * Compression Schemes", ICML 2019, Algorithm 1; Zheng, Huang and Kwok,
 * "Communication-Efficient Distributed Blockwise Momentum SGD with
 * Error-Feedback", NeurIPS 2019, for the blocks.
 */
BALLOT_API int ballot_feedback_step(float *parameters, float *error,
                                    const float *gradient, size_t count,
                                    const struct ballot_feedback *feedback,
                                    struct ballot_comm *comm,
                                    struct ballot_request **request);

/*
 * Waits until the collective is complete, frees the request and sets *request
 * to NULL; returns the collective's result.
 */
BALLOT_API int ballot_wait(struct ballot_request **request);

/*
 * *done = whether it is complete; never blocks. When done, frees the request,
 * sets *request to NULL and returns the collective's result.
 */
BALLOT_API int ballot_test(struct ballot_request **request, bool *done);

/* ---- Memory ------------------------------------------------------------- */

/*
 * Lets RDMA devices use memory[bytes] of the caller's directly, until
 * ballot_mem_deregister(), which takes its first address: packed signs
 * (BALLOT_SIGNS) that lie in it are sent from there without being copied, and
 * where it is `writable` results land there. All but the last chunk of a
 * vector, and only without abstaining zeros; results only without a quorum.
 * Where no rank is reached through such a device this does nothing and
 * succeeds. The memory stays the caller's; it is locked, once for each rank
 * that is reached so.
 *
 * As long as it is registered the ranks that count may write into writable
 * memory at any time; so after a call has failed, deregister it before it is
 * used for something else.
 *
 *   -ENOMEM  no more memory may be locked (ulimit -l)
 *   -ENOSPC  more than 64 pieces
 *   -ENOENT  (deregister) this address was not registered
 *   -EBUSY   (deregister) a rank did not acknowledge what was sent from it
 *            within the timeout: it stays registered
 */
BALLOT_API int ballot_mem_register(struct ballot_comm *comm, void *memory,
                                   size_t bytes, bool writable);
BALLOT_API int ballot_mem_deregister(struct ballot_comm *comm, void *memory);

/* ---- What happened ------------------------------------------------------ */

/* The last majority round that this rank completed. */
struct ballot_round {
    uint64_t round;
    uint32_t voters_every; /* voters counted in every chunk */
    uint32_t voters_some;  /* voters counted in at least one chunk */
    uint32_t voters_least; /* least count of any chunk */
    uint32_t lost;         /* ranks that died until now */
    uint64_t every[BALLOT_RANKS_MAX / 64]; /* bit r: rank r, in every chunk */
    uint64_t some[BALLOT_RANKS_MAX / 64];
    uint64_t dead[BALLOT_RANKS_MAX / 64];
};

BALLOT_API int ballot_comm_round(const struct ballot_comm *comm,
                                 struct ballot_round *round);

struct ballot_stats {
    uint64_t rounds;        /* majority rounds completed here */
    uint64_t puts;          /* messages put to peers, self included */
    uint64_t bytes_put;     /* header lines included, self included */
    uint64_t votes_counted; /* slots that this rank's server counted */
    uint64_t votes_late;    /* arrived after their chunk was decided */
    uint64_t dropped;       /* malformed, stale or repeated messages */
    uint64_t strangers;     /* connections that did not prove the key */
    uint64_t direct_bytes;  /* signs sent from, or landed in, memory that
                               ballot_mem_register() was given */
    uint64_t copied_bytes;  /* copied by transports between staging and slot:
                               over verbs only messages of up to 256 bytes */
};

BALLOT_API int ballot_comm_stats(const struct ballot_comm *comm,
                                 struct ballot_stats *stats);

/*
 * Who is outvoted: over all votes that this rank has counted as a server since
 * the communicator began, differing[r] coordinates in which rank r's vote was
 * not the result, of counted[r] coordinates in which it was counted. Both
 * arrays are the caller's, [ballot_comm_size()]. With servers = ranks these are
 * sums over this rank's share of the coordinates, so that the sums of all ranks
 * are those of all votes; with servers = root everything is at rank 0, and the
 * other ranks get zeros.
 *
 * A rank that votes at random differs in half of the coordinates at most, one
 * that votes against all others in nearly all; honest ranks differ in some, for
 * they see other data. Nothing is concluded from it here.
 *
 * A coordinate that tied counts as the result that ties plus or minus gave it;
 * where ties are zero or random nobody differs in it. A zero that abstained
 * does not differ. Both are among the counted.
 *
 *   -EINVAL  dissent is not set in the configuration, or an array is NULL
 */
BALLOT_API int ballot_comm_dissent(const struct ballot_comm *comm,
                                   uint64_t *differing, uint64_t *counted);

#include "ballot_aspis.h"
#include "ballot_membership.h"

#ifdef __cplusplus
}
#endif
#endif
