/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_brief.c - messages that lie where the peer looks for them.
 *
 * A put into a slot costs its reader a notice, a header line and the bytes,
 * each a line that has to come from another core. A brief message is one line
 * that says itself that it is new: lap | bytes << 16, where lap counts how
 * often the ring of lines has gone around, from 1, and wraps. What does not
 * fit the line lies in the line's own piece of memory. The reader says how many
 * it has taken in a line of the memory that it writes itself.
 *
 * A line that the reader has read must come back to the writer's core before it
 * can be written again, which takes as long as to read it. So the writer asks
 * for the lines of later messages while this one is on its way. Where one
 * message ends, the next begins elsewhere: processors that read in a row fetch
 * what lies behind it too, and would take those lines away again.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "shm_inside.h"

enum {
    LINE_BODY = 64 - 4 * (1 + BRIEF_HEAD),
    TELL = BRIEF_RING / 4, /* so many taken, and the peer is told */
    AHEAD = 3,             /* the line of the message after so many */
    STRIDE = 5,            /* from a message's place to the next one's; odd */
};

struct line {
    _Atomic uint32_t word;
    uint32_t head[BRIEF_HEAD];
    uint8_t body[LINE_BODY]; /* if it fits */
};
_Static_assert(sizeof(struct line) == 64, "a line of the cache");

static uint16_t lap_of(uint32_t index)
{
    return (uint16_t)(index / BRIEF_RING + 1);
}

static uint32_t place_of(uint32_t index)
{
    return index * STRIDE % BRIEF_RING;
}

/* What the writer of this memory has taken of the other direction. */
static _Atomic uint32_t *told_at(const struct endpoint *endpoint, void *memory)
{
    return (void *)((uint8_t *)memory + endpoint->layout.brief_at);
}

static struct line *line_at(const struct endpoint *endpoint, void *memory,
                            uint32_t index)
{
    struct line *lines =
        (void *)((uint8_t *)memory + endpoint->layout.brief_at + 64);

    return &lines[place_of(index)];
}

static uint8_t *body_at(const struct endpoint *endpoint, void *memory,
                        uint32_t index, uint32_t bytes)
{
    struct line *line = line_at(endpoint, memory, index);

    if (bytes <= LINE_BODY)
        return line->body;
    return (uint8_t *)line_at(endpoint, memory, 0) + (size_t)64 * BRIEF_RING +
           (size_t)place_of(index) * BRIEF_BODY_STEP;
}

/* Asks for a line that will be written. */
static inline void own(void *line)
{
#if defined(__x86_64__)
    /* Compilers have it for some processors only; where there is none it does
     * nothing. */
    __asm__ volatile("prefetchw %0" : : "m"(*(char *)line));
#else
    __builtin_prefetch(line, 1);
#endif
}

