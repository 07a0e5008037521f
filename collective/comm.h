/* SPDX-License-Identifier: Apache-2.0 */
/*
 * comm.h - what a communicator is made of; shared by the files of collective/.
 *
 * Everything in it is under the engine's lock, but for what is marked. The
 * files: env.c what was configured, redundancy.c who computes what, join.c who
 * is there and over which transport, comm.c life and death, parts.c who votes
 * and counts in it, advance.c one step of work, control.c what ranks say beside
 * collectives, request.c the public collectives, queue.c what waits and is
 * under way, report.c errors in words.
 */
#ifndef BALLOT_COLLECTIVE_COMM_H
#define BALLOT_COLLECTIVE_COMM_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "../aggregate/kernels.h"
#include "../include/ballot.h"
#include "../transport/clock.h"
#include "../transport/handshake.h"
#include "../transport/transport.h"
#include "calls.h"
#include "flow.h"
#include "lanes.h"
#include "majority.h"
#include "redundancy.h"
#include "serve.h"

enum {
    REQUESTS_MAX = 64,
    OPS_MADE_MAX = 64,
    ERROR_BYTES = 512,
    ENDPOINTS_MAX = 3, /* shm, verbs, tcp */
    HOST_BYTES = 64,
    MEMBER_BYTES = HOST_BYTES + 32,
    SERVER_BYTES = 256, /* the address of a server in words */
};

/* ballot_config with every choice made; equal on all ranks where compared. */
struct settings {
    uint32_t servers;   /* enum ballot_servers */
    uint32_t dedicated; /* servers that are no ranks */
    uint32_t chunk;     /* coordinates, at most */
    uint32_t window;
    uint32_t quorum;
    uint32_t liars;
    uint32_t grace_ms;
    uint32_t timeout_ms;
    uint32_t kept_rounds;
    uint32_t tie, zero; /* enums */
    uint32_t same_voters;
    uint32_t transport; /* index in join.c's list, or 0: choose */
    uint32_t design, replicas, rule, evidence; /* ballot_aspis.h */
    uint32_t algorithm;                        /* enum flow_algorithm */
    uint64_t seed;
    uint64_t count_max;
    uint64_t weights_hash; /* 0: no weights */
    uint64_t tolerance;    /* coordinates in which honest replicas may differ,
                              from flip_rate and step_count */
    /* Not compared between ranks: */
    uint32_t threads; /* 0: what the host can spare */
    uint32_t init_timeout_ms;
    uint32_t dissent; /* 0 or 1 */
    uint32_t auth;    /* enum ballot_auth */
    double flip_rate;
    uint64_t step_count;
    uint32_t trust_host;        /* a dedicated server's: shm with its own uid */
    char meeting[SERVER_BYTES]; /* dedicated: where its first server is */
    uint8_t weights[BALLOT_RANKS_MAX];
};

/* env.c: fills settings from config (may be NULL), environment and defaults.
 * -EINVAL with `why` (ERROR_BYTES). */
int settings_resolve(struct settings *settings,
                     const struct ballot_config *config, int ranks, char *why);

/* env.c: a dedicated server takes what `ranks` ranks agree on, the fields
 * before init_timeout_ms, from settings[] on the wire, and their weights.
 * -EINVAL with `why` where a limit is broken. */
int settings_adopt(struct settings *settings, const uint8_t *wire,
                   const uint8_t *weights, uint32_t ranks, char *why);

enum request_kind { REQUEST_MAJORITY, REQUEST_ENTRY, REQUEST_FLOW };

/* A collective under way, in its communicator's pool. */
struct ballot_request {
    struct ballot_comm *comm;
    bool taken; /* not free for another call; under queue_lock */
    enum request_kind kind;
    const char *name;          /* "all_reduce", for errors */
    struct majority_call call; /* the vote, or the entry of the others */
    struct flow_call flow;
    uint64_t factor;               /* FLOW: what flow.factor points to */
    struct flow_message *messages; /* FLOW: of an exchange; freed at its end */
    uint32_t messages_room;
    struct ballot_request *whole; /* we are a message of that exchange */
    bool grouped;                 /* its group has not ended */
    bool unowned;                 /* nobody waits for the exchange itself */
    bool enters;     /* FLOW: with a quorum a round says whether all have
                        called it; without, messages do */
    bool entered;    /* FLOW: they have */
    bool flowed;     /* FLOW: its flow is complete, */
    int flow_result; /* FLOW: with this */
    bool flowing;    /* FLOW: it was begun */
    uint64_t begun_ns;
    int result;
    atomic_bool done; /* read without the lock */
};

