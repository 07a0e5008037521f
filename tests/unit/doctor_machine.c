/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_machine.c - a machine made of files, for ballot-doctor to look at.
 */
#include "doctor_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char machine_root[] = "/tmp/ballot_test_doctor_XXXXXX";
struct facts machine_facts;
struct problems machine_problems;

void machine_put(const char *path, const char *format, ...)
{
    char full[512];
    va_list arguments;
    FILE *file;

    snprintf(full, sizeof(full), "%s%s", machine_root, path);
    for (char *slash = full + strlen(machine_root) + 1;
         (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = '\0';
        (void)mkdir(full, 0755);
    }
    file = fopen(full, "w");
    assert_non_null(file);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fclose(file);
}

int machine_make(void **state)
{
    (void)state;
    strcpy(machine_root + strlen(machine_root) - 6, "XXXXXX");
    return mkdtemp(machine_root) != NULL ? 0 : -1;
}

int machine_remove(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", machine_root);
    return system(command);
}

void machine_put_device(const char *name, const char *interface, int mtu)
{
    char path[256];

    snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/state",
             name);
    machine_put(path, "4: ACTIVE\n");
    snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/link_layer",
             name);
    machine_put(path, "Ethernet\n");
    machine_put("/sys/class/infiniband_verbs/uverbs0/ibdev", "%s\n", name);
    machine_put("/dev/infiniband/uverbs0", "%s", "");
    machine_put("/dev/infiniband/rdma_cm", "%s", "");
    machine_put("/sys/module/rdma_ucm/refcnt", "0\n");
    machine_put("/sys/module/ib_core/parameters/netns_mode", "Y\n");
    snprintf(path, sizeof(path), "/sys/class/net/%s/mtu", interface);
    machine_put(path, "%d\n", mtu);
}

void machine_put_gid(const char *device, int index, const char *gid,
                     const char *type, const char *interface)
{
    char path[256];

    snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/gids/%d",
             device, index);
    machine_put(path, "%s\n", gid);
    if (type == NULL)
        return;
    snprintf(path, sizeof(path),
             "/sys/class/infiniband/%s/ports/1/gid_attrs/types/%d", device,
             index);
    machine_put(path, "%s\n", type);
    snprintf(path, sizeof(path),
             "/sys/class/infiniband/%s/ports/1/gid_attrs/ndevs/%d", device,
             index);
    machine_put(path, "%s\n", interface);
}

void machine_put_rxe(const char *interface, int mtu)
{
    machine_put_device("rxe0", interface, mtu);
    machine_put("/sys/class/infiniband/rxe0/parent", "%s\n", interface);
    machine_put_gid("rxe0", 0, GID_LINK_LOCAL, "RoCE v2", interface);
    machine_put_gid("rxe0", 1, GID_IPV4, "RoCE v2", interface);
}

void machine_read(void)
{
    memset(&machine_facts, 0, sizeof(machine_facts));
    facts_read_system(&machine_facts, machine_root);
    facts_read_devices(&machine_facts, machine_root);
    machine_facts.kernels = "avx2";
    machine_facts.ranks = 8;
    machine_facts.memory = (struct memory_facts){
        .private_huge = true, .shared_huge = true, .nodes = 1, .node = -1};
    strcpy(machine_facts.engine, "io_uring");
}

void machine_judge(void)
{
    judge(&machine_problems, &machine_facts);
}

const struct problem *machine_problem(const char *key)
{
    for (uint32_t i = 0; i < machine_problems.count; i++)
        if (strcmp(machine_problems.list[i].key, key) == 0)
            return &machine_problems.list[i];
    return NULL;
}

void machine_has(const char *key, enum level level, const char *what,
                 const char *cure)
{
    const struct problem *problem = machine_problem(key);

    if (problem == NULL)
        fail_msg("no problem %s", key);
    assert_int_equal(problem->level, level);
    if (strstr(problem->what, what) == NULL)
        fail_msg("%s says: %s", key, problem->what);
    if (strstr(problem->cure, cure) == NULL)
        fail_msg("%s is cured by: %s", key, problem->cure);
}

void machine_has_only(uint32_t count)
{
    uint32_t others = machine_problem("udp-4791") != NULL ? 1 : 0;

    for (uint32_t i = 0; i < machine_problems.count; i++)
        if (machine_problems.count != count + others)
            print_message("%s: %s\n", machine_problems.list[i].key,
                          machine_problems.list[i].what);
    assert_int_equal(machine_problems.count, count + others);
}
