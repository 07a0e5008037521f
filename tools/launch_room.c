/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch_room.c - where the ranks of a job on one host meet: address and key.
 */
#include "launch_room.h"

#include "launch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEY_BYTES = 32 };

/* The kernel gives ports in turn, so nobody gets this one again soon. */
static int find_port(struct launch_room *room)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t bytes = sizeof(address);
    int error = 0;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (probe < 0)
        return -errno;
    if (bind(probe, (const struct sockaddr *)&address, bytes) != 0 ||
        getsockname(probe, (struct sockaddr *)&address, &bytes) != 0)
        error = -errno;
    close(probe);
    snprintf(room->root, sizeof(room->root), "127.0.0.1:%u",
             (unsigned)ntohs(address.sin_port));
    return error;
}

static int write_key(int file)
{
    unsigned char key[KEY_BYTES];
    char line[2 * KEY_BYTES + 2];
    int error = 0;

    if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
        return -errno;
    for (size_t i = 0; i < sizeof(key); i++)
        snprintf(&line[2 * i], 3, "%02x", key[i]);
    line[2 * KEY_BYTES] = '\n';
    if (write(file, line, sizeof(line) - 1) != (ssize_t)sizeof(line) - 1)
        error = errno != 0 ? -errno : -ENOSPC;
    explicit_bzero(key, sizeof(key));
    explicit_bzero(line, sizeof(line));
    return error;
}

/* mkostemp() makes the file with mode 0600. */
static int make_key(struct launch_room *room)
{
    const char *folder = getenv("TMPDIR");
    int file, error;

    if (folder == NULL || folder[0] == '\0')
        folder = "/tmp";
    if ((size_t)snprintf(room->key_file, sizeof(room->key_file),
                         "%s/ballot-key-XXXXXX",
                         folder) >= sizeof(room->key_file))
        return -ENAMETOOLONG;
    errno = 0;
    file = mkostemp(room->key_file, O_CLOEXEC);
    if (file < 0)
        return -errno;
    room->key_made = true;
    error = write_key(file);
    close(file);
    return error;
}

static int take_key(struct launch_room *room, const char *key_file)
{
    /* Absolute, since a rank may change its folder before it reads it. */
    if (realpath(key_file, room->key_file) == NULL ||
        access(room->key_file, R_OK) != 0)
        return -errno;
    return 0;
}

int launch_room_open(struct launch_room *room, const char *program,
                     const char *key_file)
{
    int error;

    memset(room, 0, sizeof(*room));
    error = find_port(room);
    if (error != 0) {
        fprintf(stderr,
                "%s: no port on 127.0.0.1: %s; is the interface lo up? "
                "(ip link set lo up)\n",
                program, strerror(-error));
        return error;
    }
    error = key_file != NULL ? take_key(room, key_file) : make_key(room);
    if (error == 0)
        return 0;
    if (key_file != NULL)
        fprintf(stderr,
                "%s: cannot read the key file %s: %s; name one that this user "
                "can read, or leave --key-file out to get a random key\n",
                program, key_file, strerror(-error));
    else
        fprintf(stderr,
                "%s: cannot make the job's key file %s: %s; let TMPDIR name a "
                "folder that this user can write\n",
                program, room->key_file, strerror(-error));
    launch_room_close(room);
    return error;
}

static void export_number(const char *name, int value)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", value);
    setenv(name, text, 1);
}

void launch_room_export(const struct launch_room *room, int rank, int ranks)
{
    export_number("BALLOT_RANK", rank);
    export_number("BALLOT_RANKS", ranks);
    export_number("BALLOT_LOCAL_RANK", rank);
    export_number("BALLOT_LOCAL_RANKS", ranks);
    setenv("BALLOT_ROOT", room->root, 1);
    setenv("BALLOT_KEY_FILE", room->key_file, 1);
}

void launch_room_close(struct launch_room *room)
{
    if (room->key_made)
        unlink(room->key_file);
    room->key_made = false;
}
