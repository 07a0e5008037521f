/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_frame.c - one link's bytes: puts to frames, frames to slots and events.
 *
 * The header of a frame is checked in private memory before its slot and length
 * are used for anything.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "tcp.h"

enum { FRAME_BYTES = sizeof(struct tcp_frame) };

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

void tcp_enqueue(struct endpoint *endpoint, struct tcp_link *link,
                 uint32_t slot, uint32_t bytes)
{
    *frame_at(endpoint, link, link->frames_count) = (struct tcp_frame){
        .magic = htole32(FRAME_MAGIC),
        .slot = htole32(slot),
        .bytes = htole32(bytes),
        .check = htole32(check_word(endpoint, slot, bytes)),
    };
    link->leaving[slot] = true;
    link->frames_count++;
    endpoint->leaving++;
}

bool tcp_is_small(const struct tcp_link *link)
{
    return link->frames_count == 1 &&
           le32toh(link->frames[link->frames_first].bytes) <= SMALL_BYTES;
}

void tcp_gather(const struct endpoint *endpoint, struct tcp_link *link)
{
    struct iovec *piece = link->pieces;
    size_t skip_bytes = link->sent_bytes;

    for (uint32_t i = 0; i < link->frames_count && i < GATHER_FRAMES; i++) {
        struct tcp_frame *frame = frame_at(endpoint, link, i);
        uint8_t *payload =
            slot_at(endpoint, link->staging, le32toh(frame->slot));

        if (skip_bytes < FRAME_BYTES) {
            *piece++ = (struct iovec){(uint8_t *)frame + skip_bytes,
                                      FRAME_BYTES - skip_bytes};
            skip_bytes = FRAME_BYTES;
        }
        skip_bytes -= FRAME_BYTES;
        *piece++ = (struct iovec){payload + skip_bytes,
                                  le32toh(frame->bytes) - skip_bytes};
        skip_bytes = 0;
    }
    link->message = (struct msghdr){
        .msg_iov = link->pieces,
        .msg_iovlen = (size_t)(piece - link->pieces),
    };
}

void tcp_sent(struct endpoint *endpoint, struct tcp_link *link, size_t bytes)
{
    link->sent_bytes += bytes;
    while (link->frames_count > 0) {
        const struct tcp_frame *frame = frame_at(endpoint, link, 0);
        size_t whole_bytes = FRAME_BYTES + (size_t)le32toh(frame->bytes);

        if (link->sent_bytes < whole_bytes)
            return;
        link->sent_bytes -= whole_bytes;
        link->leaving[le32toh(frame->slot)] = false;
        link->frames_first = (link->frames_first + 1) % endpoint->config.slots;
        link->frames_count--;
        endpoint->leaving--;
    }
}

void tcp_forget_frames(struct endpoint *endpoint, struct tcp_link *link)
{
    link->up = false;
    endpoint->leaving -= link->frames_count;
    link->frames_count = 0;
}

ssize_t tcp_send_now(struct endpoint *endpoint, struct tcp_link *link)
{
    ssize_t sent;

    tcp_gather(endpoint, link);
    sent =
        sendmsg(link->descriptor, &link->message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        tcp_sent(endpoint, link, (size_t)sent);
    else if (errno != EAGAIN && errno != EINTR)
        tcp_broken(endpoint, link, -errno);
    return sent >= 0 ? sent : -errno;
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

int tcp_wanted(const struct endpoint *endpoint, struct tcp_link *link,
               struct iovec pieces[2])
{
    uint32_t kept_bytes = link->buffer_end - link->buffer_start;
    int count = 0;

    memmove(link->buffer, &link->buffer[link->buffer_start], kept_bytes);
    link->buffer_start = 0;
    link->buffer_end = kept_bytes;
    if (link->bytes != 0)
        pieces[count++] = (struct iovec){
            slot_at(endpoint, link->inbound, link->slot) + link->landed_bytes,
            link->bytes - link->landed_bytes};
    pieces[count++] =
        (struct iovec){&link->buffer[kept_bytes], RECEIVE_BYTES - kept_bytes};
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
    if (message.msg_iovlen > 1)
        *asked_bytes += pieces[1].iov_len;
    got = recvmsg(link->descriptor, &message, MSG_DONTWAIT);
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

/* Begins a frame if its header is there and right; a wrong one ends the link,
 * for the stream has no place to start again from. */
static bool begin_frame(struct endpoint *endpoint, struct tcp_link *link)
{
    struct tcp_frame frame;
    uint32_t slot, bytes;

    if (link->buffer_end - link->buffer_start < FRAME_BYTES)
        return false;
    memcpy(&frame, &link->buffer[link->buffer_start], FRAME_BYTES);
    slot = le32toh(frame.slot);
    bytes = le32toh(frame.bytes);
    if (le32toh(frame.magic) != FRAME_MAGIC ||
        le32toh(frame.check) != check_word(endpoint, slot, bytes) ||
        !tcp_put_is_valid(endpoint, slot, bytes)) {
        endpoint->counts.violations++;
        link->reason = -EPROTO;
        link->buffer_start = link->buffer_end;
        tcp_ended(endpoint, link, -EPROTO);
        return false;
    }
    link->buffer_start += FRAME_BYTES;
    link->slot = slot;
    link->bytes = bytes;
    link->landed_bytes = 0;
    return true;
}

bool tcp_frame_arrived(struct endpoint *endpoint, struct tcp_link *link,
                       struct event *event)
{
    uint8_t *memory;
    uint32_t buffered_bytes, rest_bytes, bytes;

    if (link->bytes == 0 && !begin_frame(endpoint, link))
        return false;
    memory = slot_at(endpoint, link->inbound, link->slot);
    buffered_bytes = link->buffer_end - link->buffer_start;
    rest_bytes = link->bytes - link->landed_bytes;
    bytes = buffered_bytes < rest_bytes ? buffered_bytes : rest_bytes;
    memcpy(memory + link->landed_bytes, &link->buffer[link->buffer_start],
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
        .memory = memory,
    };
    link->bytes = 0;
    return true;
}
