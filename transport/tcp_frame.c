/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_frame.c - one link's bytes: puts to frames, frames to slots and events.
 *
 * The header of a frame is checked in private memory before its slot and length
 * are used for anything.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "tcp.h"

enum {
    LARGE_BYTES = 16384,    /* behind so many, the next is likely as large */
    TIMED_BYTES = 64 << 10, /* copies of so many are */
};

static uint8_t *slot_at(const struct endpoint *endpoint, uint8_t *region,
                        uint32_t slot)
{
    return region + (size_t)slot * endpoint->config.slot_bytes;
}

/* Finds a stream that is out of step, not a forger, who knows the epoch. */
static uint32_t check_word(const struct endpoint *endpoint, uint32_t slot,
                           uint32_t bytes)
{
    uint32_t mixed = endpoint->config.epoch;

    mixed = (mixed ^ slot) * 0x9e3779b1u;
    mixed = (mixed ^ mixed >> 15 ^ bytes) * 0x9e3779b1u;
    return mixed ^ mixed >> 15;
}

bool tcp_put_is_valid(const struct endpoint *endpoint, uint32_t slot,
                      uint32_t bytes)
{
    return slot < endpoint->config.slots && bytes >= 64 &&
           bytes <= endpoint->config.slot_bytes && bytes % 8 == 0;
}

/* ---- Sending ---- */

static struct tcp_frame *frame_at(const struct endpoint *endpoint,
                                  const struct tcp_link *link, uint32_t index)
{
    return &link->frames[(link->frames_first + index) % endpoint->config.slots];
}

void *tcp_staging(const struct endpoint *endpoint, const struct tcp_link *link,
                  uint32_t slot)
{
    return slot_at(endpoint, link->staging, slot);
}

struct tcp_frame tcp_frame_of(const struct endpoint *endpoint, uint32_t magic,
                              uint32_t slot, uint32_t bytes)
{
    return (struct tcp_frame){
        .magic = htole32(magic),
        .slot = htole32(slot),
        .bytes = htole32(bytes),
        .check = htole32(check_word(endpoint, slot, bytes)),
    };
}

void tcp_enqueue(struct endpoint *endpoint, struct tcp_link *link,
                 uint32_t slot, uint32_t bytes)
{
    *frame_at(endpoint, link, link->frames_count) =
        tcp_frame_of(endpoint, FRAME_MAGIC, slot, bytes);
    link->leaving[slot] = true;
    link->frames_count++;
    endpoint->leaving++;
}

bool tcp_is_small(const struct tcp_link *link)
{
    return link->frames_count == 1 && link->brief.talk_end == 0 &&
           le32toh(link->frames[link->frames_first].bytes) <= SMALL_BYTES;
}

/* A frame's header and all of its payload that is staged. */
static size_t staged_bytes(const struct tcp_link *link,
                           const struct tcp_frame *frame)
{
    return FRAME_BYTES + le32toh(frame->bytes) -
           link->outside[le32toh(frame->slot)].bytes;
}

static bool is_spliced(const struct tcp_link *link,
                       const struct tcp_frame *frame)
{
    const struct tcp_outside *outside = &link->outside[le32toh(frame->slot)];

    return link->here && outside->stays && outside->bytes >= TCP_SPLICE_BYTES;
}

/* The part of `memory` behind *skip_bytes, which becomes what is left of it. */
static struct iovec *add_piece(struct iovec *piece, const void *memory,
                               size_t bytes, size_t *skip_bytes)
{
    size_t skipped = *skip_bytes < bytes ? *skip_bytes : bytes;

    *skip_bytes -= skipped;
    if (skipped == bytes)
        return piece;
    *piece =
        (struct iovec){(uint8_t *)(uintptr_t)memory + skipped, bytes - skipped};
    return piece + 1;
}

static struct iovec talk_left(const struct tcp_brief *brief)
{
    return (struct iovec){brief->talk + brief->talk_at,
                          brief->talk_end - brief->talk_at};
}