/* What a rank that was asked has said of its calls (waits.c). */
struct told {
    uint64_t noted;     /* how many it has made */
    uint64_t before;    /* how many of these came before what is under way */
    uint64_t at;        /* 1 + the number of the flow under way; 0: an exchange,
                           UINT64_MAX: there is none */
    struct call call;   /* that was asked about; */
    struct call under;  /* what is under way; of an exchange a message, if it
                           has stood still for long */
    uint32_t waits_for; /* because of this rank; RANKS_MAX: no such */
    uint32_t called;    /* whether it has made that call */
    uint8_t padding[32];
};
_Static_assert(sizeof(struct told) == 2 * LINE_BYTES,
               "it comes behind a header line");

/* A sum of scaled values; see ballot_op_create_premul_sum(). */
struct made_op {
    bool made;
    enum ballot_type type;
    uint64_t factor; /* its first bytes are of that type */
};

struct ballot_comm {
    /* Members are the ranks, which vote, and the dedicated servers after
     * them, which only count. */
    uint32_t rank, ranks; /* rank < members: our number */
    uint32_t members;
    uint32_t server_first, servers; /* the members that count */
    uint32_t local_ranks;           /* members on this host */
    uint32_t local_cores;           /* that one of these at least may run on */
    uint32_t brief_bytes;           /* as in flow.h */
    uint32_t stream_bytes;          /* the same */
    bool crowded;                   /* the same */
    uint32_t epoch;
    struct settings settings;
    struct credentials credentials;
    const struct kernels *kernels;
    struct redundancy *redundancy; /* NULL: there is no design */

    struct endpoint *endpoints[ENDPOINTS_MAX];
    const struct transport *transports[ENDPOINTS_MAX];
    int descriptors[ENDPOINTS_MAX]; /* to sleep on */
    int endpoints_count;
    char transport_why[ERROR_BYTES]; /* what a transport says while joining */
    struct link *links;              /* [members] */
    char (*hosts)[HOST_BYTES];       /* [members] names, for errors */
    uint32_t slot_bytes;             /* at least: comm_slot_bytes() */

    struct crew *crew;
    struct serve *serve;       /* NULL: this rank counts nothing */
    struct inquest *inquest;   /* NULL: nothing that is redundant */
    struct majority *majority; /* NULL: this is a dedicated server */
    struct flow *flow;         /* the same */

    struct made_op ops[OPS_MADE_MAX];

    struct membership *membership; /* NULL: this is a dedicated server */
    struct sockaddr_storage root;  /* where its ranks have met */
    uint32_t root_bytes;
    bool child;                  /* ranks of another have made it */
    struct ballot_shrunk shrunk; /* ranks_before 0: no shrink has made it */

    struct ballot_request express; /* express.c's */
    atomic_bool express_taken;

    struct ballot_request requests[REQUESTS_MAX];
    pthread_mutex_t queue_lock; /* which are taken, line, submitted */
    struct ballot_request *line[REQUESTS_MAX]; /* a ring: those that wait */
    uint64_t submitted; /* where the next one comes in it */
    uint64_t begun;     /* where the oldest is */
    atomic_int queued;  /* how many are in line */
    struct ballot_request *active[REQUESTS_MAX]; /* in the calls' order */
    uint32_t active_count;

    uint32_t busy_steps;       /* in a row in which something moved */
    bool quiet;                /* nothing to do until something comes, */
    uint64_t tick_ns;          /* or this deadline; 0: not known */
    bool tells;                /* BALLOT_DEBUG asks how calls go */
    uint64_t asked_ns;         /* when all were asked who is there; 0: never */
    uint64_t asked_call;       /* and what they have called as this one */
    struct rank_mask answered; /* who has, since */
    struct rank_mask behind;   /* who has not called that yet */
    struct told *said;         /* [ranks] by who was asked */
    bool holding;              /* a round has failed; answers are awaited */
    struct majority_end held;  /* its end */
    struct rank_mask departed; /* said goodbye */
    struct rank_mask dead;
    uint32_t dead_count;
    uint64_t few_ns;  /* a dedicated server's: since when too few ranks are left
                         for a round; 0: they are not */
    atomic_bool over; /* the same: its ranks have left, or it has failed */
    bool leaving;     /* in finalize: goodbye was said */
    atomic_bool left; /* and all others have said it, or are dead */

