/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_engine.c - which of the two engines moves an endpoint's bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tcp.h"
#include "variable.h"

/* With so few ranks plain calls take less time than requests. */
enum { EPOLL_RANKS = 16 };

int tcp_engine_open(struct endpoint *endpoint)
{
    const char *forced = variable("BALLOT_TCP_ENGINE");
    int rc;

    if (forced == NULL ? endpoint->config.ranks > EPOLL_RANKS
                       : strcmp(forced, "uring") == 0) {
        endpoint->engine = TCP_URING;
        rc = uring_open(endpoint);
        if (rc == 0 || forced != NULL)
            return rc;
    } else if (forced != NULL && strcmp(forced, "epoll") != 0) {
        return -EINVAL;
    }
    endpoint->engine = TCP_EPOLL;
    return epoll_open(endpoint);
}

void tcp_engine_close(struct endpoint *endpoint)
{
    switch (endpoint->engine) {
    case TCP_URING: uring_close(endpoint); break;
    case TCP_EPOLL: epoll_close(endpoint); break;
    }
}

const char *tcp_engine_name(const struct endpoint *endpoint)
{
    return endpoint->engine == TCP_URING ? "io_uring" : "epoll";
}

void tcp_engine_send(struct endpoint *endpoint, struct tcp_link *link)
{
    switch (endpoint->engine) {
    case TCP_URING: uring_send(endpoint, link); break;
    case TCP_EPOLL: epoll_send(endpoint, link); break;
    }
}

void tcp_engine_flush(struct endpoint *endpoint)
{
    if (endpoint->engine == TCP_URING)
        uring_flush(endpoint);
}

int tcp_engine_add(struct endpoint *endpoint, struct tcp_link *link)
{
    return endpoint->engine == TCP_URING ? uring_add(endpoint, link)
                                         : epoll_add(endpoint, link);
}

void tcp_engine_cut(struct endpoint *endpoint, struct tcp_link *link)
{
    switch (endpoint->engine) {
    case TCP_URING: uring_cut(endpoint, link); break;
    case TCP_EPOLL: epoll_cut(endpoint, link); break;
    }
}

void tcp_engine_collect(struct endpoint *endpoint)
{
    switch (endpoint->engine) {
    case TCP_URING: uring_collect(endpoint); break;
    case TCP_EPOLL: epoll_collect(endpoint); break;
    }
}

void tcp_engine_receive(struct endpoint *endpoint, struct tcp_link *link)
{
    switch (endpoint->engine) {
    case TCP_URING: uring_receive(endpoint, link); break;
    case TCP_EPOLL: epoll_receive(endpoint, link); break;
    }
}

void tcp_engine_look(struct endpoint *endpoint, struct tcp_link *link)
{
    switch (endpoint->engine) {
    case TCP_URING: uring_look(endpoint, link); break;
    case TCP_EPOLL: epoll_look(endpoint, link); break;
    }
}

int tcp_engine_arm(struct endpoint *endpoint)
{
    return endpoint->engine == TCP_URING ? uring_arm(endpoint)
                                         : epoll_arm(endpoint);
}
