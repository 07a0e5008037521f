/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BALLOT_AGGREGATE_REDUCE_H
#define BALLOT_AGGREGATE_REDUCE_H
#include <stddef.h>
#include <stdint.h>
struct reduction {
    size_t unit;
    void (*fold)(void *to, const void *const *rows, uint32_t n, size_t count);
    void (*scale)(void *to, const void *from, const void *factor, size_t count);
    void (*divide)(void *to, uint32_t by, size_t count);
};
#endif
