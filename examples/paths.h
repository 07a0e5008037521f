/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.h - where the examples find the files that stand beside the sources.
 */
#ifndef PATHS_H
#define PATHS_H

/* The build gives an absolute path; without it, run from the source's root. */
#ifndef EXAMPLES_DIR
#define EXAMPLES_DIR "examples"
#endif

#endif
