/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.c - the tcp transport over io_uring.
 *
 * Each link has at most one send and one receive under way: that keeps the
 * order of its bytes, and the completion queue has room for all of them, so no
 * peer can overrun it. Completions cost no system call to see. Sends of one
 * poll are submitted together at its end, receives with them or with the next.
 * Between few ranks small frames do without: while we poll, plain calls move
 * them in less time than requests take (a vote of 64 bytes between two ranks:
 * 12 us against 15 on Zen 4), and only who goes to sleep asks the ring.
 *
 * Any thread may drive an endpoint, but the kernel completes a request in the
 * thread that submitted it. COOP_TASKRUN keeps it from sending an interrupt to
 * that thread for each (an interrupt costs more than all the rest of a small
 * message on virtual machines); the thread that polls sees TASKRUN and enters
 * the kernel instead. Where the request is that of another thread, which went
 * back to its own work, it would wait for that thread's next timer tick; so the
 * poller interrupts all threads of the process with membarrier(), and sleeps on
 * the sockets as well as on the ring. Requests of a thread that ends come back
 * as cancelled and are made again.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tcp.h"

enum { SUBMIT_ENTRIES = 128 };

/* The low bit of a completion's user data; the rest is the link's address. */
enum { RECEIVE = 0, SEND = 1 };

struct uring {
    struct io_uring ring;
    int bell;         /* epoll of the ring and, by edges, of all sockets */
    uint32_t flights; /* requests that have not come back */
    bool sends;       /* some request not yet submitted is a send */
};

static bool can_do_all(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool can = probe != NULL &&
               io_uring_opcode_supported(probe, IORING_OP_SENDMSG) &&
               io_uring_opcode_supported(probe, IORING_OP_RECV);

    io_uring_free_probe(probe);
    return can;
}

/* Some sandboxes let a ring be made and refuse to drive it. */
static int try_nop(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    int rc;

    io_uring_prep_nop(io_uring_get_sqe(ring));
    rc = io_uring_submit(ring);
    if (rc < 0)
        return rc;
    if (rc != 1 || io_uring_peek_cqe(ring, &cqe) != 0)
        return -ENOSYS;
    rc = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return rc;
}

static bool can_interrupt_threads(void)
{
    int command = MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;

    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

/* Linux before 5.19 knows no COOP_TASKRUN. */
static int make_ring(struct io_uring *ring, uint32_t ranks)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = 2 * ranks + SUBMIT_ENTRIES,
    };
    struct io_uring_params better = params;
    int rc = -EINVAL;

    better.flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    if (can_interrupt_threads())
        rc = io_uring_queue_init_params(SUBMIT_ENTRIES, ring, &better);
    if (rc == -EINVAL)
        rc = io_uring_queue_init_params(SUBMIT_ENTRIES, ring, &params);
    return rc;
}

static int watch(struct uring *uring, int descriptor, uint32_t events)
{
    struct epoll_event event = {.events = events};

    if (epoll_ctl(uring->bell, EPOLL_CTL_ADD, descriptor, &event) < 0)
        return -errno;
    return 0;
}

static int make_bell(struct uring *uring)
{
    int rc;

    uring->bell = epoll_create1(EPOLL_CLOEXEC);
    if (uring->bell < 0)
        return -errno;
    rc = watch(uring, uring->ring.ring_fd, EPOLLIN);
    if (rc != 0)
        close(uring->bell);
    return rc;
}

int uring_open(struct endpoint *endpoint)
{
    struct uring *uring = calloc(1, sizeof(*uring));
    int rc;

    if (uring == NULL)
        return -ENOMEM;
    rc = make_ring(&uring->ring, endpoint->config.ranks);
    if (rc != 0)
        goto free_uring;
    rc = -ENOSYS;
    /* Without FAST_POLL the kernel would block a thread for each request. */
    if (uring->ring.features & IORING_FEAT_FAST_POLL &&
        can_do_all(&uring->ring))
        rc = try_nop(&uring->ring);
    if (rc == 0)
        rc = make_bell(uring);
    if (rc != 0)
        goto exit_queue;
    endpoint->uring = uring;
    return 0;
exit_queue:
    io_uring_queue_exit(&uring->ring);
free_uring:
    free(uring);
    return rc;
}

