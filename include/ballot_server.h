/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot_server.h - a process that counts the votes of others: what the program
 * ballot-server does, for who wants it in a program of his own.
 *
 * It serves one job after the other and votes in none. Ranks name the servers
 * (servers_at of struct ballot_config); these take their settings from what the
 * ranks agree on. The first server is there before its ranks, and all meet at
 * its address. A server serves one communicator at a time: ranks that come for
 * another one wait, within their init_timeout_ms. Errors are as in ballot.h.
 */
#ifndef BALLOT_SERVER_H
#define BALLOT_SERVER_H

#include "ballot.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ballot_server;

/* Zeros mean what the comments say; strings are copied. */
struct ballot_server_config {
    const char *servers_at; /* the ranks' list; NULL: [BALLOT_SERVERS] */
    uint32_t index;         /* which of the list this is; 0 listens there (port
                               0: any), others join it */
    uint32_t ranks;         /* of each job */
    const char *key_file;   /* the job's key; NULL: [BALLOT_KEY_FILE] */
    enum ballot_auth auth;  /* without a key BALLOT_AUTH_NONE must be said */
    bool trust_host;        /* processes of this user may be reached through
                               shared memory, in which they could be made to
                               write what they did not vote; else they are
                               reached as if they were on another host */
    uint32_t threads;       /* that share the counting; 0: as ballot_config */
    uint32_t init_timeout_ms; /* to be linked with the ranks once all are there;
                                 0: as ballot_config */
};

/*
 * -EINVAL, -EACCES and errors of listening; ballot_last_error(NULL) says why.
 * The caller gives *server back with ballot_server_close().
 */
BALLOT_API int ballot_server_open(struct ballot_server **server,
                                  const struct ballot_server_config *config);

/*
 * Waits, without a deadline, until all ranks of a job are there. After an error
 * but the last three it may be called again.
 *   -ETIMEDOUT  ranks were missing when the first of them lost patience
 *   -EPROTO     the ranks contradict each other, or want what this server
 *               cannot do: all of them are told
 *   -ENOTCONN, -ECONNRESET, ...  a rank or the first server went away
 *   -ECANCELED  ballot_server_stop()
 *   -EACCES     (index > 0) the first server has another key
 *   -EEXIST     (index > 0) another server has this index
 */
BALLOT_API int ballot_server_await(struct ballot_server *server);

/*
 * Serves the job that ballot_server_await() found, until all ranks have said
 * goodbye or died, or it has failed; then forgets it. 0, or the errno that
 * ended it: what the ranks get, and -ECANCELED after ballot_server_stop().
 */
BALLOT_API int ballot_server_serve(struct ballot_server *server);

/* Ends await and serve, now and from now on; ranks of a job are told. From any
 * thread, not from a signal handler. */
BALLOT_API int ballot_server_stop(struct ballot_server *server);

/* Of the job under way, or of the last one. */
struct ballot_server_status {
    char address[128]; /* where the ranks meet */
    uint64_t jobs;     /* begun until now */
    bool serving;      /* the job is under way */
    uint32_t ranks;    /* that have not left: */
    uint32_t departed; /* these said goodbye, */
    uint32_t lost;     /* and these died without */
    uint64_t round;    /* the latest that was answered */
    uint32_t voters;   /* counted in the latest chunk */
    uint64_t votes_counted, votes_late, dropped; /* as ballot_stats */
    uint64_t bytes_in;  /* votes, header lines included */
    uint64_t bytes_out; /* results */
    uint64_t strangers; /* connections that did not prove the key, all jobs */
};

/* From any thread. */
BALLOT_API int ballot_server_status(struct ballot_server *server,
                                    struct ballot_server_status *status);

/* The host of a rank of the job under way; "" if there is none. */
BALLOT_API int ballot_server_host(struct ballot_server *server, uint32_t rank,
                                  char *host, size_t host_bytes);

/* Stops and frees; no other call may be under way. NULL is allowed. */
BALLOT_API int ballot_server_close(struct ballot_server **server);

#ifdef __cplusplus
}
#endif
#endif
