/* SPDX-License-Identifier: Apache-2.0 */
/* test_packing.c - what a rank keeps of a result: any piece of it, whatever
 * lines, words and chunks that cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../collective/packing.h"

enum { WHOLE = 40000, CHUNK = 4096, BEHIND = 8 };

static uint64_t random_state = 1;

static uint64_t draw(void)
{
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return random_state >> 20;
}

static bool bit(const uint64_t *plane, uint64_t i)
{
    return plane[i / 64] >> i % 64 & 1;
}

/* As a float's sign and whether it is nothing. */
static float follow(const uint64_t *signs, const uint64_t *zeros, uint64_t i)
{
    if (zeros != NULL && bit(zeros, i))
        return 0.0f;
    return bit(signs, i) ? -1.0f : 1.0f;
}

/* Chunk by chunk, each from a place of its own, as results come. */
static void apply_all(const struct majority_config *config,
                      const struct majority_call *call, const uint64_t *signs,
                      const uint64_t *zeros)
{
    static _Alignas(64) uint64_t plus[CHUNK / 64], none[CHUNK / 64];

    for (uint64_t first = 0; first < call->round.count; first += CHUNK) {
        uint64_t left = call->round.count - first;
        uint32_t count = (uint32_t)(left < CHUNK ? left : CHUNK);

        memcpy(plus, signs + first / 64, sizeof(plus));
        if (zeros != NULL)
            memcpy(none, zeros + first / 64, sizeof(none));
        packing_apply(config, call, first, count, plus,
                      zeros == NULL ? NULL : none, draw() % 2 == 0);
    }
}

static struct majority_call draw_call(uint8_t type, void *recv)
{
    struct majority_call call = {.kind = MAJORITY_REDUCE, .recv = recv};
    uint64_t word = type == TYPE_SIGNS ? 64 : 1;

    call.round.type = type;
    call.round.count = 1 + draw() % WHOLE;
    call.keep_first = draw() % call.round.count / word * word;
    call.keep_count = draw() % (call.round.count - call.keep_first + 1);
    return call;
}

static void fill(uint64_t *signs, uint64_t *zeros)
{
    for (size_t w = 0; w < (WHOLE + CHUNK) / 64; w++) {
        signs[w] = draw() << 40 ^ draw();
        zeros[w] = draw() << 40 ^ draw();
    }
}

static void test_floats(void **state)
{
    static _Alignas(64) uint64_t signs[(WHOLE + CHUNK) / 64];
    static uint64_t zeros[(WHOLE + CHUNK) / 64];
    static float recv[WHOLE + BEHIND];

    for (int trial = 0; trial < 300; trial++) {
        struct majority_config config = {.kernels = *state};
        struct majority_call call = draw_call(TYPE_FLOAT32, recv);
        const uint64_t *some = trial % 2 == 0 ? zeros : NULL;

        fill(signs, zeros);
        for (size_t i = 0; i < WHOLE + BEHIND; i++)
            recv[i] = 7.0f;
        apply_all(&config, &call, signs, some);
        for (uint64_t i = 0; i < call.keep_count; i++)
            assert_true(recv[i] == follow(signs, some, call.keep_first + i));
        for (uint64_t i = call.keep_count; i < WHOLE + BEHIND; i++)
            assert_true(recv[i] == 7.0f);
    }
}

static void test_signs(void **state)
{
    static _Alignas(64) uint64_t signs[(WHOLE + CHUNK) / 64];
    static uint64_t zeros[(WHOLE + CHUNK) / 64]; /* there are none of signs */
    static uint64_t recv[WHOLE / 64 + BEHIND];

    for (int trial = 0; trial < 300; trial++) {
        struct majority_config config = {.kernels = *state};
        struct majority_call call = draw_call(TYPE_SIGNS, recv);
        uint64_t words = (call.keep_count + 63) / 64;

        fill(signs, zeros);
        memset(recv, 0x5a, sizeof(recv));
        apply_all(&config, &call, signs, NULL);
        for (uint64_t i = 0; i < words * 64; i++)
            assert_true(bit(recv, i) == (i < call.keep_count &&
                                         bit(signs, call.keep_first + i)));
        for (uint64_t w = words; w < WHOLE / 64 + BEHIND; w++)
            assert_true(recv[w] == UINT64_C(0x5a5a5a5a5a5a5a5a));
    }
}

int main(void)
{
    int failed = 0;

    for (const struct kernels *const *k = kernels_all; *k != NULL; k++) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_prestate(test_floats, (void *)(uintptr_t)*k),
            cmocka_unit_test_prestate(test_signs, (void *)(uintptr_t)*k),
        };

        if (!(*k)->supported())
            continue;
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
