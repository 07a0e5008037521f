/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment.c - what NCCL's variables do, as seen from outside: where this
 * process listens, and what the library would use.
 */
#include "program.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a socket of this number is ours. */
static bool owns(unsigned long inode)
{
    DIR *folder = opendir("/proc/self/fd");
    char wanted[64], path[300], target[64];
    bool found = false;

    CHECK(folder != NULL);
    snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
    for (struct dirent *e; !found && (e = readdir(folder)) != NULL;) {
        ssize_t length;

        snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
        length = readlink(path, target, sizeof(target) - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    closedir(folder);
    return found;
}

/* The addresses at which we listen, as the kernel writes them. */
static void show_listeners(const char *file)
{
    enum { LISTENS = 0x0a };
    FILE *table = fopen(file, "r");
    char line[512], address[64];
    unsigned long inode;
    unsigned state;

    if (table == NULL)
        return; /* a host without IPv6 */
    while (fgets(line, sizeof(line), table) != NULL)
        if (sscanf(line, "%*d: %63[0-9A-F]:%*x %*s %x %*s %*s %*s %*s %*s %lu",
                   address, &state, &inode) == 3 &&
            state == LISTENS && owns(inode))
            printf("listens=%s\n", address);
    fclose(table);
}

int environment_show(char **keys)
{
    ncclUniqueId id;
    const char *value;
    int length;

    if (ncclGetUniqueId(&id) != ncclSuccess) {
        printf("error=%s\n", ncclGetLastError(NULL));
        return 0;
    }
    show_listeners("/proc/self/net/tcp");
    show_listeners("/proc/self/net/tcp6");
    for (; *keys != NULL; keys++) {
        OK(ncclParamGetParameter(*keys, &value, &length));
        printf("%s=%.*s\n", *keys, length, value);
    }
    return 0;
}

/* Each rank has made the id for itself: NCCL_COMM_ID says the same to all. */
void own_ids(struct rank *r)
{
    enum { TIMES = 5 };
    ncclUniqueId id;
    ncclComm_t comm;

    for (int i = 0; i < TIMES; i++) {
        OK(ncclGetUniqueId(&id));
        OK(ncclCommInitRank(&comm, r->ranks, id, r->rank));
        sum_is(comm, r->rank, r->ranks * (r->ranks - 1) / 2);
        OK(ncclCommDestroy(comm));
    }
    if (r->rank == 0)
        printf("PASS own ids of %d processes\n", r->ranks);
    fflush(stdout);
}
