/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_link.c - makes and ends the links of the shm transport.
 */
#include "shm_link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "shm.h"
#include "stream.h"

/* ---- Addresses ----------------------------------------------------------- */

enum { ADDRESS_MAGIC = 0x316d6873, BOOT_BYTES = 36, NAME_BYTES = 16 };

/* What is in a struct address. All but `name` says which host it is. */
struct place {
    uint32_t magic;
    uint32_t user;
    uint64_t namespace_device, namespace_inode;
    char boot[BOOT_BYTES];
    uint8_t name[NAME_BYTES];
};

_Static_assert(sizeof(struct place) <= ADDRESS_BYTES, "an address holds it");

static int read_boot(char boot[BOOT_BYTES])
{
    int descriptor =
        open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (descriptor < 0)
        return -errno;
    got = read(descriptor, boot, BOOT_BYTES);
    close(descriptor);
    return got == BOOT_BYTES ? 0 : -EIO;
}

static int find_place(struct place *place)
{
    struct stat status;
    int rc = read_boot(place->boot);

    if (rc != 0)
        return rc;
    if (stat("/proc/self/ns/net", &status) != 0)
        return -errno;
    if (getrandom(place->name, NAME_BYTES, 0) != NAME_BYTES)
        return -EIO;
    place->magic = ADDRESS_MAGIC;
    place->user = geteuid();
    place->namespace_device = status.st_dev;
    place->namespace_inode = status.st_ino;
    return 0;
}

bool shm_same_host(const struct address *a, const struct address *b)
{
    uint32_t magic;

    memcpy(&magic, a->bytes, sizeof(magic));
    return magic == ADDRESS_MAGIC &&
           memcmp(a->bytes, b->bytes, offsetof(struct place, name)) == 0;
}

int shm_socket_address(struct sockaddr_storage *socket_address,
                       socklen_t *socket_address_bytes,
                       const struct address *address,
                       const struct address *ours)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct place place;
    size_t at = 1; /* a leading zero byte: a name without a file */

    if (!shm_same_host(address, ours))
        return -EHOSTUNREACH;
    memcpy(&place, address->bytes, sizeof(place));
    at += (size_t)sprintf(un.sun_path + at, "ballot-");
    for (int i = 0; i < NAME_BYTES; i++)
        at += (size_t)sprintf(un.sun_path + at, "%02x", place.name[i]);
    memset(socket_address, 0, sizeof(*socket_address));
    memcpy(socket_address, &un, sizeof(un));
    *socket_address_bytes =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + at);
    return 0;
}

int shm_listen(struct address *address)
{
    struct sockaddr_storage socket_address;
    socklen_t socket_address_bytes;
    struct address found = {{0}};
    struct place place = {0};
    int listener;
    int rc = find_place(&place);

    if (rc != 0)
        return rc;
    memcpy(found.bytes, &place, sizeof(place));
    rc = shm_socket_address(&socket_address, &socket_address_bytes, &found,
                            &found);
    if (rc != 0)
        return rc;
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -errno;
    if (bind(listener, (struct sockaddr *)&socket_address,
             socket_address_bytes) != 0 ||
        listen(listener, SOMAXCONN) != 0) {
        rc = -errno;
        close(listener);
        return rc;
    }
    *address = found;
    return listener;
}

/* ---- Memory -------------------------------------------------------------- */

void shm_layout_init(struct shm_layout *layout, uint32_t slots,
                     uint32_t slot_bytes)
{
    assert(slots > 0 && slots <= SHM_SLOTS_MAX);
    layout->slots = slots;
    layout->slot_bytes = slot_bytes;
    layout->notices = 1;
    while (layout->notices <= 2 * slots)
        layout->notices *= 2;
    layout->brief_at = (layout->notices * sizeof(uint64_t) + 63) / 64 * 64;
    layout->slots_at = memory_round(
        layout->brief_at + 64 + (size_t)BRIEF_RING * (64 + BRIEF_BODY_STEP));
    layout->bytes = memory_round(layout->slots_at + MEMORY_SKEW_MAX +
                                 (size_t)slots * slot_bytes);
    layout->shown_bytes =
        memory_round(1) + SHM_SHARED * memory_round(slot_bytes);
}

void *shm_slot(const struct shm_layout *layout, void *memory, uint32_t writer,
               uint32_t slot)
{
    return (uint8_t *)memory + layout->slots_at + memory_skew(writer) +
           (size_t)slot * layout->slot_bytes;
}

