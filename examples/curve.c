/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curve.c - the progress of a training: as lines, as CSV, as a picture.
 */
#include "curve.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "paths.h"

extern char **environ;

/* Runs gnuplot and waits for it: 0, its exit status, or a negative errno. */
static int run_gnuplot(char *const arguments[])
{
    pid_t pid;
    int status;
    int error = posix_spawnp(&pid, "gnuplot", NULL, NULL, arguments, environ);

    if (error != 0)
        return -error;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

static int check_gnuplot(void)
{
    char program[] = "gnuplot";
    char nothing[] = "-e";
    char script[] = "set terminal pngcairo";
    char *const arguments[] = {program, nothing, script, NULL};

    if (run_gnuplot(arguments) == 0)
        return 0;
    fputs("--plot: gnuplot with its pngcairo terminal does not run here; "
          "install it (gnuplot-nox) or leave --plot away\n",
          stderr);
    return -ENOENT;
}

/* A picture without --csv takes its numbers from a file of its own. */
static int open_csv(struct curve *curve, const char *path)
{
    int bytes;
    int error;

    curve->csv_is_ours = path == NULL;
    bytes =
        snprintf(curve->csv_path, sizeof(curve->csv_path), "%s%s",
                 path != NULL ? path : curve->plot, path != NULL ? "" : ".csv");
    if (bytes < 0 || (size_t)bytes >= sizeof(curve->csv_path)) {
        fputs("the path of --csv or --plot is too long; use a shorter one\n",
              stderr);
        return -ENAMETOOLONG;
    }
    curve->csv = fopen(curve->csv_path, "w");
    if (curve->csv != NULL) {
        fputs("step,loss,test_accuracy,bytes_per_step,fp32_bytes_per_step\n",
              curve->csv);
        return 0;
    }
    error = errno;
    fprintf(stderr, "%s: %s; name a file that can be written\n",
            curve->csv_path, strerror(error));
    return -error;
}

int curve_open(struct curve *curve, const struct options *options)
{
    int error = 0;

    *curve = (struct curve){.plot = options->plot};
    if (options->plot != NULL)
        error = check_gnuplot();
    if (error == 0 && (options->plot != NULL || options->csv != NULL))
        error = open_csv(curve, options->csv);
    if (error == 0)
        printf("%8s %8s %9s %14s %10s\n", "step", "loss", "accuracy",
               "bytes a step", "vs fp32");
    return error;
}

int curve_add(struct curve *curve, const struct progress *p)
{
    printf("%8u %8.4g %9.4f %14.0f %9.2fx\n", p->step, p->loss, p->accuracy,
           p->bytes, p->float_bytes / p->bytes);
    fflush(stdout);
    if (curve->csv == NULL)
        return 0;
    if (fprintf(curve->csv, "%u,%.6f,%.4f,%.1f,%.1f\n", p->step, p->loss,
                p->accuracy, p->bytes, p->float_bytes) > 0 &&
        fflush(curve->csv) == 0)
        return 0;
    fprintf(stderr, "%s: %s; make room for it\n", curve->csv_path,
            strerror(errno));
    return -EIO;
}

/* The script takes the names as its arguments, so no quoting is needed. */
static int draw(struct curve *curve)
{
    char program[] = "gnuplot";
    char call[] = "-c";
    char script[] = EXAMPLES_DIR "/plot_training.gp";
    char *const picture = strdup(curve->plot);
    char *const arguments[] = {program,         call, script, picture,
                               curve->csv_path, NULL};
    int error = picture == NULL ? -ENOMEM : run_gnuplot(arguments);

    free(picture);
    if (error != 0) {
        fprintf(stderr, "%s: gnuplot could not draw it with %s from %s\n",
                curve->plot, script, curve->csv_path);
        return -EIO;
    }
    if (curve->csv_is_ours)
        unlink(curve->csv_path);
    return 0;
}

int curve_close(struct curve *curve)
{
    if (curve->csv == NULL)
        return 0;
    fclose(curve->csv);
    curve->csv = NULL;
    return curve->plot != NULL ? draw(curve) : 0;
}
