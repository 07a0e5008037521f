/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.h - how the ranks of a communicator make another one.
 *
 * child.c makes it, of whoever knows where to meet. In split.c all ranks tell
 * each other in collectives of the old communicator. In shrink.c that may have
 * failed, so there they agree by statements (statements.c): each rank has one,
 * which says all that it has to say, and when it changes, the newest goes to
 * whoever should know, over the control lane, which works until a rank is gone.
 */
#ifndef BALLOT_COLLECTIVE_MEMBERSHIP_H
#define BALLOT_COLLECTIVE_MEMBERSHIP_H

#include "../transport/bootstrap.h"
#include "comm.h"

/* Where the ranks of the new communicator meet. The key that lets them in is
 * made of the old one's and the salt. */
enum { SALT_BYTES = 16, PLACE_ADDRESS_BYTES = 28 };
struct gathering_place {
    uint32_t address_bytes; /* of a sockaddr_in or sockaddr_in6 */
    uint8_t address[PLACE_ADDRESS_BYTES];
    uint8_t salt[SALT_BYTES];
};

/* ---- child.c ---- */

/* One under way. */
struct child {
    struct ballot_comm *parent;
    const struct ballot_config *config; /* NULL: as the parent's */
    struct gathering_place place;
    const uint32_t *from; /* [ranks] their numbers in the parent */
    uint32_t rank, ranks;
    uint64_t deadline_ns;
    char *why; /* ERROR_BYTES */
};

/*
 * The new rank 0 listens and fills `place`; until child_leave(), which returns
 * how many strangers came.
 */
int child_listen(struct child *child, struct bootstrap_root **root);
uint64_t child_leave(struct bootstrap_root *root);
/* Whether `place`, which a peer has named, may be one. */
bool child_knows_place(const struct child *child);
/* Joins the others there, until the deadline, or the bell of the parent's
 * membership: -ECANCELED. */
int child_join(struct ballot_comm **made, const struct child *child);
/* Until when it has to be made: as the caller has configured, or the old one.
 */
uint64_t child_deadline_ns(const struct ballot_comm *parent,
                           const struct ballot_config *config);
/* Whether it could be configured so; -EINVAL, before anybody waits for us. */
int child_check(const struct child *child);
/* Ends what not all have joined. NULL is allowed. */
void child_discard(struct ballot_comm *made);

/* ---- statements.c ---- */

/* How far a rank is in a shrink. */
enum phase {
    PHASE_NONE,    /* has never called it */
    PHASE_HERE,    /* is there; with an attempt: could not join that */
    PHASE_INVITES, /* leads: all to come to `place` */
    PHASE_JOINED,  /* that attempt */
    PHASE_DONE,    /* all have joined it */
    PHASE_FAILED,  /* for `result`, and so do all others */
    PHASES,
};

struct statement {
    uint64_t newest, oldest; /* rounds: our own; INVITES: of all */
    uint32_t version;        /* goes up with each change; 0: nothing was said */
    uint32_t call;           /* the how-manieth shrink */
    uint32_t phase;
    uint32_t leader, attempt; /* whose, and the how-manieth of its; 0: none */
    int32_t result;
    struct gathering_place place;
    uint8_t padding[40];
    struct rank_mask gone; /* dead or excluded, as far as this rank knows */
};
_Static_assert(STATEMENT_BYTES == LINE_BYTES + sizeof(struct statement),
               "a slot has room for one");

/* With the engine's lock, but for what is marked. */
struct membership {
    bool busy;        /* a call makes a new communicator */
    bool shrinks;     /* and it goes by statements */
    int bell;         /* of that call: rung when its plan is void; else -1 */
    bool alarmed;     /* it was rung */
    atomic_bool news; /* something was heard; read without the lock */
    uint32_t leader, attempt; /* that we join or lead */
    bool unsaid;              /* something could not be put yet */
    struct statement ours;
    struct rank_mask audience; /* who is to know ours */
    struct member_state {
        struct statement theirs;
        uint32_t told;  /* the version that was put last */
        uint32_t heard; /* the version that they say they have */
        uint32_t owed;  /* theirs, to be acknowledged; 0: none */
    } * members;        /* [ranks] */
};

/*
 * One call at a time, which gets the bell. -EBUSY, -ECANCELED (aborted) or
 * -EMFILE with the error set. Takes the lock itself, as does the end.
 */
int membership_begin(struct ballot_comm *comm, const char *name, bool shrinks);
void membership_end(struct ballot_comm *comm);

/* Silences the bell, before something new is waited for. */
void membership_calm(struct ballot_comm *comm);
/* Ours has changed: it goes to the audience. */
void membership_state(struct ballot_comm *comm);
/* The audience has changed. */
void membership_tell(struct ballot_comm *comm);

#endif