void *shm_shared(const struct shm_layout *layout, const struct shm_page *page,
                 uint32_t place)
{
    return (uint8_t *)(uintptr_t)page + memory_round(1) +
           place * memory_round(layout->slot_bytes);
}

/* Gives each place of the ring the number it would have had one lap ago, so
 * that the reader knows every word it may find. */
static void number_notices(void *in, const struct shm_layout *layout)
{
    _Atomic uint64_t *ring = in;

    for (uint32_t i = 0; i < layout->notices; i++)
        atomic_store_explicit(&ring[i], (uint16_t)(i + 1 - layout->notices),
                              memory_order_relaxed);
}

/* ---- The exchange -------------------------------------------------------- */

enum { OFFER_MAGIC = 0x316f6873, OFFERED = 2 };

struct offer {
    uint32_t magic;
    uint32_t slots, slot_bytes;
};

/* Room for the descriptors beside an offer: of the memory, of the page. */
union passed {
    char bytes[CMSG_SPACE(OFFERED * sizeof(int))];
    struct cmsghdr align;
};

static int send_offer(int connection, const struct shm_layout *layout,
                      const int descriptors[OFFERED])
{
    struct offer offer = {OFFER_MAGIC, layout->slots, layout->slot_bytes};
    struct iovec vector = {.iov_base = &offer, .iov_len = sizeof(offer)};
    union passed passed = {{0}};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = passed.bytes,
                             .msg_controllen = sizeof(passed.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    ssize_t sent;

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(OFFERED * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, OFFERED * sizeof(int));
    sent = sendmsg(connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == sizeof(offer))
        return 0;
    if (sent >= 0)
        return -EIO;
    /* The kernel bounds the descriptors of one user that are on their way; the
     * peers make room by and by. */
    if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == EINTR)
        return -EAGAIN;
    return errno == EPIPE ? -ECONNRESET : -errno;
}

static int offer_memory(struct shm_link *link, const struct shm_layout *layout,
                        int page)
{
    void *in = NULL;
    int memory;
    int rc = memory_share(&in, &memory, layout->bytes, MEMORY_WRITE);

    if (rc != 0)
        return rc;
    number_notices(in, layout);
    rc = send_offer(link->descriptor, layout, (const int[]){memory, page});
    close(memory);
    if (rc != 0) {
        memory_unmap(in, layout->bytes);
        return rc;
    }
    link->in = in;
    return 0;
}

/* Copies the descriptors out of a message; returns how many there are. */
static size_t unpack(int descriptors[OFFERED], struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    size_t bytes;

    if (header == NULL || header->cmsg_level != SOL_SOCKET ||
        header->cmsg_type != SCM_RIGHTS)
        return 0;
    bytes = header->cmsg_len - CMSG_LEN(0);
    assert(bytes <= OFFERED * sizeof(int)); /* the kernel had no more room */
    memcpy(descriptors, CMSG_DATA(header), bytes);
    return bytes / sizeof(int);
}

/* Receives an offer into *offer and descriptors[*count], which are then the
 * caller's even if this fails. An honest peer sends it in one piece. */
static int receive_offer(int connection, struct offer *offer,
                         int descriptors[OFFERED], size_t *count)
{
    struct iovec vector = {.iov_base = offer, .iov_len = sizeof(*offer)};
    union passed passed = {{0}};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = passed.bytes,
                             .msg_controllen = sizeof(passed.bytes)};
    ssize_t got =
        recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    *count = unpack(descriptors, &message);
    if (got == 0)
        return -ECONNRESET;
    if (got != sizeof(*offer) || *count != OFFERED ||
        (message.msg_flags & MSG_CTRUNC) != 0)
        return -EPROTO;
    return 0;
}

static int attach(struct shm_link *link, const struct shm_layout *layout,
                  const struct offer *offer, const int descriptors[OFFERED])
{
    void *out = NULL, *page = NULL;
    int rc;

    if (offer->magic != OFFER_MAGIC || offer->slots != layout->slots ||
        offer->slot_bytes != layout->slot_bytes)
        return -EPROTO;
    rc = memory_attach(&out, descriptors[0], layout->bytes, MEMORY_WRITE);
    if (rc != 0)
        return rc;
    rc = memory_attach(&page, descriptors[1], layout->shown_bytes, MEMORY_READ);
    if (rc != 0) {
        memory_unmap(out, layout->bytes);
        return rc;
    }
    link->out = out;
    link->page = page;
    return 0;
}

