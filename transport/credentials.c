/* SPDX-License-Identifier: Apache-2.0 */
/* credentials.c - the job's key from its file. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bootstrap.h"

enum {
    DIGITS = 2 * KEY_BYTES,
    FILE_BYTES_MAX = DIGITS + 2, /* with a line end of either kind */
};

#define MAKE_ONE                                                               \
    "make one with (umask 077; head -c 32 /dev/urandom > FILE) and give it to" \
    " all ranks"

static int explain(int error, const char *path, const char *cure,
                   char why[WHY_BYTES])
{
    snprintf(why, WHY_BYTES, "cannot use the key file '%.200s': %s", path,
             cure);
    return error;
}

static int explain_errno(int error, const char *path, char why[WHY_BYTES])
{
    char cure[128];

    snprintf(cure, sizeof(cure),
             "%s; it must be a file that this user may read",
             strerrordesc_np(-error));
    return explain(error, path, cure, why);
}

static int open_file(const char *path, char why[WHY_BYTES])
{
    /* Without O_NONBLOCK a pipe would make us wait for its writer. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    int result = 0;

    if (descriptor < 0 && errno == ENOENT)
        return explain(-ENOENT, path, "it does not exist; " MAKE_ONE, why);
    if (descriptor < 0)
        return explain_errno(-errno, path, why);
    if (fstat(descriptor, &status) < 0)
        result = explain_errno(-errno, path, why);
    else if (!S_ISREG(status.st_mode))
        result =
            explain(-EINVAL, path, "it is no regular file; " MAKE_ONE, why);
    else if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        result = explain(-EACCES, path,
                         "others may read or write it; chmod 600 it, and make"
                         " a new key if it may have been read",
                         why);
    if (result < 0)
        close(descriptor);
    return result < 0 ? result : descriptor;
}

/* All of the file, or as much as bytes[count] holds. */
static ssize_t read_bytes(int descriptor, uint8_t *bytes, size_t count)
{
    size_t done = 0;
    ssize_t got;

    while (done < count) {
        got = read(descriptor, bytes + done, count - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static bool decode(const uint8_t *bytes, size_t count, uint8_t key[KEY_BYTES])
{
    size_t decoded;

    if (count == KEY_BYTES) {
        memcpy(key, bytes, KEY_BYTES);
        return true;
    }
    while (count > DIGITS &&
           (bytes[count - 1] == '\n' || bytes[count - 1] == '\r'))
        count--;
    return count == DIGITS &&
           sodium_hex2bin(key, KEY_BYTES, (const char *)bytes, DIGITS, NULL,
                          &decoded, NULL) == 0 &&
           decoded == KEY_BYTES;
}

int credentials_read(const char *path, struct credentials *credentials,
                     char why[WHY_BYTES])
{
    uint8_t bytes[FILE_BYTES_MAX + 1];
    struct credentials found = {.none = false};
    int result = 0;
    int descriptor = open_file(path, why);
    ssize_t count;

    if (descriptor < 0)
        return descriptor;
    count = read_bytes(descriptor, bytes, sizeof(bytes));
    close(descriptor);
    if (count < 0)
        result = explain_errno((int)count, path, why);
    else if (!decode(bytes, (size_t)count, found.key))
        result = explain(
            -EINVAL, path,
            "it holds neither 64 hexadecimal digits nor 32 bytes; " MAKE_ONE,
            why);
    else if (sodium_is_zero(found.key, KEY_BYTES))
        result =
            explain(-EINVAL, path, "a key of zeros is none; " MAKE_ONE, why);
    else
        *credentials = found;
    sodium_memzero(bytes, sizeof(bytes));
    sodium_memzero(&found, sizeof(found));
    return result;
}