    int flows_ended; /* with a quorum: nothing flows since a call has failed so;
                        0: they go on */
    int failed;      /* negative errno: no operation works any more */
    /* What others are told of it, where it is not a death. */
    enum status farewell;         /* LOST, DIFFERS, GONE, else OK */
    uint32_t ended_by;            /* GONE: whose last error says why */
    struct rank_mask missing;     /* LOST */
    struct difference difference; /* DIFFERS */
    atomic_bool aborted;          /* read and written without the lock */
    struct ballot_round round;
    uint64_t rounds;
    uint64_t control_puts, control_bytes;
    uint64_t control_dropped;
    uint64_t strangers; /* of the bootstrap root, if it was here */

    uint64_t told[CALL_OPS]; /* with `tells`: bit b: of b bits of bytes */

    pthread_mutex_t error_lock;
    char error[ERROR_BYTES];

    struct ballot_comm *next; /* engine.c's list */
};

/* With more, nothing depends on what every pair of ranks is like. */
enum { FEW_RANKS = 16 };

static inline bool comm_serves(const struct ballot_comm *comm, uint32_t member)
{
    return member - comm->server_first < comm->servers;
}

/* Whether there is a link between these two. */
static inline bool comm_links(const struct ballot_comm *comm, uint32_t a,
                              uint32_t b)
{
    return a < comm->ranks || b < comm->ranks;
}

/* comm.c, for server.c too: a communicator with our number, its kernels and no
 * settings yet; what settings say of it; joining it, and its engine; goodbye,
 * and freeing it. *made is NULL, or for comm_end(). */
int comm_create(struct ballot_comm **made, uint32_t rank, uint32_t ranks,
                char *why);
int comm_settle(struct ballot_comm *comm, char *why);
int comm_begin(struct ballot_comm *comm, const struct sockaddr *root,
               uint32_t root_bytes, int bell, char *why);
int comm_end(struct ballot_comm *comm);
/* Of the slots over a transport, so that the fragments it likes fit them. */
uint32_t comm_slot_bytes(const struct ballot_comm *comm,
                         const struct transport *transport);
/* Frees what never began. */
void comm_destroy(struct ballot_comm *comm);

/* ---- report.c: errors in words ---- */