bool tcp_gather(const struct endpoint *endpoint, struct tcp_link *link)
{
    struct iovec *piece = link->pieces;
    size_t skip_bytes = link->sent_bytes;
    bool spliced = false;

    if (link->brief.talk_end > 0)
        *piece++ = talk_left(&link->brief);
    for (uint32_t i = 0;
         !spliced && i < link->frames_count && i < GATHER_FRAMES; i++) {
        const struct tcp_frame *frame = frame_at(endpoint, link, i);
        uint32_t slot = le32toh(frame->slot);
        const struct tcp_outside *outside = &link->outside[slot];

        piece = add_piece(piece, frame, FRAME_BYTES, &skip_bytes);
        piece = add_piece(piece, slot_at(endpoint, link->staging, slot),
                          staged_bytes(link, frame) - FRAME_BYTES, &skip_bytes);
        spliced = is_spliced(link, frame);
        if (!spliced)
            piece =
                add_piece(piece, outside->memory, outside->bytes, &skip_bytes);
    }
    link->message = (struct msghdr){
        .msg_iov = link->pieces,
        .msg_iovlen = (size_t)(piece - link->pieces),
    };
    return spliced;
}

/* Of bytes that have left, those behind what was left of talk[]. */
static size_t talk_sent(struct endpoint *endpoint, struct tcp_link *link,
                        size_t bytes)
{
    struct tcp_brief *brief = &link->brief;
    size_t left = brief->talk_end - brief->talk_at;

    if (left == 0 || bytes < left) {
        brief->talk_at += left == 0 ? 0 : (uint32_t)bytes;
        return left == 0 ? bytes : 0;
    }
    brief->talk_at = brief->talk_end = 0;
    endpoint->leaving--;
    return bytes - left;
}

/* Who waited until everything had left has its turn. */
static void all_sent(struct endpoint *endpoint, struct tcp_link *link)
{
    if (link->brief.starved || link->brief.owes)
        tcp_ready(endpoint, link);
}

void tcp_sent(struct endpoint *endpoint, struct tcp_link *link, size_t bytes)
{
    link->sent_bytes += talk_sent(endpoint, link, bytes);
    while (link->frames_count > 0) {
        const struct tcp_frame *frame = frame_at(endpoint, link, 0);
        size_t whole_bytes = FRAME_BYTES + (size_t)le32toh(frame->bytes);

        if (link->sent_bytes < whole_bytes)
            return;
        link->sent_bytes -= whole_bytes;
        link->leaving[le32toh(frame->slot)] = false;
        link->outside[le32toh(frame->slot)] =
            (struct tcp_outside){.memory = NULL};
        link->frames_first = (link->frames_first + 1) % endpoint->config.slots;
        link->frames_count--;
        endpoint->leaving--;
    }
    if (!tcp_has_output(link))
        all_sent(endpoint, link);
}

void tcp_talk_now(struct endpoint *endpoint, struct tcp_link *link,
                  const void *body, uint32_t bytes)
{
    struct iovec pieces[2] = {talk_left(&link->brief)};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    ssize_t sent;

    if (body == NULL) {
        sent = send(link->descriptor, pieces[0].iov_base, pieces[0].iov_len,
                    flags);
    } else {
        pieces[0].iov_len -= bytes;
        pieces[1] = (struct iovec){(void *)(uintptr_t)body, bytes};
        sent = sendmsg(link->descriptor, &message, flags);
    }
    if (sent >= 0)
        tcp_sent(endpoint, link, (size_t)sent);
    else if (errno != EAGAIN && errno != EINTR)
        tcp_broken(endpoint, link, -errno);
}

void tcp_forget_frames(struct endpoint *endpoint, struct tcp_link *link)
{
    link->up = false;
    endpoint->leaving -= link->frames_count;
    link->frames_count = 0;
    if (link->brief.talk_end > 0)
        endpoint->leaving--;
    link->brief.talk_at = link->brief.talk_end = 0;
    tcp_close_pipe(link);
}

void tcp_stage_outside(const struct endpoint *endpoint, struct tcp_link *link,
                       uint32_t slot, uint32_t bytes)
{
    struct tcp_outside *outside = &link->outside[slot];

    if (outside->bytes > 0)
        memcpy(slot_at(endpoint, link->staging, slot) + bytes - outside->bytes,
               outside->memory, outside->bytes);
    *outside = (struct tcp_outside){.memory = NULL};
}

void tcp_let_go(const struct endpoint *endpoint, struct tcp_link *link)
{
    for (uint32_t i = 0; i < link->frames_count; i++) {
        const struct tcp_frame *frame = frame_at(endpoint, link, i);

        tcp_stage_outside(endpoint, link, le32toh(frame->slot),
                          le32toh(frame->bytes));
    }
    /* What is in it has not left. */
    tcp_close_pipe(link);
    link->apart = NULL;
}