static uint32_t load(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* ---- Out ---- */

static bool has_room(const struct shm_brief *brief)
{
    return brief->given - brief->room < BRIEF_RING;
}

/* How much the peer has taken by now. It cannot be more than was given. */
static void look_for_room(const struct endpoint *endpoint,
                          struct shm_link *link)
{
    uint32_t told = load(told_at(endpoint, link->in));

    if (told - link->brief.room > link->brief.given - link->brief.room)
        link->brief.lied = true;
    else
        link->brief.room = told;
}

/* Of messages behind number `at`, where the peer is known to have taken what
 * was there, as if the next one were as long as this. */
static void own_next(const struct endpoint *endpoint,
                     const struct shm_link *link, uint32_t at, uint32_t bytes)
{
    uint32_t free = BRIEF_RING - (at - link->brief.room);
    uint8_t *body;

    if (free > AHEAD)
        own(line_at(endpoint, link->out, at + AHEAD));
    if (free < 2 || bytes <= LINE_BODY ||
        (bytes >= SHM_COPY_LARGE && !shm_copy_owns(&link->copying)))
        return;
    body = body_at(endpoint, link->out, at + 1, bytes);
    for (uint32_t i = 0; i < bytes; i += 64)
        own(body + i);
}

int shm_put_brief(struct endpoint *endpoint, uint32_t peer,
                  const uint32_t head[BRIEF_HEAD], const void *body,
                  uint32_t bytes)
{
    struct shm_link *link = &endpoint->links[peer];
    uint32_t at = link->brief.given;
    struct line *line;

    assert(bytes <= SHM_BRIEF_BYTES);
    if (!shm_linked(link))
        return -ENOTCONN;
    if (!has_room(&link->brief)) {
        look_for_room(endpoint, link);
        if (!has_room(&link->brief)) {
            link->brief.starved = true;
            return -EAGAIN;
        }
    }
    line = line_at(endpoint, link->out, at);
    if (bytes > 0)
        shm_copy_owned(&link->copying, body_at(endpoint, link->out, at, bytes),
                       body, bytes);
    memcpy(line->head, head, sizeof(line->head));
    atomic_store_explicit(&line->word, lap_of(at) | bytes << 16,
                          memory_order_release);
    link->brief.given = at + 1;
    own_next(endpoint, link, at, bytes);
    shm_announce(endpoint, link);
    return 0;
}

/* ---- In ---- */

/* The bytes of the message in line `index`; -EAGAIN: there is none. */
static int message_at(const struct endpoint *endpoint,
                      const struct shm_link *link, uint32_t index)
{
    uint32_t word = load(&line_at(endpoint, link->in, index)->word);

    if ((uint16_t)word != lap_of(index))
        return -EAGAIN;
    return word >> 16 > SHM_BRIEF_BYTES ? -EPROTO : (int)(word >> 16);
}

int shm_peek_brief(struct endpoint *endpoint, uint32_t peer,
                   uint32_t head[BRIEF_HEAD])
{
    const struct shm_link *link = &endpoint->links[peer];
    int bytes;

    if (link->in == NULL)
        return -EAGAIN;
    bytes = message_at(endpoint, link, link->brief.taken);
    if (bytes < 0)
        return -EAGAIN; /* a lie is reported */
    memcpy(head, line_at(endpoint, link->in, link->brief.taken)->head,
           sizeof(head[0]) * BRIEF_HEAD);
    return bytes;
}

void shm_take_brief(struct endpoint *endpoint, uint32_t peer, void *body,
                    uint32_t bytes)
{
    struct shm_link *link = &endpoint->links[peer];
    struct shm_brief *brief = &link->brief;

    assert(bytes <= SHM_BRIEF_BYTES);
    if (bytes > 0)
        memcpy(body, body_at(endpoint, link->in, brief->taken, bytes), bytes);
    brief->taken++;
    if (brief->taken - brief->told < TELL || !shm_linked(link))
        return;
    brief->told = brief->taken;
    atomic_store_explicit(told_at(endpoint, link->out), brief->told,
                          memory_order_release);
    shm_announce(endpoint, link);
}

/* ---- What has changed ---- */

/* Where what was not reported begins. */
static uint32_t unreported(const struct shm_brief *brief)
{
    bool behind = brief->reported - brief->taken > BRIEF_RING;

    return behind ? brief->taken : brief->reported;
}

bool shm_brief_waits(const struct endpoint *endpoint,
                     const struct shm_link *link)
{
    const struct shm_brief *brief = &link->brief;

    return brief->lied ||
           message_at(endpoint, link, unreported(brief)) != -EAGAIN ||
           (brief->starved && load(told_at(endpoint, link->in)) != brief->room);
}

int shm_brief_report(struct endpoint *endpoint, struct shm_link *link)
{
    struct shm_brief *brief = &link->brief;
    uint32_t at = unreported(brief);
    bool changed = false;
    int bytes;

    brief->reported = at;
    while ((bytes = message_at(endpoint, link, at)) >= 0 &&
           at - brief->taken < BRIEF_RING)
        at++;
    if (bytes == -EPROTO || brief->lied)
        return -EPROTO;
    changed = at != brief->reported;
    brief->reported = at;
    if (brief->starved && load(told_at(endpoint, link->in)) != brief->room) {
        look_for_room(endpoint, link);
        brief->starved = false;
        changed = true;
    }
    return changed;
}
