/* SPDX-License-Identifier: Apache-2.0 */
/* lanes.h - which slots between two ranks are for what. */
#ifndef BALLOT_COLLECTIVE_LANES_H
#define BALLOT_COLLECTIVE_LANES_H

#include <stdint.h>

enum {
    STREAM_WINDOW = 8, /* slots of all that is no vote, to each rank */
    CONTROL_SLOTS = 5,
};

enum lane { LANE_VOTE, LANE_RESULT, LANE_STREAM, LANE_CREDIT, LANE_CONTROL };

enum control {
    CONTROL_GOODBYE,
    CONTROL_PING,
    CONTROL_PONG,
    CONTROL_STATEMENT, /* membership.h */
    CONTROL_HEARD,     /* one has been read */
};

static inline uint32_t lanes_slots(uint32_t window)
{
    return 2 * window + 2 * STREAM_WINDOW + CONTROL_SLOTS;
}

static inline uint32_t lane_first(uint32_t window, enum lane lane)
{
    switch (lane) {
    case LANE_VOTE: return 0;
    case LANE_RESULT: return window;
    case LANE_STREAM: return 2 * window;
    case LANE_CREDIT: return 2 * window + STREAM_WINDOW;
    case LANE_CONTROL: break;
    }
    return 2 * window + 2 * STREAM_WINDOW;
}

/* The lane of `slot`, < lanes_slots(window); *index is its place there. */
static inline enum lane lane_of(uint32_t window, uint32_t slot, uint32_t *index)
{
    enum lane lane = LANE_CONTROL;

    while (lane != LANE_VOTE && slot < lane_first(window, lane))
        lane--;
    *index = slot - lane_first(window, lane);
    return lane;
}

#endif