/* -EOPNOTSUPP: what comes next is not spliced. */
static ssize_t splice_now(struct endpoint *endpoint, struct tcp_link *link)
{
    const struct tcp_frame *frame = frame_at(endpoint, link, 0);
    const struct tcp_outside *outside = &link->outside[le32toh(frame->slot)];
    size_t first_bytes = staged_bytes(link, frame);

    if (link->frames_count == 0 || link->brief.talk_end > 0 ||
        !is_spliced(link, frame) || link->sent_bytes < first_bytes)
        return -EOPNOTSUPP;
    first_bytes = link->sent_bytes - first_bytes;
    return tcp_splice(link, outside->memory + first_bytes,
                      outside->bytes - first_bytes);
}

static ssize_t copy_now(struct endpoint *endpoint, struct tcp_link *link)
{
    bool timed = link->frames_count > 0 &&
                 le32toh(frame_at(endpoint, link, 0)->bytes) >= TIMED_BYTES;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    uint64_t began = timed ? clock_now_ns() : 0;
    ssize_t sent;

    if (tcp_gather(endpoint, link))
        flags |= MSG_MORE;
    sent = sendmsg(link->descriptor, &link->message, flags);
    if (sent < 0)
        return -errno;
    if (timed && sent >= TIMED_BYTES)
        tcp_copied(link, (size_t)sent, clock_now_ns() - began);
    return sent;
}

ssize_t tcp_send_now(struct endpoint *endpoint, struct tcp_link *link)
{
    ssize_t sent = splice_now(endpoint, link);

    if (sent == -EOPNOTSUPP)
        sent = copy_now(endpoint, link);
    if (sent >= 0)
        tcp_sent(endpoint, link, (size_t)sent);
    else if (sent != -EAGAIN && sent != -EINTR)
        tcp_broken(endpoint, link, (int)sent);
    return sent;
}

void tcp_broken(struct endpoint *endpoint, struct tcp_link *link, int reason)
{
    if (link->reason == 0)
        link->reason = reason == -EPIPE ? -ECONNRESET : reason;
    tcp_forget_frames(endpoint, link);
    /* What has arrived can still be received, and then comes the end. */
    shutdown(link->descriptor, SHUT_RDWR);
    link->readable = true;
    tcp_ready(endpoint, link);
}

/* ---- Receiving ---- */

/* Where the next byte of the frame under way belongs. */
static uint8_t *landing_place(const struct endpoint *endpoint,
                              const struct tcp_link *link)
{
    if (link->apart != NULL)
        return link->apart + (link->landed_bytes - HEAD_BYTES);
    return slot_at(endpoint, link->inbound, link->slot) + link->landed_bytes;
}

int tcp_wanted(const struct endpoint *endpoint, struct tcp_link *link,
               struct iovec pieces[2])
{
    uint32_t kept_bytes = link->buffer_end - link->buffer_start;
    uint32_t buffer_bytes = RECEIVE_BYTES - kept_bytes;
    int count = 0;

    memmove(link->buffer, &link->buffer[link->buffer_start], kept_bytes);
    link->buffer_start = 0;
    link->buffer_end = kept_bytes;
    if (link->bytes != 0) {
        uint32_t rest_bytes = link->bytes - link->landed_bytes;

        pieces[count++] =
            (struct iovec){landing_place(endpoint, link), rest_bytes};
        link->large = rest_bytes >= LARGE_BYTES;
    }
    /* What is behind that can land at once where it belongs. */
    if (link->large && kept_bytes < FRAME_BYTES + HEAD_BYTES)
        buffer_bytes = FRAME_BYTES + HEAD_BYTES - kept_bytes;
    pieces[count++] = (struct iovec){&link->buffer[kept_bytes], buffer_bytes};
    return count;
}

void tcp_received(struct endpoint *endpoint, struct tcp_link *link,
                  size_t bytes)
{
    if (link->bytes != 0) {
        size_t rest_bytes = link->bytes - link->landed_bytes;
        size_t landed_bytes = bytes < rest_bytes ? bytes : rest_bytes;

        link->landed_bytes += (uint32_t)landed_bytes;
        bytes -= landed_bytes;
    }
    link->buffer_end += (uint32_t)bytes;
    tcp_ready(endpoint, link);
}

ssize_t tcp_receive_now(struct endpoint *endpoint, struct tcp_link *link,
                        size_t *asked_bytes)
{
    struct iovec pieces[2];
    struct msghdr message = {.msg_iov = pieces};
    ssize_t got;

    message.msg_iovlen = (size_t)tcp_wanted(endpoint, link, pieces);
    *asked_bytes = pieces[0].iov_len;
    assert(*asked_bytes > 0); /* nothing received would be an end */
    if (message.msg_iovlen > 1) {
        *asked_bytes += pieces[1].iov_len;
        got = recvmsg(link->descriptor, &message, MSG_DONTWAIT);
    } else {
        got = recv(link->descriptor, pieces[0].iov_base, pieces[0].iov_len,
                   MSG_DONTWAIT);
    }
    if (got > 0)
        tcp_received(endpoint, link, (size_t)got);
    else if (got == 0)
        tcp_ended(endpoint, link, -ECONNRESET);
    else if (errno != EAGAIN && errno != EINTR)
        tcp_ended(endpoint, link, -errno);
    return got >= 0 ? got : -errno;
}

