/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mnist.h - images of digits from IDX files, and which of them are a batch.
 */
#ifndef MNIST_H
#define MNIST_H

#include <stddef.h>
#include <stdint.h>

enum {
    MNIST_SIDE = 28,
    MNIST_PIXELS = MNIST_SIDE * MNIST_SIDE,
    MNIST_DIGITS = 10,
    MNIST_IMAGES_MAX = 1000000,
    BATCH_MAX = 4096,
};

struct mnist {
    uint8_t *pixels; /* [count][MNIST_PIXELS], 0 is paper, 255 is ink */
    uint8_t *labels; /* [count], each < MNIST_DIGITS */
    uint32_t count;
};

/*
 * Reads FOLDER/PART-images-idx3-ubyte and FOLDER/PART-labels-idx1-ubyte, each
 * gzipped with the suffix .gz or plain without it. PART is "train" or "t10k".
 * The caller gives `set` back with mnist_free(). On failure one line on stderr
 * says which file is wrong and how to mend it.
 *
 *   -ENOENT  a file is missing       -EINVAL  it is not what its name says
 *   -EIO     it cannot be read       -ENOMEM
 */
int mnist_load(struct mnist *set, const char *folder, const char *part);

void mnist_free(struct mnist *set);

/*
 * picks[count]: the images, out of `images`, that `rank` learns from in `step`.
 * Drawn with replacement; a function of its arguments alone.
 */
void mnist_draw(uint32_t *picks, uint32_t count, uint32_t images, uint64_t seed,
                uint32_t rank, uint32_t step);

#endif
