/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_brief.c - brief messages over tcp: one frame, sent by one call.
 *
 * Behind the header of such a frame come the head and the body; all of it is
 * received into the link's buffer. Who waits for it takes it from there;
 * otherwise it is copied into a queue of the link, so that what comes behind
 * can be seen whoever takes the message, and when. The queue has
 * TCP_QUEUE_BYTES, of which a message takes record_bytes(). Both ends count
 * them since the beginning, so a sender knows what fits: the header says how
 * much its sender has taken. Where nothing else goes that way, TELL says it.
 *
 * Who waits for a message need not poll: look_brief() asks the socket itself.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tcp.h"

enum {
    RECORD_STEP = 16,
    TELL_BYTES = TCP_QUEUE_BYTES / 2, /* taken and not said */
    COPY_BYTES = 4096, /* a longer body is sent from where it is */
    TALK_BYTES = FRAME_BYTES + 4 * BRIEF_HEAD, /* before a body */
    TALK_MOST = TALK_BYTES + TCP_BRIEF_BYTES,
};

/* In the queue, before the body. */
struct record {
    uint32_t head[BRIEF_HEAD];
    uint32_t bytes;
};
_Static_assert(sizeof(struct record) == RECORD_STEP, "no padding");
_Static_assert((TCP_QUEUE_BYTES & (TCP_QUEUE_BYTES - 1)) == 0,
               "counts wrap where the queue does");
_Static_assert((int)TALK_MOST <= (int)RECEIVE_BYTES, "a frame fits");

static uint32_t record_bytes(uint32_t bytes)
{
    return RECORD_STEP + (bytes + RECORD_STEP - 1) / RECORD_STEP * RECORD_STEP;
}

int tcp_brief_open(struct tcp_brief *brief)
{
    brief->talk = malloc(TALK_MOST);
    brief->queue = malloc(TCP_QUEUE_BYTES);
    return brief->talk == NULL || brief->queue == NULL ? -ENOMEM : 0;
}

void tcp_brief_close(struct tcp_brief *brief)
{
    free(brief->talk);
    free(brief->queue);
}

static void look_for_room(struct endpoint *endpoint, struct tcp_link *link);

/* ---- Out ---- */

static bool has_room(const struct tcp_brief *brief, uint32_t bytes)
{
    return record_bytes(bytes) <=
           TCP_QUEUE_BYTES - (brief->given - brief->room);
}

/* Sends a frame of all_bytes, which stands in talk[] but for the header and,
 * unless it is NULL, the body. */
static void say(struct endpoint *endpoint, struct tcp_link *link,
                uint32_t magic, const void *body, uint32_t bytes,
                uint32_t all_bytes)
{
    struct tcp_brief *brief = &link->brief;
    struct tcp_frame frame = tcp_frame_of(endpoint, magic, brief->taken, bytes);

    memcpy(brief->talk, &frame, sizeof(frame));
    brief->told = brief->taken;
    brief->owes = false;
    brief->talk_at = 0;
    brief->talk_end = all_bytes;
    endpoint->leaving++;
    tcp_talk_now(endpoint, link, body, bytes);
    if (!link->up || brief->talk_end == 0)
        return;
    if (body != NULL)
        memcpy(brief->talk + all_bytes - bytes, body, bytes);
    tcp_engine_send(endpoint, link);
    tcp_engine_flush(endpoint);
}

int tcp_put_brief(struct endpoint *endpoint, uint32_t peer,
                  const uint32_t head[BRIEF_HEAD], const void *body,
                  uint32_t bytes)
{
    struct tcp_link *link = tcp_link_up(endpoint, peer);
    struct tcp_brief *brief;

    assert(bytes <= TCP_BRIEF_BYTES);
    if (link == NULL)
        return -ENOTCONN;
    brief = &link->brief;
    if (!has_room(brief, bytes))
        look_for_room(endpoint, link);
    if (tcp_has_output(link))
        tcp_engine_send(endpoint, link);
    if (!link->up)
        return -ENOTCONN;
    brief->starved = tcp_has_output(link) || !has_room(brief, bytes);
    if (brief->starved)
        return -EAGAIN;
    memcpy(brief->talk + FRAME_BYTES, head, TALK_BYTES - FRAME_BYTES);
    if (bytes > 0 && bytes <= COPY_BYTES)
        memcpy(brief->talk + TALK_BYTES, body, bytes);
    brief->given += record_bytes(bytes);
    say(endpoint, link, FRAME_BRIEF, bytes > COPY_BYTES ? body : NULL, bytes,
        TALK_BYTES + bytes);
    return 0;
}

