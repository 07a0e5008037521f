/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - short files below a root folder: /sys, /proc, /dev.
 */
#ifndef BALLOT_DOCTOR_FILES_H
#define BALLOT_DOCTOR_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATH_BYTES = 512 };

/*
 * The first line of root + path (a format), without its end and its trailing
 * blanks. False, and "" in text, if the file cannot be read.
 */
__attribute__((format(printf, 4, 5))) bool files_line(const char *root,
                                                      char *text, size_t bytes,
                                                      const char *path, ...);

/* A whole number in the first line; `otherwise` if there is none. */
__attribute__((format(printf, 3, 4))) long files_number(const char *root,
                                                        long otherwise,
                                                        const char *path, ...);

__attribute__((format(printf, 2, 3))) bool files_exist(const char *root,
                                                       const char *path, ...);

/* "Name:   rest" -> rest of the first line that begins with `name`. */
bool files_field(const char *root, const char *path, const char *name,
                 char *text, size_t bytes);

/* Whether some line of the file contains `text`. */
bool files_mention(const char *root, const char *path, const char *text);

/*
 * The entries of a folder in their natural order ("gid 2" before "gid 10"),
 * without those that begin with a dot: as many as fit. Returns how many; 0 if
 * there is no such folder.
 */
enum { ENTRIES_MAX = 512, ENTRY_BYTES = 64 };
__attribute__((format(printf, 3, 4))) int files_list(
    const char *root, char entries[ENTRIES_MAX][ENTRY_BYTES], const char *path,
    ...);

#endif
