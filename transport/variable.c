/* SPDX-License-Identifier: Apache-2.0 */
/*
 * variable.c - a list to whose front is added, and from which nothing is
 * taken: whoever has read a value may keep it.
 */
#include "variable.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct stand_in {
    struct stand_in *next;
    char *name, *value; /* of the same memory; value may be NULL */
};

static _Atomic(struct stand_in *) newest;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

static const char *find(const char *name)
{
    struct stand_in *s = atomic_load(&newest);

    while (s != NULL && strcmp(s->name, name) != 0)
        s = s->next;
    return s == NULL ? NULL : s->value;
}

const char *variable(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? text : find(name);
}

static int add(const char *name, const char *value)
{
    const size_t name_bytes = strlen(name) + 1;
    const size_t value_bytes = value == NULL ? 0 : strlen(value) + 1;
    struct stand_in *s = malloc(sizeof(*s) + name_bytes + value_bytes);

    if (s == NULL)
        return -ENOMEM;
    s->name = (char *)(s + 1);
    s->value = value == NULL ? NULL : s->name + name_bytes;
    memcpy(s->name, name, name_bytes);
    if (value != NULL)
        memcpy(s->value, value, value_bytes);
    s->next = atomic_load(&newest);
    atomic_store(&newest, s);
    return 0;
}

int variable_stand_in(const char *name, const char *value)
{
    const char *old;
    int rc = 0;

    pthread_mutex_lock(&adding);
    old = find(name);
    if (old == NULL ? value != NULL : value == NULL || strcmp(old, value) != 0)
        rc = add(name, value);
    pthread_mutex_unlock(&adding);
    return rc;
}