void tcp_ended(struct endpoint *endpoint, struct tcp_link *link, int reason)
{
    if (link->reason == 0)
        link->reason = reason;
    link->ended = true;
    tcp_ready(endpoint, link);
}

/* All but the head of a large put may land elsewhere. No request of uring.c is
 * under way into it then, as requests may come back late. */
static void ask_for_place(struct endpoint *endpoint, struct tcp_link *link)
{
    const struct endpoint_config *config = &endpoint->config;

    link->apart = NULL;
    if (endpoint->engine == TCP_EPOLL && config->place != NULL &&
        link->bytes > HEAD_BYTES)
        link->apart = config->place(
            config->place_context, link->peer, link->slot,
            slot_at(endpoint, link->inbound, link->slot), link->bytes);
}

bool tcp_frame_checks(const struct endpoint *endpoint,
                      const struct tcp_frame *frame)
{
    return le32toh(frame->check) ==
           check_word(endpoint, le32toh(frame->slot), le32toh(frame->bytes));
}

/* The stream has no place to start again from. */
void tcp_violated(struct endpoint *endpoint, struct tcp_link *link)
{
    endpoint->counts.violations++;
    link->reason = -EPROTO;
    link->buffer_start = link->buffer_end;
    tcp_ended(endpoint, link, -EPROTO);
}

/* Begins a frame if its header is there and right, and the head of its payload;
 * a wrong one ends the link. */
static bool begin_frame(struct endpoint *endpoint, struct tcp_link *link)
{
    uint32_t buffered_bytes = link->buffer_end - link->buffer_start;
    struct tcp_frame frame;
    uint32_t slot, bytes;

    if (buffered_bytes < FRAME_BYTES)
        return false;
    memcpy(&frame, &link->buffer[link->buffer_start], FRAME_BYTES);
    slot = le32toh(frame.slot);
    bytes = le32toh(frame.bytes);
    if (tcp_is_brief(&frame))
        return false; /* its rest is still to come */
    if (le32toh(frame.magic) != FRAME_MAGIC ||
        !tcp_frame_checks(endpoint, &frame) ||
        !tcp_put_is_valid(endpoint, slot, bytes)) {
        tcp_violated(endpoint, link);
        return false;
    }
    if (buffered_bytes < FRAME_BYTES + HEAD_BYTES)
        return false;
    memcpy(slot_at(endpoint, link->inbound, slot),
           &link->buffer[link->buffer_start + FRAME_BYTES], HEAD_BYTES);
    link->buffer_start += FRAME_BYTES + HEAD_BYTES;
    link->slot = slot;
    link->bytes = bytes;
    link->landed_bytes = HEAD_BYTES;
    endpoint->counts.copied_bytes += HEAD_BYTES;
    ask_for_place(endpoint, link);
    return true;
}

bool tcp_frame_arrived(struct endpoint *endpoint, struct tcp_link *link,
                       struct event *event)
{
    uint32_t buffered_bytes, rest_bytes, bytes;

    while (link->bytes == 0 && tcp_brief_arrived(endpoint, link))
        ;
    if (link->bytes == 0 && !begin_frame(endpoint, link))
        return false;
    buffered_bytes = link->buffer_end - link->buffer_start;
    rest_bytes = link->bytes - link->landed_bytes;
    bytes = buffered_bytes < rest_bytes ? buffered_bytes : rest_bytes;
    memcpy(landing_place(endpoint, link), &link->buffer[link->buffer_start],
           bytes);
    endpoint->counts.copied_bytes += bytes;
    link->buffer_start += bytes;
    link->landed_bytes += bytes;
    if (link->landed_bytes < link->bytes)
        return false;
    *event = (struct event){
        .kind = EVENT_ARRIVED,
        .peer = link->peer,
        .slot = link->slot,
        .bytes = link->bytes,
        .memory = slot_at(endpoint, link->inbound, link->slot),
        .apart = link->apart,
    };
    link->bytes = link->landed_bytes = 0;
    link->apart = NULL;
    return true;
}