void tcp_brief_tell(struct endpoint *endpoint, struct tcp_link *link)
{
    if (link->brief.owes && link->up && !tcp_has_output(link))
        say(endpoint, link, FRAME_TELL, NULL, 0, FRAME_BYTES);
}

/* ---- In ---- */

/* From the queue, or into it, around its end. */
static void copy_out(const struct tcp_brief *brief, uint32_t at, void *to,
                     uint32_t bytes)
{
    uint32_t begin = at % TCP_QUEUE_BYTES, end = TCP_QUEUE_BYTES - begin;
    uint32_t first = bytes < end ? bytes : end;

    if (bytes == 0)
        return;
    memcpy(to, brief->queue + begin, first);
    memcpy((uint8_t *)to + first, brief->queue, bytes - first);
}

static void copy_in(struct tcp_brief *brief, uint32_t at, const void *from,
                    uint32_t bytes)
{
    uint32_t begin = at % TCP_QUEUE_BYTES, end = TCP_QUEUE_BYTES - begin;
    uint32_t first = bytes < end ? bytes : end;

    memcpy(brief->queue + begin, from, first);
    memcpy(brief->queue, (const uint8_t *)from + first, bytes - first);
}

static void put_record(struct tcp_brief *brief, const uint8_t *from,
                       uint32_t bytes)
{
    struct record record = {.bytes = bytes};

    memcpy(record.head, from, sizeof(record.head));
    copy_in(brief, brief->came, &record, sizeof(record));
    copy_in(brief, brief->came + sizeof(record), from + sizeof(record.head),
            bytes);
    brief->came += record_bytes(bytes);
}

/* What the peer says that it has taken cannot be more than it was given. */
static bool take_told(struct tcp_brief *brief, uint32_t told)
{
    if (told - brief->room > brief->given - brief->room)
        return false;
    brief->room = told;
    return true;
}

bool tcp_is_brief(const struct tcp_frame *frame)
{
    uint32_t magic = le32toh(frame->magic);

    return magic == FRAME_BRIEF || magic == FRAME_TELL;
}

/* The bytes of the brief frame that is next in the buffer; 0: it is none, or
 * not whole, or breaks the rules. */
static uint32_t next_whole(struct endpoint *endpoint, struct tcp_link *link,
                           struct tcp_frame *frame)
{
    uint32_t buffered_bytes = link->buffer_end - link->buffer_start;
    struct tcp_brief *brief = &link->brief;
    uint32_t bytes, all_bytes = FRAME_BYTES;
    bool fits = true;

    if (buffered_bytes < FRAME_BYTES)
        return 0;
    memcpy(frame, &link->buffer[link->buffer_start], FRAME_BYTES);
    if (!tcp_is_brief(frame))
        return 0;
    link->large = false;
    bytes = le32toh(frame->bytes);
    if (le32toh(frame->magic) == FRAME_BRIEF) {
        all_bytes = TALK_BYTES + bytes;
        fits = bytes <= TCP_BRIEF_BYTES &&
               record_bytes(bytes) <=
                   TCP_QUEUE_BYTES - (brief->came - brief->taken);
    }
    if (!fits || !tcp_frame_checks(endpoint, frame) ||
        !take_told(brief, le32toh(frame->slot))) {
        tcp_violated(endpoint, link);
        return 0;
    }
    return buffered_bytes < all_bytes ? 0 : all_bytes;
}

bool tcp_brief_arrived(struct endpoint *endpoint, struct tcp_link *link)
{
    const uint8_t *at = &link->buffer[link->buffer_start];
    struct tcp_frame frame;
    uint32_t all_bytes = next_whole(endpoint, link, &frame);

    if (all_bytes == 0)
        return false;
    link->brief.front = false;
    if (le32toh(frame.magic) == FRAME_BRIEF)
        put_record(&link->brief, at + FRAME_BYTES, le32toh(frame.bytes));
    link->buffer_start += all_bytes;
    endpoint->counts.copied_bytes += all_bytes - FRAME_BYTES;
    return true;
}