/* On a non-blocking socket requests would fail where they are to wait. */
int uring_add(struct endpoint *endpoint, struct tcp_link *link)
{
    int flags = fcntl(link->descriptor, F_GETFL);

    if (flags < 0 || fcntl(link->descriptor, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return -errno;
    return watch(endpoint->uring, link->descriptor,
                 EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

/* While the kernel has requests of a link that was cut, its number stays taken:
 * one that is not submitted yet must not meet another file. */
static void close_when_idle(struct tcp_link *link)
{
    if (!link->sending && !link->receiving)
        close(link->cut_descriptor);
}

void uring_cut(struct endpoint *endpoint, struct tcp_link *link)
{
    epoll_ctl(endpoint->uring->bell, EPOLL_CTL_DEL, link->descriptor, NULL);
    /* Ends the requests as well, if only later: uring_close() waits. */
    shutdown(link->descriptor, SHUT_RDWR);
    link->cut_descriptor = link->descriptor;
    link->descriptor = -1;
    close_when_idle(link);
}

/* Whether everything that was prepared is on its way. */
static bool submit(struct uring *uring)
{
    if (io_uring_sq_ready(&uring->ring) > 0)
        io_uring_submit(&uring->ring);
    uring->sends = false;
    return io_uring_sq_ready(&uring->ring) == 0;
}

/* NULL if the kernel takes no more just now: the next poll tries again. */
static struct io_uring_sqe *prepare(struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

    if (sqe == NULL && submit(uring))
        sqe = io_uring_get_sqe(&uring->ring);
    if (sqe != NULL)
        uring->flights++;
    return sqe;
}

/* Asks the ring for what comes next. */
static void request(struct endpoint *endpoint, struct tcp_link *link)
{
    struct iovec pieces[2];
    struct io_uring_sqe *sqe = prepare(endpoint->uring);

    if (sqe == NULL) {
        tcp_ready(endpoint, link);
        return;
    }
    /* Either what is left of a payload, in one completion, or whatever there
     * is of headers and small frames. */
    tcp_wanted(endpoint, link, pieces);
    io_uring_prep_recv(sqe, link->descriptor, pieces[0].iov_base,
                       pieces[0].iov_len, link->bytes != 0 ? MSG_WAITALL : 0);
    io_uring_sqe_set_data64(sqe, (uintptr_t)link | RECEIVE);
    link->receiving = true;
}

static bool awaits(const struct tcp_link *link)
{
    return link->descriptor >= 0 && !link->receiving && !link->ended;
}

/* Whether a plain call is made for what comes next, for as long as we poll. */
static bool asks_directly(const struct endpoint *endpoint,
                          const struct tcp_link *link)
{
    return endpoint->peers_count <= DIRECT_LINKS &&
           (link->bytes == 0 ||
            link->bytes - link->landed_bytes <= SMALL_BYTES);
}

void uring_receive(struct endpoint *endpoint, struct tcp_link *link)
{
    size_t asked_bytes;

    link->readable = false;
    if (!awaits(link))
        return;
    if (asks_directly(endpoint, link))
        tcp_receive_now(endpoint, link, &asked_bytes);
    else
        request(endpoint, link);
}

/* What a request is under way for comes to that. */
void uring_look(struct endpoint *endpoint, struct tcp_link *link)
{
    size_t asked_bytes;

    if (link->receiving)
        uring_collect(endpoint);
    else if (awaits(link))
        tcp_receive_now(endpoint, link, &asked_bytes);
}

void uring_send(struct endpoint *endpoint, struct tcp_link *link)
{
    struct io_uring_sqe *sqe;

    if (link->sending || !link->up || !tcp_has_output(link))
        return;
    if (endpoint->peers_count <= DIRECT_LINKS && tcp_is_small(link)) {
        tcp_send_now(endpoint, link);
        if (!tcp_has_output(link))
            return;
    }
    sqe = prepare(endpoint->uring);
    if (sqe == NULL) {
        tcp_ready(endpoint, link);
        return;
    }
    tcp_gather(endpoint, link);
    io_uring_prep_sendmsg(sqe, link->descriptor, &link->message,
                          MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, (uintptr_t)link | SEND);
    link->sending = true;
    endpoint->uring->sends = true;
}

void uring_flush(struct endpoint *endpoint)
{
    if (endpoint->uring->sends)
        submit(endpoint->uring);
}

/* Not the socket's fault: for one, the thread that had submitted it is gone. */
static bool is_passing(int error)
{
    return error == -ECANCELED || error == -EINTR || error == -EAGAIN;
}

static void receive_done(struct endpoint *endpoint, struct tcp_link *link,
                         int result)
{
    link->receiving = false;
    if (link->descriptor < 0)
        close_when_idle(link);
    else if (result > 0)
        tcp_received(endpoint, link, (size_t)result);
    else if (is_passing(result))
        tcp_ready(endpoint, link);
    else
        tcp_ended(endpoint, link, result == 0 ? -ECONNRESET : result);
}

static void send_done(struct endpoint *endpoint, struct tcp_link *link,
                      int result)
{
    link->sending = false;
    if (link->descriptor < 0)
        close_when_idle(link);
    else if (result >= 0)
        tcp_sent(endpoint, link, (size_t)result);
    else if (!is_passing(result))
        tcp_broken(endpoint, link, result);
    if (tcp_has_output(link))
        tcp_ready(endpoint, link);
}

static void reap(struct endpoint *endpoint)
{
    struct uring *uring = endpoint->uring;
    struct io_uring_cqe *cqe;
    unsigned int head, count = 0;

    io_uring_for_each_cqe(&uring->ring, head, cqe)
    {
        uintptr_t tag = (uintptr_t)cqe->user_data;
        struct tcp_link *link = (struct tcp_link *)(tag & ~(uintptr_t)SEND);

        count++;
        if (tag & SEND)
            send_done(endpoint, link, cqe->res);
        else
            receive_done(endpoint, link, cqe->res);
    }
    io_uring_cq_advance(&uring->ring, count);
    uring->flights -= count;
}

static bool waits_for_a_thread(const struct uring *uring)
{
    const unsigned int *flags = uring->ring.sq.kflags;

    return (__atomic_load_n(flags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) != 0;
}

void uring_collect(struct endpoint *endpoint)
{
    struct uring *uring = endpoint->uring;

    submit(uring);
    if (waits_for_a_thread(uring)) {
        io_uring_get_events(&uring->ring);
        if (io_uring_cq_ready(&uring->ring) == 0)
            syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
    reap(endpoint);
    for (uint32_t i = 0; i < endpoint->peers_count && i < DIRECT_LINKS; i++) {
        struct tcp_link *link = endpoint->links[endpoint->peers[i]];

        if (awaits(link) && asks_directly(endpoint, link))
            tcp_ready(endpoint, link);
    }
}

/* Who sleeps is woken by requests alone. */
static void request_all(struct endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        struct tcp_link *link = endpoint->links[endpoint->peers[i]];

        if (awaits(link))
            request(endpoint, link);
    }
}

/*
 * All links were cut, so that every request comes back soon. What the kernel
 * has not taken by now is never submitted.
 */
void uring_close(struct endpoint *endpoint)
{
    struct uring *uring = endpoint->uring;
    struct io_uring_cqe *cqe;

    submit(uring);
    for (reap(endpoint); uring->flights > io_uring_sq_ready(&uring->ring);
         reap(endpoint))
        io_uring_wait_cqe(&uring->ring, &cqe);
    io_uring_queue_exit(&uring->ring);
    close(uring->bell);
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        struct tcp_link *link = endpoint->links[endpoint->peers[i]];

        if (link->sending || link->receiving)
            close(link->cut_descriptor);
    }
    free(uring);
}

int uring_arm(struct endpoint *endpoint)
{
    struct uring *uring = endpoint->uring;
    struct epoll_event old[64];

    if (endpoint->ready_count > 0)
        return -EAGAIN;
    /* Edges of the past; what they stand for is seen below. */
    epoll_wait(uring->bell, old, sizeof(old) / sizeof(old[0]), 0);
    request_all(endpoint);
    if (endpoint->ready_count > 0 || !submit(uring) ||
        waits_for_a_thread(uring) || io_uring_cq_ready(&uring->ring) > 0)
        return -EAGAIN;
    return uring->bell;
}
