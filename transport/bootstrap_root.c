/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bootstrap_root.c - the listening side of the bootstrap: a thread that lets
 * in who knows the key and serves one exchange after the other.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bootstrap.h"
#include "clock.h"
#include "exchange.h"
#include "lobby.h"
#include "stream.h"

enum {
    ENDING_MS = 2000, /* to tell everybody, once asked to stop */
    PLACES = LOBBY_STRANGERS_MAX + BOOTSTRAP_RANKS_MAX,
    POLLS_MAX = 2 + PLACES + MEMBERS_MAX,
};

struct bootstrap_root {
    struct credentials credentials;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    uint64_t deadline_ns;
    uint32_t servers;
    int listener; /* the thread's once that runs */
    int bell;     /* rung to stop the thread */
    pthread_t thread;
    atomic_bool closing;
    _Atomic uint64_t strangers;
    struct lobby lobby;
    struct exchange *exchange;
    struct pollfd polls[POLLS_MAX];
};

/* ---- The thread ---- */

static bool serves(const struct bootstrap_root *root)
{
    return root->listener >= 0;
}

static uint64_t next_due_ns(const struct bootstrap_root *root, uint64_t now_ns,
                            uint64_t until_ns)
{
    uint64_t exchange_ns = exchange_due_ns(root->exchange);
    uint64_t lobby_ns =
        serves(root) ? lobby_due_ns(&root->lobby, now_ns) : UINT64_MAX;

    if (exchange_ns < until_ns)
        until_ns = exchange_ns;
    return lobby_ns < until_ns ? lobby_ns : until_ns;
}

/* Waits until something can move, then moves it. Members come before the lobby,
 * so that a rank that left has left before it comes again. */
static int turn(struct bootstrap_root *root, uint64_t until_ns)
{
    uint64_t now_ns = clock_now_ns();
    struct pollfd *polls = root->polls;
    uint32_t members = 1 + exchange_watch(root->exchange, polls + 1);
    uint32_t count = members;

    polls[0] = (struct pollfd){
        .fd = serves(root) ? root->bell : -1,
        .events = POLLIN,
    };
    if (serves(root))
        count += lobby_watch(&root->lobby, polls + members, now_ns);
    if (poll(polls, count,
             stream_wait_ms(now_ns, next_due_ns(root, now_ns, until_ns))) < 0) {
        if (errno != EINTR)
            return -errno;
        for (uint32_t i = 0; i < count; i++)
            polls[i].revents = 0;
    }
    now_ns = clock_now_ns();
    exchange_move(root->exchange, polls + 1, now_ns, root->lobby.strangers);
    if (!serves(root))
        return 0;
    /* Expected ranks must not push each other out. */
    root->lobby.places = LOBBY_STRANGERS_MAX + exchange_ranks(root->exchange);
    return lobby_move(&root->lobby, polls + members, now_ns, exchange_admit,
                      root->exchange);
}

static void count_strangers(struct bootstrap_root *root)
{
    atomic_store(&root->strangers, root->lobby.strangers);
}

static void stop_serving(struct bootstrap_root *root, bool late)
{
    const char *cause = root->servers > 0
                            ? "the server went away before all were there; "
                            : "rank 0 went away before all were there; ";

    lobby_close(&root->lobby);
    count_strangers(root);
    close(root->listener);
    root->listener = -1;
    exchange_end(root->exchange, late ? -ETIMEDOUT : -ECONNRESET,
                 late ? "" : cause, clock_now_ns(), root->lobby.strangers);
}

static void *serve(void *context)
{
    struct bootstrap_root *root = context;
    uint64_t ending_ns;
    bool late = false;
    int result = 0;

    while (result == 0 && !late && !atomic_load(&root->closing)) {
        result = turn(root, root->deadline_ns);
        count_strangers(root);
        late = clock_now_ns() >= root->deadline_ns;
    }
    stop_serving(root, late);
    ending_ns = clock_later_ns(clock_now_ns(), ENDING_MS);
    while (result == 0 && !exchange_is_quiet(root->exchange) &&
           clock_now_ns() < ending_ns)
        result = turn(root, ending_ns);
    exchange_close(root->exchange);
    root->exchange = NULL;
    return NULL;
}

/* Signals are the business of the program's own threads. */
static int start_thread(struct bootstrap_root *root)
{
    sigset_t all, before;
    int result;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&root->thread, NULL, serve, root);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -result;
}

