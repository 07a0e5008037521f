/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.h - what tcp.c shares with tcp_frame.c, tcp_brief.c and its two engines,
 * uring.c and epoll.c.
 *
 * tcp.c owns links and events. An engine only moves bytes: it sends
 * what tcp_gather() names and says so with tcp_sent(), it receives where
 * tcp_wanted() says and reports with tcp_received() or tcp_ended(). It calls
 * tcp_ready() for a link that tcp.c shall look at in the next poll.
 *
 * A frame is a header of 16 bytes (little-endian) and `bytes` of payload, which
 * begin with a line of 64. That of a brief message has another magic number,
 * and behind its header come the message's head and then its body of `bytes`.
 */
#ifndef BALLOT_TRANSPORT_TCP_H
#define BALLOT_TRANSPORT_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "listener.h"
#include "mesh.h"
#include "transport.h"

enum {
    FRAME_MAGIC = 0x31746c62, /* "blt1" */
    FRAME_BRIEF = 0x31626c62, /* "blb1" */
    FRAME_TELL = 0x316b6c62,  /* "blk1": nothing behind the header */
    RECEIVE_BYTES = 32 << 10, /* private buffer of a link, for headers and small
                                 payloads; the rest goes straight to the slot */
    TCP_SPLICE_BYTES = 8192,  /* what is spliced has so many, at least */
    GATHER_FRAMES = 8,        /* sent by one system call */
    SMALL_BYTES = 4096,       /* a put that does not wait for the next poll() */
    FRAME_BYTES = 16,
    HEAD_BYTES = 64, /* of each payload: in the slot, wherever the rest is */
    /* Whole pages, and with all headers two of the loopback's largest packets:
     * with one, calls and credits take as long as the copies. */
    STREAM_BYTES = 120 << 10,
    TCP_BRIEF_BYTES = 16 << 10,
    TCP_QUEUE_BYTES = 512 << 10, /* brief messages that nobody has taken */
    /* With so few links, asking each socket by a plain call is cheaper than
     * asking the kernel which one is ready, by epoll or by a request. */
    DIRECT_LINKS = 2,
};

struct tcp_frame {
    uint32_t magic;
    uint32_t slot; /* FRAME_BRIEF, FRAME_TELL: what the sender has taken */
    uint32_t bytes;
    uint32_t check; /* mixes slot, bytes and the communicator's epoch */
};
_Static_assert(sizeof(struct tcp_frame) == FRAME_BYTES, "no padding");

/* The end of a put that is not staged. */
struct tcp_outside {
    const uint8_t *memory; /* NULL: all is staged */
    uint32_t bytes;
    bool stays; /* as it is, until the peer has taken it */
};

/* A link's brief messages. Counts are bytes of a queue, since the beginning. */
struct tcp_brief {
    uint8_t *talk;              /* the frame that leaves, */
    uint32_t talk_at, talk_end; /* what is left of it; end 0: nothing */
    uint32_t given, room; /* put into the peer's queue, known to be taken */
    uint8_t *queue;       /* [TCP_QUEUE_BYTES] */
    uint32_t came, taken; /* put into ours, taken out */
    uint32_t told;        /* of these, said to the peer */
    uint32_t reported;    /* what had come at the last event */
    bool front;           /* the next message is at the front of the buffer */
    bool owes;            /* must tell, as soon as it can */
    bool starved;         /* a message found no room */
};

/* Whether memory that stays is spliced or copied, tcp_socket.c. */
struct tcp_copying {
    uint32_t slow;         /* copies in a row */
    uint32_t spliced_left; /* then copies are tried again */
};

struct tcp_link {
    int descriptor; /* -1 once cut */
    uint32_t peer;
    bool up;     /* may be sent to */
    bool ended;  /* nothing more will be received */
    bool queued; /* is in the endpoint's queue of ready links */
    bool more;   /* the buffer may hold another whole frame */
    int reason;  /* of the loss; 0 while there is none */

    /* Sending: a ring of frames, of which sent_bytes of the first have left. */
    struct tcp_frame *frames; /* [slots] */
    bool *leaving;            /* [slots] is in the ring */
    uint32_t frames_first, frames_count;
    size_t sent_bytes;
    uint8_t *staging;            /* [slots][slot_bytes] */
    struct tcp_outside *outside; /* [slots] */
    struct msghdr message;
    struct iovec pieces[1 + 3 * GATHER_FRAMES];
    struct tcp_brief brief; /* what is left of its frame goes first */
    /* A peer on this host reads such memory where it is: its pages go through a
     * pipe into the socket. piped_bytes of the first frame are in the pipe. */
    bool here;
    int pipe[2];    /* -1 until it is needed */
    int pipe_bytes; /* pages of a slot, wherever it begins */
    size_t piped_bytes;
    struct tcp_copying copying;

