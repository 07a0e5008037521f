/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mnist.c - images of digits from IDX files, and which of them are a batch.
 */
#include "mnist.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "random.h"

enum {
    MAGIC_IMAGES = 0x0803, /* bytes, three dimensions */
    MAGIC_LABELS = 0x0801, /* bytes, one dimension */
    PATH_BYTES = 4096,
};

struct idx {
    char path[PATH_BYTES];
    gzFile file;
};

static int say(const struct idx *idx, int error, const char *what)
{
    fprintf(stderr, "%s: %s\n", idx->path, what);
    return error;
}

/* gzopen() reads plain files as well, so the suffix decides nothing else. */
static int open_idx(struct idx *idx, const char *folder, const char *part,
                    const char *kind)
{
    int bytes = snprintf(idx->path, sizeof(idx->path), "%s/%s-%s-ubyte.gz",
                         folder, part, kind);

    if (bytes < 0 || (size_t)bytes >= sizeof(idx->path))
        return say(idx, -EINVAL, "the path is too long; use a shorter one");
    if (access(idx->path, F_OK) != 0)
        idx->path[bytes - 3] = '\0';
    idx->file = gzopen(idx->path, "rb");
    if (idx->file != NULL)
        return 0;
    if (errno != ENOENT)
        return say(idx, -EIO, strerror(errno));
    return say(idx, -ENOENT,
               "there is no such file, nor one with .gz at the end; give the "
               "folder of the four MNIST files with --data");
}

/* A damaged gzip stream and a short file both end here. */
static int read_exactly(struct idx *idx, void *bytes, size_t count)
{
    const char *why = "it ends too early; get the file again";
    int got = gzread(idx->file, bytes, (unsigned)count);
    int error = Z_OK;

    if (got >= 0 && (size_t)got == count)
        return 0;
    if (got < 0)
        why = gzerror(idx->file, &error);
    if (error == Z_DATA_ERROR)
        why = "the gzip data is damaged; get the file again";
    return say(idx, -EIO, why);
}

static int read_number(struct idx *idx, uint32_t *number)
{
    uint8_t bytes[4];
    int error = read_exactly(idx, bytes, sizeof(bytes));

    if (error == 0)
        *number = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                  (uint32_t)bytes[2] << 8 | bytes[3];
    return error;
}

static int check_magic(struct idx *idx, uint32_t wanted)
{
    uint32_t magic = 0;
    int error = read_number(idx, &magic);

    if (error == 0 && magic != wanted)
        error = say(idx, -EINVAL,
                    wanted == MAGIC_IMAGES
                        ? "not an IDX file of images; is it named rightly?"
                        : "not an IDX file of labels; is it named rightly?");
    return error;
}

/* Only at the end of the stream does zlib compare the checksum. */
static int check_end(struct idx *idx)
{
    uint8_t more;
    int got = gzread(idx->file, &more, 1);

    if (got == 0)
        return 0;
    return got < 0 ? read_exactly(idx, &more, 1)
                   : say(idx, -EINVAL,
                         "it is longer than its header says; get it again");
}

/* The dimensions after the first, which is the count. */
static int check_sides(struct idx *idx)
{
    uint32_t height = 0;
    uint32_t width = 0;
    int error = read_number(idx, &height);

    if (error == 0)
        error = read_number(idx, &width);
    if (error == 0 && (height != MNIST_SIDE || width != MNIST_SIDE))
        error = say(idx, -EINVAL,
                    "its images are not 28 x 28; only MNIST's size is read");
    return error;
}

static int read_entries(struct idx *idx, uint32_t magic, uint32_t *count,
                        uint8_t **entries)
{
    const bool images = magic == MAGIC_IMAGES;
    const size_t entry_bytes = images ? MNIST_PIXELS : 1;
    int error = check_magic(idx, magic);

    if (error == 0)
        error = read_number(idx, count);
    if (error == 0 && (*count == 0 || *count > MNIST_IMAGES_MAX))
        error = say(idx, -EINVAL,
                    "its header promises no entries, or more than a million; "
                    "get the file again");
    if (error == 0 && images)
        error = check_sides(idx);
    if (error != 0)
        return error;
    *entries = malloc(*count * entry_bytes);
    if (*entries == NULL)
        return say(idx, -ENOMEM, "no memory for it; take a smaller set");
    error = read_exactly(idx, *entries, *count * entry_bytes);
    return error == 0 ? check_end(idx) : error;
}

static int read_file(const char *folder, const char *part, uint32_t magic,
                     uint32_t *count, uint8_t **entries)
{
    struct idx idx;
    int error = open_idx(&idx, folder, part,
                         magic == MAGIC_IMAGES ? "images-idx3" : "labels-idx1");

    if (error != 0)
        return error;
    error = read_entries(&idx, magic, count, entries);
    gzclose(idx.file);
    return error;
}

static int check_labels(const struct mnist *set, uint32_t labels,
                        const char *folder, const char *part)
{
    if (labels != set->count) {
        fprintf(stderr,
                "%s: %s has %u images but %u labels; take both files from the "
                "same set\n",
                folder, part, set->count, labels);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < labels; i++) {
        if (set->labels[i] >= MNIST_DIGITS) {
            fprintf(stderr,
                    "%s: label %u of %s is %u, not a digit; get the labels "
                    "again\n",
                    folder, i, part, set->labels[i]);
            return -EINVAL;
        }
    }
    return 0;
}

int mnist_load(struct mnist *set, const char *folder, const char *part)
{
    uint32_t labels = 0;
    int error;

    *set = (struct mnist){0};
    error = read_file(folder, part, MAGIC_IMAGES, &set->count, &set->pixels);
    if (error == 0)
        error = read_file(folder, part, MAGIC_LABELS, &labels, &set->labels);
    if (error == 0)
        error = check_labels(set, labels, folder, part);
    if (error != 0)
        mnist_free(set);
    return error;
}

void mnist_free(struct mnist *set)
{
    free(set->pixels);
    free(set->labels);
    *set = (struct mnist){0};
}

void mnist_draw(uint32_t *picks, uint32_t count, uint32_t images, uint64_t seed,
                uint32_t rank, uint32_t step)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bits = random_bits(seed, (uint64_t)rank << 32 | step, i);

        picks[i] = (uint32_t)(bits % images);
    }
}
