/* SPDX-License-Identifier: Apache-2.0 */
/* packing.c - what a rank's vote is made of. */
#include "packing.h"

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
