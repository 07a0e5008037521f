/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake.h - a connection proves the job's key before it is told anything.
 *
 * Four frames of fixed size over any stream socket, keyed BLAKE2b (libsodium):
 *   HELLO      connector -> acceptor  {magic, version, kind, purpose, rank,
 *                                      ranks, epoch, nonce, MAC}
 *   CHALLENGE  back                   the same fields of the acceptor, MAC over
 *                                     them and the hello
 *   PROOF      connector -> acceptor  {magic, version, kind, purpose, MAC over
 *                                     that, hello and challenge}
 *   READY      back                   the same with its own kind: the acceptor
 *                                     has taken the connector in
 * Whatever is not a valid frame ends the connection without an answer. Fresh
 * nonces make a replay useless. With auth=none the key is all zeros: then only
 * strays are kept out. What follows READY is never read here.
 */
#ifndef BALLOT_TRANSPORT_HANDSHAKE_H
#define BALLOT_TRANSPORT_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KEY_BYTES = 32,
    NONCE_BYTES = 16,
    MAC_BYTES = 32,
    HELLO_BYTES = 68,            /* HELLO and CHALLENGE */
    PROOF_BYTES = 40,            /* PROOF and READY */
    HANDSHAKE_TIMEOUT_MS = 5000, /* of one connection, from accept to proof */
};

struct credentials {
    uint8_t key[KEY_BYTES]; /* of the job; zeros with auth=none */
    bool none;              /* auth=none */
};

/* What a connection is for; a proof for one is void for another. */
enum purpose {
    PURPOSE_BOOTSTRAP = 1,
    PURPOSE_TCP,
    PURPOSE_SHM,
    PURPOSE_VERBS,
};

struct handshake_config {
    const struct credentials *credentials; /* by reference */
    enum purpose purpose;
    uint32_t rank;  /* ours */
    uint32_t ranks; /* in the communicator; 0: not known yet (a bootstrap root
                       takes it from the peers) */
    uint32_t epoch; /* 0 in the bootstrap */
};

/* A handshake under way on a non-blocking descriptor, which it does not own. */
struct handshake {
    struct handshake_config config;
    int descriptor;
    bool connector;
    uint32_t peer;       /* once proven: the peer's rank, < its ranks */
    uint32_t peer_ranks; /* once proven; 0 of a bootstrap root */
    uint8_t stage;       /* the frame under way */
    size_t done_bytes;   /* of that frame */
    uint8_t frame[HELLO_BYTES];
    uint8_t hello[HELLO_BYTES];
    uint8_t challenge[HELLO_BYTES];
};

/* What handshake_step() found, where it is not an error. */
enum { HANDSHAKE_WAIT, HANDSHAKE_DONE, HANDSHAKE_PROVEN };

/* Starts on a descriptor that is connected or connecting; `connector` says
 * which side we are. */
void handshake_start(struct handshake *handshake, int descriptor,
                     bool connector, const struct handshake_config *config);

/*
 * Moves it forward as far as the descriptor allows.
 *   HANDSHAKE_DONE    both sides agree; handshake->peer is proven
 *   HANDSHAKE_PROVEN  only at the acceptor: handshake->peer is proven and waits
 *                     to be let in. The next step does so; to refuse it, close
 *                     the descriptor
 *   HANDSHAKE_WAIT    wait for *events (POLLIN or POLLOUT) on the descriptor
 *   -EACCES      the other side does not know the key, or is no ballot at all
 *   -EPROTO      it knows the key, but is of another communicator, version or
 *                purpose
 *   -ECONNRESET  it has closed; or another errno of the socket
 * After an error only handshake_greeted() may still be asked.
 */
int handshake_step(struct handshake *handshake, short *events);

/*
 * Whether the other side has sent a frame under the key: at the connector this
 * proves that it knows the key, at the acceptor it may yet be a replay.
 */
bool handshake_greeted(const struct handshake *handshake);

#endif