/* Sets the communicator's last error. */
void report_error(struct ballot_comm *comm, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Sets this thread's, for calls without a communicator. */
void report_thread(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* One line to BALLOT_DEBUG_FILE or stderr where BALLOT_DEBUG says so. */
enum debug_level { DEBUG_WARN, DEBUG_INFO, DEBUG_TRACE };
void report_debug(enum debug_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whether such a line would be written. */
bool report_asks(enum debug_level level);
/* By which algorithm the flow goes that has just begun: of the first one of
 * its kind and size (a power of two) at INFO, of every other at TRACE. */
void report_way(struct ballot_comm *comm, const struct ballot_request *request);
/* "rank 3 (host)", "server 0 (host)" into text[MEMBER_BYTES], its result. */
const char *report_member(const struct ballot_comm *comm, uint32_t member,
                          char *text);
/* "2, 5-7 of 8 ranks", "server 1 (host)", or both: the members in mask. */
void report_members(char *text, size_t text_bytes,
                    const struct ballot_comm *comm,
                    const struct rank_mask *mask);
/* On which pages and which NUMA node this thread's slots lie, at INFO. */
void report_memory(const struct ballot_comm *comm);
/* "float32", ... */
const char *report_type(uint32_t type);
/* "sum", ... */
const char *report_op(uint32_t op);
/* How a round that was not OK ended, as an errno, with the error set. */
int report_difference(struct ballot_comm *comm, const char *name,
                      const struct difference *difference);
int report_end(struct ballot_comm *comm, const struct ballot_request *request,
               const struct majority_end *end);

/* ---- join.c ---- */

/*
 * Bootstrap, choice of transports, links. Fills comm's endpoints and links; a
 * dedicated server takes its settings from the ranks, for whom it waits until
 * the bell (-1: none) rings: -ECANCELED.
 */
int join_communicator(struct ballot_comm *comm, const struct sockaddr *root,
                      uint32_t root_bytes, int bell, char *why);
void join_undo(struct ballot_comm *comm);

/* ---- parts.c ---- */

struct shape parts_shape(const struct ballot_comm *comm);
/* Opens crew, serve, majority and flow, when comm has its links. */
int parts_open(struct ballot_comm *comm, char *why);
void parts_close(struct ballot_comm *comm);

/* ---- request.c: what every collective that a user calls begins with ---- */

/* NULL, with the error set: too many are under way. */
struct ballot_request *request_take(struct ballot_comm *comm);
/* Queues the request, or leaves it to the group; waits for it unless the caller
 * wants to. */
int request_submit(struct ballot_request *request, struct ballot_request **out);
/* Gives back one that was not submitted. */
void request_give(struct ballot_request *request);
/* Queues it now. */
void request_queue(struct ballot_request *request);

/* ---- express.c: small calls that need nothing but an answer ---- */

/* With the engine's lock, a request that express_run() begins; NULL: not now.
 */
struct ballot_request *express_take(struct ballot_comm *comm);
bool express_has(const struct ballot_request *request);
/* Begins and awaits it; gives the lock back. */
int express_run(struct ballot_request *request);

/* collectives.c: an all_gather of bytes that is called CALL_SPLIT or
 * CALL_DUPLICATE; blocks. */
int collective_tell_all(struct ballot_comm *comm, enum call_op kind,
                        const void *send, void *recv, size_t bytes);

/* ---- group.c: calls of this thread that begin together ---- */

/* Whether there is a group; then the request is its. */
bool group_takes(struct ballot_request *request, bool awaited);
bool group_open(void);

/* -EINVAL with the error set: `name` cannot be called so. */
int request_check(struct ballot_comm *comm, const char *name, const void *send,
                  const void *recv, size_t count, enum ballot_type type);
/* A vote: what of its result this rank keeps, in recv, and what else ranks
 * must agree on (0: nothing). */
struct vote_asked {
    const char *name;
    enum call_op op;
    uint32_t detail;
    const void *send;
    void *recv;
    size_t count;
    enum ballot_type type;
    size_t keep_first, keep_count;
};
int request_vote(struct ballot_comm *comm, const struct vote_asked *asked,
                 struct ballot_request **request);
/* Where results are kept or wait, memory was reserved for count_max. */
int request_check_reserve(struct ballot_comm *comm, const char *name,
                          size_t count);

/* ---- queue.c: requests; with the engine's lock, but for queue_holds() ---- */

/* The oldest in line, where comm->queued says that there is one. */
struct ballot_request *queue_next(struct ballot_comm *comm);
void queue_begin(struct ballot_request *request, uint64_t now_ns);
void queue_finish(struct ballot_request *request, int result);
/* Of those under way; NULL: there is none. */
struct ballot_request *queue_oldest(const struct ballot_comm *comm);
/* The oldest whose flow is not complete. */
struct ballot_request *queue_oldest_flow(const struct ballot_comm *comm);
/* Whether a caller has not given the request back. */
bool queue_holds(struct ballot_request *request);

/* ---- advance.c: one step, with the engine's lock held ---- */

/* Takes what arrived, does at most one chunk of work; false: nothing to do. */
bool advance_step(struct ballot_comm *comm, uint64_t now_ns);
/* When something must be done at the latest; UINT64_MAX: never. */
uint64_t advance_deadline(struct ballot_comm *comm);
/* Ends every operation with `error`; the error text was set before. */
void advance_fail(struct ballot_comm *comm, int error);
/* Whether some operation is under way or queued. */
bool advance_busy(const struct ballot_comm *comm);

/* Hands what has arrived to whom it concerns; false: nothing had. */
bool advance_take_events(struct ballot_comm *comm, uint64_t now_ns);
/* endpoint_config.place; `context` is the communicator. */
void *advance_place(void *context, uint32_t peer, uint32_t slot,
                    const void *head, uint32_t bytes);
/* Numbers a call that begins now. */
void advance_number(struct ballot_comm *comm, struct ballot_request *r);
/* When all are asked who is there, for a deadline that passes at `at_ns`. */
uint64_t advance_early(const struct ballot_comm *comm, uint64_t at_ns);

/* ---- flows.c ---- */

/* Begins the next flow, if none is under way; false: there is none. */
bool flows_start(struct ballot_comm *comm, uint64_t now_ns);
/* Whether ranks have called different things: ends what cannot go on. */
void flows_check(struct ballot_comm *comm, uint64_t now_ns);
/* Its flow has ended, with this result. */
void flows_finish(struct ballot_request *request, int result);
/* Nothing flows any more, because a call has failed so. */
void flows_abandon(struct ballot_comm *comm, int result);
void flows_tick(struct ballot_comm *comm, uint64_t now_ns);
uint64_t flows_deadline(const struct ballot_comm *comm);

/* ---- loss.c ---- */

/* An EVENT_LOST: the link to a peer is gone. */
void loss_of_peer(struct ballot_comm *comm, uint64_t now_ns,
                  const struct event *event);
/* A rank has died: nothing flows any more. Votes go on. */
void loss_fails_flow(struct ballot_comm *comm, struct ballot_request *r);

/* ---- control.c ---- */

void control_arrived(struct ballot_comm *comm, const struct event *event,
                     uint32_t control);
/* Tells every rank that is there; a goodbye says why we failed, if we have. */
void control_tell_all(struct ballot_comm *comm, enum control control);
/* Asks all who is there, unless that was done at or after `since_ns`. */
void control_ask(struct ballot_comm *comm, uint64_t now_ns, uint64_t since_ns);
/* As control_ask(), at a deadline: if all have answered, that was before
 * `deadline_ns` and does not say who has stopped since, so all are asked again.
 */
void control_confirm(struct ballot_comm *comm, uint64_t now_ns,
                     uint64_t since_ns, uint64_t deadline_ns);
/* When all have answered, or who has not is silent. */
uint64_t control_answers_ns(const struct ballot_comm *comm);
/* Narrows `missing` to the silent, if some are, else to who has not called what
 * is under way, and then returns true; others are told of these. */
bool control_blame(struct ballot_comm *comm, struct rank_mask *missing);

/* ---- waits.c ---- */

/* What we say of our own calls, of that number too. */
void waits_describe(const struct ballot_comm *comm, uint64_t number,
                    struct told *told);
/* Another rank's. */
void waits_heard(struct ballot_comm *comm, uint32_t peer,
                 const struct told *told);
/* Whether ranks wait for each other, by calls in another order: two of them. */
bool waits_cross(struct ballot_comm *comm, struct difference *difference);
/* Of those who are waited for, the ones who wait for nobody. */
void waits_narrow(struct ballot_comm *comm, struct rank_mask *missing);

/* ---- statements.c: of a call that makes a communicator of this one ---- */

int membership_open(struct ballot_comm *comm);
void membership_close(struct ballot_comm *comm);
void membership_arrived(struct ballot_comm *comm, const struct event *event,
                        enum control control);
/* A rank has died, this one has called abort, or, with `lost` false, the
 * communicator has failed. */
void membership_wake(struct ballot_comm *comm, bool lost);
/* Says what could not be said before. */
void membership_retry(struct ballot_comm *comm);
enum { STATEMENT_BYTES = 5 * LINE_BYTES }; /* that a slot has room for */

/* ---- server.c: of a dedicated server, with the engine's lock ---- */

/* Whether its ranks have left, or too few of them stay for too long. */
void server_watch(struct ballot_comm *comm, uint64_t now_ns);
/* When it is called at the latest; UINT64_MAX: whenever something arrives. */
uint64_t server_deadline(const struct ballot_comm *comm);

/* ---- engine.c ---- */

/* Adds the communicator to the process's engine, which is started with the
 * first. */
int engine_attach(struct ballot_comm *comm);
void engine_detach(struct ballot_comm *comm);
void engine_lock(void); /* gives way to nobody: the driver gives way to us */
void engine_unlock(void);
/* The lock and the driver's role, if both are free and nobody sleeps. */
bool engine_try_role(void);
void engine_give_role(void);
/* Whether ranks of this host are more than the cores that they may run on. */
bool engine_crowded(void);
/* Whether another thread waits for the lock. */
bool engine_wanted(void);
/* The engine thread looks at the communicator soon. */
void engine_kick(void);
/* Drives until *done, or until `deadline_ns` (then -ETIMEDOUT). */
int engine_drive_until(atomic_bool *done, uint64_t deadline_ns);
/* The same with the lock, which it gives back. */
int engine_drive_on(atomic_bool *done, uint64_t deadline_ns);
/* A request became done: wakes who waits for it. */
void engine_announce(void);

#endif
