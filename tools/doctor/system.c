/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system.c - kernel, modules, limits and sysctls as files show them.
 */
#include "facts.h"
#include "files.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Modules ---- */

static const char *const module_names[MODULES] = {
    [MODULE_IB_UVERBS] = "ib_uverbs",
    [MODULE_RDMA_UCM] = "rdma_ucm",
    [MODULE_RDMA_RXE] = "rdma_rxe",
    [MODULE_CRC32] = "crc32_generic",
};

static enum module_state module_state(const char *root, const char *release,
                                      const char *name)
{
    char path[PATH_BYTES], file[NAME_BYTES];

    if (files_exist(root, "/sys/module/%s", name))
        return MODULE_LOADED;
    snprintf(file, sizeof(file), "/%s.ko", name);
    snprintf(path, sizeof(path), "/lib/modules/%s/modules.builtin", release);
    if (files_mention(root, path, file))
        return MODULE_BUILT_IN;
    snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", release);
    return files_mention(root, path, file) ? MODULE_LOADABLE : MODULE_ABSENT;
}

static void read_modules(struct facts *facts, const char *root)
{
    for (int m = 0; m < MODULES; m++)
        facts->modules[m] = (struct module){
            .name = module_names[m],
            .state = module_state(root, facts->release, module_names[m]),
        };
}

/* ---- Limits of this process ---- */

static void read_limits(struct facts *facts, const char *root)
{
    char text[LINE_TEXT_BYTES];

    facts->memlock_bytes = UINT64_MAX;
    if (files_field(root, "/proc/self/limits", "Max locked memory", text,
                    sizeof(text)) &&
        strncmp(text, "unlimited", 9) != 0)
        facts->memlock_bytes = strtoull(text, NULL, 10);
    if (files_field(root, "/proc/self/status", "CapEff:", text, sizeof(text)))
        facts->has_ipc_lock =
            (strtoull(text, NULL, 16) >> CAP_IPC_LOCK & 1) != 0;
    if (files_field(root, "/proc/self/status", "Seccomp:", text, sizeof(text)))
        facts->has_seccomp = text[0] == '2';
    facts->io_uring_disabled =
        (int)files_number(root, -1, "/proc/sys/kernel/io_uring_disabled");
}

/* ---- Processor ---- */

static bool has_word(const char *text, const char *word)
{
    size_t bytes = strlen(word);

    for (const char *at = strstr(text, word); at != NULL;
         at = strstr(at + 1, word))
        if ((at == text || at[-1] == ' ') &&
            (at[bytes] == ' ' || at[bytes] == '\0'))
            return true;
    return false;
}

static void read_cpu(struct facts *facts, const char *root)
{
    static const char *const names[FLAGS] = {
        [FLAG_AVX2] = "avx2",         [FLAG_AVX512F] = "avx512f",
        [FLAG_AVX512BW] = "avx512bw", [FLAG_AVX512DQ] = "avx512dq",
        [FLAG_AVX512VL] = "avx512vl",
    };
    char flags[8192];

    if (!files_field(root, "/proc/cpuinfo", "model name", facts->cpu,
                     sizeof(facts->cpu)))
        snprintf(facts->cpu, sizeof(facts->cpu), "unknown processor");
    facts->cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    facts->has_flags =
        files_field(root, "/proc/cpuinfo", "flags", flags, sizeof(flags));
    for (int f = 0; f < FLAGS; f++)
        facts->flags[f] = has_word(flags, names[f]);
}

/* ---- Two interfaces of one subnet ---- */

struct route {
    char interface[IF_NAMESIZE];
    unsigned int destination, gateway, mask;
};

/* A line of /proc/net/route that leads to hosts without a gateway. */
static bool read_route(struct route *route, const char *line)
{
    return sscanf(line, "%15s %x %x %*x %*d %*d %*d %x", route->interface,
                  &route->destination, &route->gateway, &route->mask) == 4 &&
           route->gateway == 0 && route->mask != 0;
}

/* The kernel goes by the larger of the two. */
static int larger_sysctl(const char *root, const char *interface,
                         const char *name)
{
    long all = files_number(root, -1, "/proc/sys/net/ipv4/conf/all/%s", name);
    long own = files_number(root, -1, "/proc/sys/net/ipv4/conf/%s/%s",
                            interface, name);

    return (int)(all > own ? all : own);
}

static void keep_twins(struct twins *twins, const char *root,
                       const struct route *a, const struct route *b)
{
    const struct route *both[2] = {a, b};

    twins->found = true;
    for (int i = 0; i < 2; i++) {
        memcpy(twins->interfaces[i], both[i]->interface, IF_NAMESIZE);
        twins->arp_ignore[i] =
            larger_sysctl(root, both[i]->interface, "arp_ignore");
        twins->accept_local[i] =
            larger_sysctl(root, both[i]->interface, "accept_local");
    }
}

static void read_twins(struct facts *facts, const char *root)
{
    enum { ROUTES_MAX = 64 };
    struct route routes[ROUTES_MAX];
    char path[PATH_BYTES], line[256];
    FILE *file;
    int count = 0;

    snprintf(path, sizeof(path), "%s/proc/net/route", root);
    file = fopen(path, "re");
    while (file != NULL && count < ROUTES_MAX &&
           fgets(line, sizeof(line), file) != NULL)
        if (read_route(&routes[count], line))
            count++;
    if (file != NULL)
        fclose(file);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i && !facts->twins.found; j++)
            if (routes[i].destination == routes[j].destination &&
                routes[i].mask == routes[j].mask &&
                strcmp(routes[i].interface, routes[j].interface) != 0)
                keep_twins(&facts->twins, root, &routes[j], &routes[i]);
}

/* ---- RDMA beside the devices ---- */

static void read_rdma(struct facts *facts, const char *root)
{
    char path[PATH_BYTES], shared[WORD_BYTES];

    snprintf(path, sizeof(path), "%s/dev/infiniband/rdma_cm", root);
    facts->rdma_cm_node = access(path, F_OK) != 0          ? NODE_MISSING
                          : access(path, R_OK | W_OK) != 0 ? NODE_FORBIDDEN
                                                           : NODE_USABLE;
    if (files_line(root, shared, sizeof(shared),
                   "/sys/module/ib_core/parameters/netns_mode"))
        snprintf(facts->netns_mode, sizeof(facts->netns_mode), "%s",
                 shared[0] == 'Y' || shared[0] == '1' ? "shared" : "exclusive");
}

void facts_read_system(struct facts *facts, const char *root)
{
    files_line(root, facts->release, sizeof(facts->release),
               "/proc/sys/kernel/osrelease");
    read_cpu(facts, root);
    read_modules(facts, root);
    read_limits(facts, root);
    read_twins(facts, root);
    read_rdma(facts, root);
}
