/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.c - the first rounds of a training, bit for bit, for a second opinion.
 */
#include "dump.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };

static int open_file(FILE **file, const char *folder, const char *name)
{
    char path[PATH_BYTES];
    int bytes = snprintf(path, sizeof(path), "%s/%s", folder, name);
    int error;

    if (bytes < 0 || (size_t)bytes >= sizeof(path)) {
        fprintf(stderr, "%s: the path is too long; use a shorter one\n",
                folder);
        return -ENAMETOOLONG;
    }
    *file = fopen(path, "wb");
    if (*file != NULL)
        return 0;
    error = errno;
    fprintf(stderr,
            "%s: %s; --dump needs a folder that can be written or made\n", path,
            strerror(error));
    return -error;
}

static int open_array(FILE **file, const char *folder, const char *array,
                      uint32_t rank)
{
    char name[64];

    snprintf(name, sizeof(name), "%s-%u.f32", array, rank);
    return open_file(file, folder, name);
}

static int write_floats(FILE *file, const float *values, size_t count)
{
    if (fwrite(values, sizeof(*values), count, file) == count)
        return 0;
    fprintf(stderr, "--dump: %s; make room or leave --dump away\n",
            strerror(errno));
    return -EIO;
}

/* Closing may find that the last bytes did not fit. */
static int close_file(FILE **file, int error)
{
    if (*file != NULL && fclose(*file) != 0 && error == 0) {
        fprintf(stderr, "--dump: %s; make room or leave --dump away\n",
                strerror(errno));
        error = -EIO;
    }
    *file = NULL;
    return error;
}

static int write_run(const struct options *options, uint32_t ranks,
                     uint32_t rounds, size_t count)
{
    FILE *file;
    int error = open_file(&file, options->dump, "run.txt");

    if (error != 0)
        return error;
    fprintf(file,
            "ranks %u\ncount %zu\nrounds %u\nmomentum %a\nweight_decay %a\n",
            ranks, count, rounds, (double)options->momentum,
            (double)options->weight_decay);
    return close_file(&file, 0);
}

static int write_initial(const char *folder, const float *initial, size_t count)
{
    FILE *file;
    int error = open_file(&file, folder, "initial.f32");

    if (error != 0)
        return error;
    return close_file(&file, write_floats(file, initial, count));
}

int dump_open(struct dump *dump, const struct options *options, uint32_t rank,
              uint32_t ranks, const float *initial, size_t count)
{
    const char *folder = options->dump;
    int error = 0;

    *dump = (struct dump){.count = count};
    if (folder == NULL)
        return 0;
    dump->rounds = options->steps < DUMP_ROUNDS ? options->steps : DUMP_ROUNDS;
    /* Several ranks make it; what else is wrong, the first file tells. */
    mkdir(folder, 0777);
    if (rank == 0)
        error = write_run(options, ranks, dump->rounds, count);
    if (error == 0 && rank == 0)
        error = write_initial(folder, initial, count);
    if (error == 0 && rank == 0)
        error = open_file(&dump->rates, folder, "rates.f32");
    if (error == 0)
        error = open_array(&dump->gradient, folder, "gradient", rank);
    if (error == 0)
        error = open_array(&dump->momentum, folder, "momentum", rank);
    if (error == 0)
        error = open_array(&dump->parameters, folder, "parameters", rank);
    if (error != 0)
        dump_close(dump);
    return error;
}

int dump_before(struct dump *dump, uint32_t round, float rate,
                const float *gradient)
{
    int error = 0;

    if (round >= dump->rounds)
        return 0;
    if (dump->rates != NULL)
        error = write_floats(dump->rates, &rate, 1);
    if (error == 0)
        error = write_floats(dump->gradient, gradient, dump->count);
    return error;
}

int dump_after(struct dump *dump, uint32_t round, const float *momentum,
               const float *parameters)
{
    int error;

    if (round >= dump->rounds)
        return 0;
    error = write_floats(dump->momentum, momentum, dump->count);
    if (error == 0)
        error = write_floats(dump->parameters, parameters, dump->count);
    return error;
}

int dump_close(struct dump *dump)
{
    int error = close_file(&dump->rates, 0);

    error = close_file(&dump->gradient, error);
    error = close_file(&dump->momentum, error);
    return close_file(&dump->parameters, error);
}