bool tcp_brief_news(struct tcp_link *link)
{
    struct tcp_brief *brief = &link->brief;
    bool came = brief->came != brief->reported && brief->came != brief->taken;
    bool room = brief->starved && !tcp_has_output(link) &&
                has_room(brief, TCP_BRIEF_BYTES);

    brief->reported = brief->came;
    if (room)
        brief->starved = false;
    return came || room;
}

/* What is next in the buffer is for poll(). */
static bool other_is_next(const struct tcp_link *link)
{
    struct tcp_frame frame;

    if (link->bytes != 0)
        return true;
    if (link->buffer_end - link->buffer_start < FRAME_BYTES)
        return false;
    memcpy(&frame, &link->buffer[link->buffer_start], FRAME_BYTES);
    return !tcp_is_brief(&frame);
}

static void look_for_room(struct endpoint *endpoint, struct tcp_link *link)
{
    if (!other_is_next(link))
        tcp_engine_look(endpoint, link);
    while (link->bytes == 0 && tcp_brief_arrived(endpoint, link))
        ;
}

/* Whether the next message is at the front of the buffer, behind an empty
 * queue. */
static bool is_at_front(struct endpoint *endpoint, struct tcp_link *link)
{
    struct tcp_brief *brief = &link->brief;
    struct tcp_frame frame;

    while (!brief->front && link->bytes == 0 && brief->came == brief->taken &&
           next_whole(endpoint, link, &frame) > 0)
        if (le32toh(frame.magic) == FRAME_BRIEF)
            brief->front = true;
        else
            tcp_brief_arrived(endpoint, link);
    return brief->front;
}

void tcp_look_brief(struct endpoint *endpoint, uint32_t peer)
{
    struct tcp_link *link = endpoint->links[peer];

    if (link == NULL || link->brief.came != link->brief.taken ||
        is_at_front(endpoint, link) || other_is_next(link))
        return;
    tcp_engine_look(endpoint, link);
    is_at_front(endpoint, link);
}

/* The record of the next message, and its body if that is not in the queue;
 * false: there is no message. */
static bool next_record(const struct tcp_link *link, struct record *record,
                        const uint8_t **body)
{
    const struct tcp_brief *brief = &link->brief;
    const uint8_t *at = &link->buffer[link->buffer_start];
    struct tcp_frame frame;

    *body = NULL;
    if (brief->came != brief->taken) {
        copy_out(brief, brief->taken, record, sizeof(*record));
        return true;
    }
    if (!brief->front)
        return false;
    memcpy(&frame, at, sizeof(frame));
    memcpy(record->head, at + FRAME_BYTES, sizeof(record->head));
    record->bytes = le32toh(frame.bytes);
    *body = at + TALK_BYTES;
    return true;
}

int tcp_peek_brief(struct endpoint *endpoint, uint32_t peer,
                   uint32_t head[BRIEF_HEAD])
{
    const struct tcp_link *link = endpoint->links[peer];
    struct record record;
    const uint8_t *body;

    if (link == NULL || !next_record(link, &record, &body))
        return -EAGAIN;
    memcpy(head, record.head, sizeof(record.head));
    return (int)record.bytes;
}

/* What comes behind a message that was at the front is there now. */
static void go_on(struct endpoint *endpoint, struct tcp_link *link,
                  uint32_t bytes)
{
    link->brief.front = false;
    link->brief.came += record_bytes(bytes);
    link->buffer_start += TALK_BYTES + bytes;
    endpoint->counts.copied_bytes += TALK_BYTES - FRAME_BYTES + bytes;
}

void tcp_take_brief(struct endpoint *endpoint, uint32_t peer, void *body,
                    uint32_t bytes)
{
    struct tcp_link *link = endpoint->links[peer];
    struct tcp_brief *brief = &link->brief;
    struct record record;
    const uint8_t *from;

    if (!next_record(link, &record, &from))
        return;
    assert(bytes <= record.bytes);
    if (from == NULL) {
        copy_out(brief, brief->taken + sizeof(record), body, bytes);
    } else {
        if (bytes > 0)
            memcpy(body, from, bytes);
        go_on(endpoint, link, record.bytes);
    }
    brief->taken += record_bytes(record.bytes);
    if (is_at_front(endpoint, link))
        tcp_ready(endpoint, link);
    if (brief->taken - brief->told < TELL_BYTES)
        return;
    brief->owes = true;
    tcp_brief_tell(endpoint, link);
}