    /* Receiving: the frame under way, and what came beyond it. */
    uint32_t slot, bytes; /* bytes is 0 while the header is awaited */
    uint32_t landed_bytes;
    bool large;       /* the last frame was, so the next is likely too */
    uint8_t *apart;   /* where all but the head lands, or NULL */
    void *landing;    /* the memory that inbound is in */
    uint8_t *inbound; /* [slots][slot_bytes], skewed by peer */
    uint32_t buffer_start, buffer_end;
    uint8_t buffer[RECEIVE_BYTES];

    /* epoll: what the kernel said last, and at which question. */
    bool readable, writable, hangup;
    uint32_t asked;
    /* uring: requests that have not come back; the descriptor until then. */
    bool sending, receiving;
    int cut_descriptor;
};

enum tcp_engine { TCP_URING, TCP_EPOLL };

struct endpoint {
    struct endpoint_config config;
    enum tcp_engine engine;
    int epoll;           /* epoll.c's descriptor */
    uint32_t blocked;    /* epoll.c: links that wait for room to send */
    uint32_t asked;      /* epoll.c: how often the kernel was */
    uint32_t looked;     /* epoll.c: the peer that was looked at last */
    uint32_t direct;     /* epoll.c: questions to sockets, since the last */
    bool unwatched;      /* epoll.c: the sockets are not in its set */
    struct uring *uring; /* uring.c's state */

    struct listener listener; /* closed once everybody is connected */

    struct tcp_link **links; /* [ranks], NULL where there is none */
    uint32_t *peers;         /* [peers_count] that have ever had a link */
    uint32_t peers_count;
    uint32_t *ready; /* ring of [ranks], peers to look at */
    uint32_t ready_first, ready_count;
    uint32_t leaving; /* frames in all rings */
    struct endpoint_counts counts;
};

/* ---- tcp_engine.c: the one that BALLOT_TCP_ENGINE or the ranks ask for ----
 */

int tcp_engine_open(struct endpoint *endpoint);
void tcp_engine_close(struct endpoint *endpoint);
/* "io_uring" or "epoll". */
const char *tcp_engine_name(const struct endpoint *endpoint);
/* Sends what is in the ring, now or with the next flush. */
void tcp_engine_send(struct endpoint *endpoint, struct tcp_link *link);
void tcp_engine_flush(struct endpoint *endpoint);
/* Receives for one link outside of poll(), if something is there. */
void tcp_engine_look(struct endpoint *endpoint, struct tcp_link *link);
/* The engine's own, below. */
int tcp_engine_add(struct endpoint *endpoint, struct tcp_link *link);
void tcp_engine_cut(struct endpoint *endpoint, struct tcp_link *link);
void tcp_engine_collect(struct endpoint *endpoint);
void tcp_engine_receive(struct endpoint *endpoint, struct tcp_link *link);
int tcp_engine_arm(struct endpoint *endpoint);

/* ---- tcp.c ---- */

/* The link to a peer that may be sent to, or NULL. */
struct tcp_link *tcp_link_up(const struct endpoint *endpoint, uint32_t peer);

/* ---- tcp_brief.c ---- */

int tcp_brief_open(struct tcp_brief *brief);
void tcp_brief_close(struct tcp_brief *brief);
int tcp_put_brief(struct endpoint *endpoint, uint32_t peer,
                  const uint32_t head[BRIEF_HEAD], const void *body,
                  uint32_t bytes);
int tcp_peek_brief(struct endpoint *endpoint, uint32_t peer,
                   uint32_t head[BRIEF_HEAD]);
void tcp_look_brief(struct endpoint *endpoint, uint32_t peer);
void tcp_take_brief(struct endpoint *endpoint, uint32_t peer, void *body,
                    uint32_t bytes);
bool tcp_is_brief(const struct tcp_frame *frame);
/* Whether a brief message, or what its kind tells, was next in the buffer and
 * is in the queue now. False also when it broke the rules. */
bool tcp_brief_arrived(struct endpoint *endpoint, struct tcp_link *link);
/* Whether there is an EVENT_BRIEF to report, which is thereby done. */
bool tcp_brief_news(struct tcp_link *link);
/* Says what it owes, if it can. */
void tcp_brief_tell(struct endpoint *endpoint, struct tcp_link *link);

/* ---- tcp_frame.c, for tcp.c and tcp_brief.c ---- */

struct tcp_frame tcp_frame_of(const struct endpoint *endpoint, uint32_t magic,
                              uint32_t slot, uint32_t bytes);
/* Whether its check word is right. */
bool tcp_frame_checks(const struct endpoint *endpoint,
                      const struct tcp_frame *frame);
/* The peer broke the framing. */
void tcp_violated(struct endpoint *endpoint, struct tcp_link *link);
/* Sends what talk[] holds, as far as there is room; its last bytes are where
 * `body` is, unless that is NULL. */
void tcp_talk_now(struct endpoint *endpoint, struct tcp_link *link,
                  const void *body, uint32_t bytes);
/* Whether something is to be sent, or on its way. */
static inline bool tcp_has_output(const struct tcp_link *link)
{
    return link->frames_count > 0 || link->brief.talk_end > 0;
}

bool tcp_put_is_valid(const struct endpoint *endpoint, uint32_t slot,
                      uint32_t bytes);
