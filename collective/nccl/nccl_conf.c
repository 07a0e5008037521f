/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_conf.c - NCCL's variables, of the environment and of its files.
 *
 * NCCL_CONF_FILE, or else .nccl.conf at home, and then /etc/nccl.conf have a
 * line NAME=VALUE for each; # begins a comment. The first that sets a name
 * counts, and the environment before all (src/misc/param.cc of NCCL 2.30.7).
 * Lines of other names than NCCL's are left alone: ballot's own come from the
 * environment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nccl_inside.h"

enum { PATH_BYTES = 1024 };

/* Of the files; they stay as long as the process. */
static struct setting {
    struct setting *next;
    char *value;
    char name[]; /* and the value behind it */
} * settings;

static const char *find(const char *name)
{
    const struct setting *s = settings;

    while (s != NULL && strcmp(s->name, name) != 0)
        s = s->next;
    return s == NULL ? NULL : s->value;
}

static void keep(char *line)
{
    static const char prefix[] = "NCCL_";
    struct setting *s;
    size_t bytes;
    char *equals;

    line[strcspn(line, "\r\n")] = '\0';
    equals = strchr(line, '=');
    if (equals == NULL || strncmp(line, prefix, sizeof(prefix) - 1) != 0)
        return; /* so are comments */
    bytes = strlen(line) + 1;
    *equals = '\0';
    if (find(line) != NULL)
        return;
    s = malloc(sizeof(*s) + bytes);
    if (s == NULL) {
        fprintf(stderr, "ballot: no memory for %s\n", line);
        return;
    }
    memcpy(s->name, line, bytes);
    s->value = s->name + (equals - line) + 1;
    s->next = settings;
    settings = s;
}

static bool read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;

    if (file == NULL)
        return false;
    while (getline(&line, &room, file) >= 0)
        keep(line);
    free(line);
    fclose(file);
    return true;
}

static void read_files(void)
{
    const char *named = getenv("NCCL_CONF_FILE"), *home = getenv("HOME");
    char path[PATH_BYTES];

    if (named != NULL && *named != '\0') {
        if (!read_file(named))
            fprintf(stderr,
                    "ballot: NCCL_CONF_FILE=%s: it cannot be read (%s), and is "
                    "ignored\n",
                    named, strerror(errno));
    } else if (home != NULL) {
        snprintf(path, sizeof(path), "%s/.nccl.conf", home);
        read_file(path);
    }
    read_file("/etc/nccl.conf");
}

const char *nccl_variable(const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *value = getenv(name);

    if (value != NULL)
        return value;
    pthread_once(&once, read_files);
    return find(name);
}
