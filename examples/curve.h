/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curve.h - the progress of a training: as lines, as CSV, as a picture.
 */
#ifndef CURVE_H
#define CURVE_H

#include <stdint.h>
#include <stdio.h>

#include "options.h"

/* How it stands after `step` updates. */
struct progress {
    uint32_t step;
    double loss;        /* mean of this rank's batches since the last one */
    double accuracy;    /* on the test images */
    double bytes;       /* that a rank put on the wire a step */
    double float_bytes; /* that fp32 would have put in the same places */
};

struct curve {
    FILE *csv; /* NULL: nobody wants it */
    const char *plot;
    char csv_path[4096];
    bool csv_is_ours; /* made for the plot alone */
};

/*
 * Prints the heads of the columns and opens the CSV file. Before the long
 * training, not after it, says when gnuplot is missing: -ENOENT. Other failures
 * are a negative errno and a line on stderr.
 */
int curve_open(struct curve *curve, const struct options *options);

/* One line on stdout, one in the CSV file. */
int curve_add(struct curve *curve, const struct progress *progress);

/* Draws the picture where one is wanted; -EIO when that fails. */
int curve_close(struct curve *curve);

#endif