/* ---- Opening ---- */

static int listen_on(struct bootstrap_root *root,
                     const struct sockaddr *address, socklen_t address_bytes)
{
    root->listener = socket(address->sa_family,
                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (root->listener < 0)
        return -errno;
    /* A restarted job finds its port still lingering from the last one. */
    if (setsockopt(root->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1},
                   sizeof(int)) < 0 ||
        bind(root->listener, address, address_bytes) < 0 ||
        listen(root->listener, SOMAXCONN) < 0)
        return -errno;
    root->address_bytes = sizeof(root->address);
    if (getsockname(root->listener, (struct sockaddr *)&root->address,
                    &root->address_bytes) < 0)
        return -errno;
    return 0;
}

static void explain_listen(int error, const struct sockaddr *address,
                           socklen_t address_bytes, char why[WHY_BYTES])
{
    char where[ADDRESS_TEXT_BYTES];
    const char *cure;

    bootstrap_format(address, address_bytes, where);
    switch (-error) {
    case EADDRINUSE:
        cure = "another process listens there; end it, or take another port in"
               " BALLOT_ROOT";
        break;
    case EADDRNOTAVAIL:
        cure = "it is no address of this host; BALLOT_ROOT is to name the host"
               " of rank 0";
        break;
    case EACCES:
        cure = "ports below 1024 are for root only; take another one in"
               " BALLOT_ROOT";
        break;
    case EMFILE: cure = "raise the limit of open files (ulimit -n)"; break;
    default: cure = "is the address in BALLOT_ROOT right?"; break;
    }
    snprintf(why, WHY_BYTES, "cannot listen at %s (%s): %s", where,
             strerrordesc_np(-error), cure);
}

/* Undoes what was made before the thread ran. */
static void free_root(struct bootstrap_root *root)
{
    exchange_close(root->exchange);
    if (root->lobby.guests != NULL)
        lobby_close(&root->lobby);
    if (root->listener >= 0)
        close(root->listener);
    if (root->bell >= 0)
        close(root->bell);
    sodium_memzero(&root->credentials, sizeof(root->credentials));
    free(root);
}

static int prepare(struct bootstrap_root *root)
{
    struct handshake_config config = {
        .credentials = &root->credentials,
        .purpose = PURPOSE_BOOTSTRAP,
    };
    int result = exchange_open(&root->exchange, root->servers);

    if (result < 0)
        return result;
    result = lobby_open(&root->lobby, root->listener, PLACES, &config);
    if (result < 0)
        return result;
    root->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (root->bell < 0)
        return -errno;
    return start_thread(root);
}

int bootstrap_root_open(struct bootstrap_root **root,
                        const struct sockaddr *address, socklen_t address_bytes,
                        const struct credentials *credentials, uint32_t servers,
                        uint64_t deadline_ns, char why[WHY_BYTES])
{
    struct bootstrap_root *opened = calloc(1, sizeof(*opened));
    int result;

    if (opened == NULL) {
        snprintf(why, WHY_BYTES, "out of memory for the bootstrap");
        return -ENOMEM;
    }
    opened->credentials = *credentials;
    opened->deadline_ns = deadline_ns;
    opened->servers = servers;
    opened->bell = -1;
    result = listen_on(opened, address, address_bytes);
    if (result < 0) {
        explain_listen(result, address, address_bytes, why);
        free_root(opened);
        return result;
    }
    result = prepare(opened);
    if (result < 0) {
        snprintf(why, WHY_BYTES,
                 "cannot start the bootstrap (%s): raise the limits of memory,"
                 " threads (ulimit -u) and open files (ulimit -n)",
                 strerrordesc_np(-result));
        free_root(opened);
        return result;
    }
    *root = opened;
    return 0;
}

void bootstrap_root_address(const struct bootstrap_root *root,
                            struct sockaddr_storage *address,
                            socklen_t *address_bytes)
{
    *address = root->address;
    *address_bytes = root->address_bytes;
}

uint64_t bootstrap_root_strangers(const struct bootstrap_root *root)
{
    return atomic_load(&root->strangers);
}

void bootstrap_root_close(struct bootstrap_root *root)
{
    if (root == NULL)
        return;
    atomic_store(&root->closing, true);
    eventfd_write(root->bell, 1);
    pthread_join(root->thread, NULL);
    free_root(root);
}
