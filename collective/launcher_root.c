/* SPDX-License-Identifier: Apache-2.0 */
/* launcher_root.c - a place to meet that all ranks can tell by themselves. */
#include "launcher_root.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm.h"
#include "nodelist.h"

/* Below the ports that systems give to whoever connects. */
enum {
    PORT_FIRST = 10000,
    PORTS = 20000,
    PORT_MAX = 65535,
    HOST_NAME_BYTES = 256,
};

static const char *text_of(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? text : "";
}

/* A port drawn by FNV-1a from the values of variables; NULL ends the list. */
static unsigned draw_port(const char *const *names)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *names != NULL; names++) {
        for (const char *at = text_of(*names); *at != '\0'; at++)
            hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
        hash = (hash ^ 0xff) * UINT64_C(1099511628211);
    }
    return PORT_FIRST + (unsigned)((hash >> 16) % PORTS);
}

static void write_root(struct launcher *l, const char *host, unsigned port)
{
    const char *format =
        strchr(host, ':') != NULL && host[0] != '[' ? "[%s]:%u" : "%s:%u";

    snprintf(l->root, sizeof(l->root), format, host, port);
}

/*
 * An agent counts only the restarts that it began itself, so the count is the
 * same on all ranks only where one agent has started all of them. There each
 * restart is a job of its own.
 */
int launcher_root_torchrun(struct launcher *launcher, char *why)
{
    static const char *const several[] = {"MASTER_PORT", "TORCHELASTIC_RUN_ID",
                                          NULL};
    static const char *const one[] = {"MASTER_PORT", "TORCHELASTIC_RUN_ID",
                                      "TORCHELASTIC_RESTART_COUNT", NULL};
    const char *host = text_of("MASTER_ADDR"), *text = text_of("MASTER_PORT");
    char *end;
    long taken = strtol(text, &end, 10);
    unsigned port;

    if (*host == '\0' || strlen(host) >= HOST_NAME_BYTES || *text == '\0' ||
        *end != '\0' || taken < 1 || taken > PORT_MAX) {
        snprintf(why, ERROR_BYTES,
                 "RANK and WORLD_SIZE are set, but MASTER_ADDR=%.64s and "
                 "MASTER_PORT=%.16s are no host and port: torchrun sets all; "
                 "or set BALLOT_ROOT=host:port, a port of rank 0's host",
                 host, text);
        return -EINVAL;
    }
    port = draw_port(launcher->one_host ? one : several);
    if (port == (unsigned)taken)
        port = port + 1 < PORT_FIRST + PORTS ? port + 1 : PORT_FIRST;
    write_root(launcher, host, port);
    return 0;
}

int launcher_root_slurm(struct launcher *launcher, char *why)
{
    static const char *const job[] = {"SLURM_JOB_ID", "SLURM_STEP_ID", NULL};
    static const char *const job_before[] = {"SLURM_JOBID", "SLURM_STEPID",
                                             NULL};
    const char *list = text_of("SLURM_STEP_NODELIST");
    const char *nodes = text_of("SLURM_STEP_NUM_NODES");
    bool old = *text_of("SLURM_JOB_ID") == '\0';
    char host[HOST_NAME_BYTES];

    if (*list == '\0')
        list = text_of("SLURM_NODELIST");
    if (*nodes == '\0')
        nodes = text_of("SLURM_NNODES");
    launcher->one_host = strcmp(nodes, "1") == 0;
    if (launcher->one_host)
        snprintf(host, sizeof(host), "127.0.0.1");
    else if (nodelist_first(list, host, sizeof(host)) < 0) {
        snprintf(why, ERROR_BYTES,
                 "SLURM_STEP_NODELIST=%.200s is no list of hosts: set "
                 "BALLOT_ROOT=host:port, a port of rank 0's host, on all ranks",
                 list);
        return -EINVAL;
    }
    write_root(launcher, host, draw_port(old ? job_before : job));
    return 0;
}

void launcher_root_local(struct launcher *launcher)
{
    static const char *const job[] = {"PMIX_NAMESPACE",
                                      "OMPI_MCA_ess_base_jobid",
                                      "OMPI_MCA_orte_hnp_uri", NULL};

    for (const char *const *name = job; *name != NULL; name++)
        if (*text_of(*name) != '\0') {
            write_root(launcher, "127.0.0.1", draw_port(job));
            return;
        }
}