static int take_memory(struct shm_link *link, const struct shm_layout *layout)
{
    struct offer offer;
    int descriptors[OFFERED];
    size_t count = 0;
    int rc = receive_offer(link->descriptor, &offer, descriptors, &count);

    if (rc == 0)
        rc = attach(link, layout, &offer, descriptors);
    while (count > 0)
        close(descriptors[--count]);
    return rc;
}

static bool same_user(int connection)
{
    struct ucred peer;
    socklen_t bytes = sizeof(peer);

    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) ==
               0 &&
           peer.uid == geteuid();
}

/* Moves one link forward; -EAGAIN until it is up. */
static int meet(struct shm_link *link, const struct shm_layout *layout,
                int page)
{
    int rc = same_user(link->descriptor) ? 0 : -EACCES;

    if (rc == 0 && link->in == NULL)
        rc = offer_memory(link, layout, page);
    if ((rc == 0 || rc == -EAGAIN) && link->out == NULL)
        rc = take_memory(link, layout);
    if (rc == 0 && link->in == NULL)
        rc = -EAGAIN;
    if (rc == 0) {
        link->bell = link->descriptor;
        link->state = LINK_UP;
    }
    return rc;
}

/* Moves all links forward; returns how many wait, in *waiting. */
static uint32_t meet_all(struct shm_link *links, uint32_t ranks,
                         const struct shm_layout *layout, int page,
                         struct pollfd *waiting, bool *crowded, int *failure)
{
    uint32_t count = 0;

    *crowded = false;
    for (uint32_t i = 0; i < ranks; i++) {
        int rc;

        if (links[i].state != LINK_MEETING)
            continue;
        rc = meet(&links[i], layout, page);
        if (rc == -EAGAIN) {
            waiting[count].fd = links[i].descriptor;
            waiting[count++].events = POLLIN;
            *crowded |= links[i].in == NULL;
        } else if (rc != 0) {
            shm_link_close(&links[i], layout);
            *failure = *failure == 0 ? rc : *failure;
        }
    }
    return count;
}

int shm_links_exchange(struct shm_link *links, uint32_t ranks,
                       const struct shm_layout *layout, int page,
                       uint64_t deadline_ns, const int *bell)
{
    struct pollfd *waiting = calloc(ranks + 1, sizeof(*waiting));
    uint32_t count;
    bool crowded;
    int failure = 0;

    if (waiting == NULL)
        return -ENOMEM;
    while ((count = meet_all(links, ranks, layout, page, waiting, &crowded,
                             &failure)) > 0) {
        uint64_t now = clock_now_ns();

        if (now >= deadline_ns)
            break;
        /* Nothing tells when a crowd of descriptors is gone: look again. */
        if (stream_poll(waiting, count, bell,
                        crowded ? 1 : stream_wait_ms(now, deadline_ns))) {
            failure = -ECANCELED;
            break;
        }
    }
    free(waiting);
    for (uint32_t i = 0; i < ranks; i++) {
        if (links[i].state == LINK_MEETING)
            shm_link_close(&links[i], layout);
    }
    return failure == 0 && count > 0 ? -ETIMEDOUT : failure;
}

int shm_link_self(struct shm_link *link, const struct shm_layout *layout,
                  const struct shm_page *page)
{
    int pair[2];
    int rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   pair) != 0)
        return -errno;
    rc = memory_map(&link->in, layout->bytes);
    if (rc != 0) {
        close(pair[0]);
        close(pair[1]);
        return rc;
    }
    number_notices(link->in, layout);
    link->out = link->in;
    link->page = page;
    link->descriptor = pair[0];
    link->bell = pair[1];
    link->state = LINK_UP;
    return 0;
}

void shm_link_cut(struct shm_link *link)
{
    if (link->state == LINK_NONE || link->state == LINK_GONE)
        return;
    if (link->in == link->out && link->in != NULL)
        close(link->bell);
    /* A child that was forked may hold the connection, too; the peer has to see
     * the end all the same. */
    shutdown(link->descriptor, SHUT_RDWR);
    close(link->descriptor);
    link->state = LINK_GONE;
}

void shm_link_close(struct shm_link *link, const struct shm_layout *layout)
{
    shm_link_cut(link);
    memory_unmap(link->in, layout->bytes);
    if (link->out != link->in) {
        memory_unmap(link->out, layout->bytes);
        memory_unmap((void *)(uintptr_t)link->page, layout->shown_bytes);
    }
    memset(link, 0, sizeof(*link));
}