void *tcp_staging(const struct endpoint *endpoint, const struct tcp_link *link,
                  uint32_t slot);
void tcp_enqueue(struct endpoint *endpoint, struct tcp_link *link,
                 uint32_t slot, uint32_t bytes);
/* Stages what is left of a frame of so many bytes. */
void tcp_stage_outside(const struct endpoint *endpoint, struct tcp_link *link,
                       uint32_t slot, uint32_t bytes);
/* Forgets memory that is not ours, transport.h's let_go(). */
void tcp_let_go(const struct endpoint *endpoint, struct tcp_link *link);
/* Nothing more will be sent. */
void tcp_forget_frames(struct endpoint *endpoint, struct tcp_link *link);
/* Whether another frame is complete, as *event. False also when the peer broke
 * the framing; then the link has ended. */
bool tcp_frame_arrived(struct endpoint *endpoint, struct tcp_link *link,
                       struct event *event);

/* ---- tcp_socket.c ---- */

void tcp_tune(int descriptor);
/* Within a host nothing can be congested, so rates need not be measured. */
void tcp_free_of_control(int descriptor);
/* Whether both ends are on this host. */
bool tcp_is_here(int descriptor);
/* To elsewhere memory that stays is sent from where it is; on this host it is
 * spliced, which is worth it while copies are slow. */
bool tcp_keeps(struct endpoint *endpoint, uint32_t peer, uint32_t bytes);
/* So long it took to copy so many bytes into the socket. */
void tcp_copied(struct tcp_link *link, size_t bytes, uint64_t took_ns);
/*
 * Sends `bytes` of memory from where they are, as far as there is room;
 * negative errno; -EOPNOTSUPP: they must be copied. It does not forget what it
 * could not send, so the next call must be for what is left.
 */
ssize_t tcp_splice(struct tcp_link *link, const uint8_t *memory, size_t bytes);
/* Forgets that. */
void tcp_close_pipe(struct tcp_link *link);

/* ---- What engines call: tcp_ready() in tcp.c, the rest in tcp_frame.c ---- */

void tcp_ready(struct endpoint *endpoint, struct tcp_link *link);
/* Whether what is to be sent is one small frame. */
bool tcp_is_small(const struct tcp_link *link);
/* Prepares link->message with what is to be sent; true: up to pages that are
 * spliced. */
bool tcp_gather(const struct endpoint *endpoint, struct tcp_link *link);
void tcp_sent(struct endpoint *endpoint, struct tcp_link *link, size_t bytes);
/* Sending failed: what was received before is still reported, then LOST. */
void tcp_broken(struct endpoint *endpoint, struct tcp_link *link, int reason);
/* Where the next bytes go, 1 or 2 pieces: the rest of a payload, the buffer. */
int tcp_wanted(const struct endpoint *endpoint, struct tcp_link *link,
               struct iovec pieces[2]);
void tcp_received(struct endpoint *endpoint, struct tcp_link *link,
                  size_t bytes);
/* Nothing more will be received. */
void tcp_ended(struct endpoint *endpoint, struct tcp_link *link, int reason);

/* Plain calls that do not wait; -EAGAIN: nothing could be moved now. What they
 * moved, or that the link is broken, is reported as above. */
ssize_t tcp_receive_now(struct endpoint *endpoint, struct tcp_link *link,
                        size_t *asked_bytes);
ssize_t tcp_send_now(struct endpoint *endpoint, struct tcp_link *link);

/* ---- What an engine is ---- */

int epoll_open(struct endpoint *endpoint);
void epoll_close(struct endpoint *endpoint);
int epoll_add(struct endpoint *endpoint, struct tcp_link *link);
void epoll_cut(struct endpoint *endpoint, struct tcp_link *link);
/* Notices what the kernel has for us. */
void epoll_collect(struct endpoint *endpoint);
/* Receives for a link with nothing left to report. */
void epoll_receive(struct endpoint *endpoint, struct tcp_link *link);
void epoll_look(struct endpoint *endpoint, struct tcp_link *link);
/* Sends what is in the ring, as far as there is room. */
void epoll_send(struct endpoint *endpoint, struct tcp_link *link);
int epoll_arm(struct endpoint *endpoint);

/* The same over io_uring. -ENOSYS, -EPERM, -ENOMEM: it is refused. */
int uring_open(struct endpoint *endpoint);
void uring_close(struct endpoint *endpoint);
int uring_add(struct endpoint *endpoint, struct tcp_link *link);
void uring_cut(struct endpoint *endpoint, struct tcp_link *link);
void uring_collect(struct endpoint *endpoint);
void uring_receive(struct endpoint *endpoint, struct tcp_link *link);
void uring_look(struct endpoint *endpoint, struct tcp_link *link);
void uring_send(struct endpoint *endpoint, struct tcp_link *link);
/* Submits sends that uring_send() has prepared. */
void uring_flush(struct endpoint *endpoint);
int uring_arm(struct endpoint *endpoint);

#endif
