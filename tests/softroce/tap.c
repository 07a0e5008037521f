/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.c - makes a worker write down what it and rank 0 alone know: its queue
 * pair for rank 0, in FILE.pair, and what rank 0 has told it of its memory, in
 * FILE. An attacker may guess both.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../transport/verbs.h"

/* The linker leads the library's calls of the first to the second. */
int __real_verbs_links_exchange(struct endpoint *endpoint,
                                const struct verbs_route *routes,
                                uint64_t deadline_ns);
int __wrap_verbs_links_exchange(struct endpoint *endpoint,
                                const struct verbs_route *routes,
                                uint64_t deadline_ns);

static void write_down(const char *path, const char *end, uint64_t first,
                       uint32_t second)
{
    char name[4096];
    FILE *file;

    snprintf(name, sizeof(name), "%s%s", path, end);
    file = fopen(name, "we");
    if (file == NULL ||
        fprintf(file, "%" PRIu64 " %" PRIu32 "\n", first, second) < 0)
        abort();
    fclose(file);
}

int __wrap_verbs_links_exchange(struct endpoint *endpoint,
                                const struct verbs_route *routes,
                                uint64_t deadline_ns)
{
    const char *path = getenv("BALLOT_TEST_TAP");
    const struct verbs_link *link = endpoint->links[0];
    int rc;

    if (path == NULL || link == NULL)
        abort();
    write_down(path, ".pair", link->stripes[0].pair->qp_num, 0);
    rc = __real_verbs_links_exchange(endpoint, routes, deadline_ns);
    if (rc == 0)
        write_down(path, "", link->remote, link->remote_keys[0]);
    return rc;
}
