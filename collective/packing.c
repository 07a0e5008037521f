/* SPDX-License-Identifier: Apache-2.0 */
/* packing.c - what a rank's vote is made of, and what becomes of a result. */
#include "packing.h"

enum { RUN_LINES = 32 }; /* of a result that are turned into others at once */

const uint8_t packing_bits[TYPES] = {
    [TYPE_FLOAT32] = 32, [TYPE_FLOAT16] = 16, [TYPE_BFLOAT16] = 16,
    [TYPE_FLOAT64] = 64, [TYPE_SIGNS] = 1,
};

void *packing_element(const void *vector, uint8_t type, uint64_t first)
{
    return (uint8_t *)(uintptr_t)vector + first * packing_bits[type] / 8;
}

bool packing_fused(const struct majority_call *call)
{
    return call->kind == MAJORITY_SIGNUM || call->kind == MAJORITY_FEEDBACK;
}

/* A row for each task, one behind the other. */
static void pack_tasks(const struct majority_config *config,
                       const struct majority_call *call,
                       const struct caster_put *put, uint64_t *signs)
{
    const struct call *chunk = &put->header.call;
    size_t words = lines_for(chunk->coordinates) * LINE_WORDS;

    for (uint32_t row = 0; row < chunk->rows; row++)
        crew_pack(config->crew, config->kernels, chunk->type,
                  signs + row * words, NULL,
                  packing_element(call->tasks[row], chunk->type, put->first),
                  chunk->coordinates);
}

void packing_pack(const struct majority_config *config,
                  const struct majority_call *call,
                  const struct caster_put *put, uint64_t *signs)
{
    const struct kernels *k = config->kernels;
    uint8_t type = put->header.call.type;
    uint32_t count = put->header.call.coordinates;
    uint64_t *marks = NULL;
    const void *send;
    float *state;

    if (count == 0 || call->kind == MAJORITY_QUESTION)
        return;
    if (call->kind == MAJORITY_TASKS) {
        pack_tasks(config, call, put, signs);
        return;
    }
    if (config->caster.shape.planes_up == 2)
        marks = signs + lines_for(count) * LINE_WORDS;
    send = packing_element(call->send, type, put->first);
    state = packing_fused(call) ? call->state + put->first : NULL;
    if (call->kind == MAJORITY_SIGNUM)
        crew_signum(config->crew, k, signs, marks, state, send, call->beta,
                    count);
    else if (call->kind == MAJORITY_FEEDBACK)
        crew_feedback(config->crew, k, signs, marks, state, send, call->scale,
                      count);
    else
        crew_pack(config->crew, k, type, signs, marks, send, count);
}

/* ---- Results ---- */

bool packing_keeps_all(const struct majority_call *call)
{
    return call->keep_first == 0 && call->keep_count == call->round.count;
}

/* `words` words from bit `skip` of a plane that ends at plane[end]. */
static void move_down(uint64_t *to, const uint64_t *plane, uint64_t end,
                      uint64_t skip, uint64_t words)
{
    uint32_t bits = (uint32_t)(skip % 64);

    for (uint64_t w = 0, from = skip / 64; w < words; w++, from++) {
        to[w] = plane[from] >> bits;
        if (bits != 0 && from + 1 < end)
            to[w] |= plane[from + 1] << (64 - bits);
    }
}

/* The coordinates of a result from `skip`, which is in the midst of a line, on.
 */
static void apply_within(const struct majority_config *config, uint8_t type,
                         void *to, const uint64_t *signs, const uint64_t *zeros,
                         uint64_t end, uint64_t skip, uint64_t count)
{
    _Alignas(LINE_BYTES) uint64_t plus[RUN_LINES * LINE_WORDS];
    _Alignas(LINE_BYTES) uint64_t none[RUN_LINES * LINE_WORDS];
    const uint64_t most = (uint64_t)RUN_LINES * LINE_COORDINATES;

    for (uint64_t done = 0, some; done < count; done += some) {
        some = count - done < most ? count - done : most;
        move_down(plus, signs, end, skip + done, (some + 63) / 64);
        if (zeros != NULL)
            move_down(none, zeros, end, skip + done, (some + 63) / 64);
        crew_apply(config->crew, config->kernels, type,
                   packing_element(to, type, done), plus,
                   zeros == NULL ? NULL : none, 1.0f, some, false);
    }
}

void packing_apply(const struct majority_config *config,
                   const struct majority_call *call, uint64_t first,
                   uint32_t count, const uint64_t *signs, const uint64_t *zeros,
                   bool far)
{
    uint64_t begin = first > call->keep_first ? first : call->keep_first;
    uint64_t end = call->keep_first + call->keep_count, line;
    uint8_t type = call->round.type;
    void *to;

    if (end > first + count)
        end = first + count;
    if (begin >= end)
        return;
    to = packing_element(call->recv, type, begin - call->keep_first);
    if ((begin - first) % LINE_COORDINATES != 0) {
        apply_within(config, type, to, signs, zeros,
                     lines_for(count) * LINE_WORDS, begin - first, end - begin);
        return;
    }
    line = (begin - first) / LINE_COORDINATES * LINE_WORDS;
    crew_apply(config->crew, config->kernels, type, to, signs + line,
               zeros == NULL ? NULL : zeros + line, 1.0f, end - begin, far);
}
