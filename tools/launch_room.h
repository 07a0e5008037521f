/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch_room.h - where the ranks of a job on one host meet: address and key.
 */
#ifndef BALLOT_LAUNCH_ROOM_H
#define BALLOT_LAUNCH_ROOM_H

#include <limits.h>
#include <stdbool.h>

struct launch_room {
    char root[32]; /* 127.0.0.1:port */
    char key_file[PATH_MAX];
    bool key_made; /* the file is ours and removed at the end */
};

/*
 * Finds a free port, and makes a random key in a file that only this user can
 * read unless `key_file` names one. 0 or a negative errno, which has been
 * explained on stderr in the name of `program`.
 */
int launch_room_open(struct launch_room *room, const char *program,
                     const char *key_file);

/* Puts BALLOT_RANK and the others into this process's environment. */
void launch_room_export(const struct launch_room *room, int rank, int ranks);

void launch_room_close(struct launch_room *room);

#endif
