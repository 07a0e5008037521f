/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - on what the numbers were measured.
 */
#include "machine.h"

#include "aggregate/kernels.h"
#include "limits.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { CACHES_MAX = 8 };

/* The first line of a file or command, without its end; or `otherwise`. */
static void take_line(char *text, size_t bytes, FILE *file,
                      const char *otherwise)
{
    if (file == NULL || fgets(text, (int)bytes, file) == NULL)
        snprintf(text, bytes, "%s", otherwise);
    text[strcspn(text, "\n")] = '\0';
}

static void look_model(char *model, size_t bytes, const char *otherwise)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(model, bytes, "%s", otherwise);
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "model name", 10) == 0) {
            const char *colon = strchr(line, ':');

            snprintf(model, bytes, "%.*s", (int)bytes - 1,
                     colon != NULL ? colon + 2 : line);
            model[strcspn(model, "\n")] = '\0';
            break;
        }
    if (file != NULL)
        fclose(file);
}

/* Of "always [madvise] never", what stands in brackets. */
static void look_huge_pages(char *mode, size_t bytes)
{
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    char line[128];
    char *first;

    take_line(line, sizeof(line), file, "[unknown]");
    if (file != NULL)
        fclose(file);
    first = strchr(line, '[');
    first = first != NULL ? first + 1 : line;
    first[strcspn(first, "]")] = '\0';
    snprintf(mode, bytes, "%.*s", (int)bytes - 1, first);
}

static void look_commit(char *commit, size_t bytes)
{
    FILE *git = popen("git -C '" BENCH_SOURCE_DIR "' describe --always --dirty "
                      "--exclude='*' 2> /dev/null",
                      "r");

    take_line(commit, bytes, git, "unknown");
    if (git != NULL)
        pclose(git);
}

static bool cache_line(int index, const char *name, char *text, size_t bytes)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path),
             "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    file = fopen(path, "r");
    take_line(text, bytes, file, "");
    if (file != NULL)
        fclose(file);
    return text[0] != '\0';
}

size_t bench_machine_cache_bytes(int level)
{
    for (int i = 0; i < CACHES_MAX; i++) {
        char of_level[16];
        char type[32];
        char size[32];
        char *unit;
        size_t bytes;

        if (!cache_line(i, "level", of_level, sizeof(of_level)) ||
            !cache_line(i, "type", type, sizeof(type)) ||
            !cache_line(i, "size", size, sizeof(size)))
            continue;
        if (atoi(of_level) != level || strcmp(type, "Instruction") == 0)
            continue;
        bytes = strtoull(size, &unit, 10);
        return *unit == 'K' ? bytes << 10 : *unit == 'M' ? bytes << 20 : bytes;
    }
    return 0;
}

void bench_machine_look(struct bench_machine *machine)
{
    const struct kernels *kernels = kernels_pick(getenv("BALLOT_KERNELS"));
    struct utsname system;
    cpu_set_t mine;

    uname(&system);
    look_model(machine->model, sizeof(machine->model), system.machine);
    snprintf(machine->kernel, sizeof(machine->kernel), "%.40s %.50s",
             system.sysname, system.release);
    look_huge_pages(machine->huge_pages, sizeof(machine->huge_pages));
    look_commit(machine->commit, sizeof(machine->commit));
    machine->cores = sched_getaffinity(0, sizeof(mine), &mine) == 0
                         ? CPU_COUNT(&mine)
                         : (int)sysconf(_SC_NPROCESSORS_ONLN);
    machine->cache_bytes[0] = 0;
    for (int level = 1; level <= 3; level++)
        machine->cache_bytes[level] = bench_machine_cache_bytes(level);
    machine->kernels = kernels != NULL ? kernels->name : "none";
    machine->limits = bench_limits_pick()->name;
}

/* Seconds that all cores worked since the machine started. */
static double worked_s(void)
{
    unsigned long long user = 0, nice = 0, system = 0, idle = 0, wait = 0;
    unsigned long long irq = 0, softirq = 0, steal = 0;
    FILE *file = fopen("/proc/stat", "r");
    int fields = 0;

    if (file != NULL) {
        fields =
            fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user,
                   &nice, &system, &idle, &wait, &irq, &softirq, &steal);
        fclose(file);
    }
    if (fields < 8)
        return -1;
    return (double)(user + nice + system + irq + softirq + steal) /
           (double)sysconf(_SC_CLK_TCK);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

void bench_others_start(struct bench_others *others)
{
    struct rusage usage;
    struct timespec now;

    getrusage(RUSAGE_SELF, &usage);
    clock_gettime(CLOCK_MONOTONIC, &now);
    others->machine_s = worked_s();
    others->ours_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    others->clock_s = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double bench_others_cores(const struct bench_others *others)
{
    struct bench_others now;
    double elapsed_s;
    double theirs_s;

    bench_others_start(&now);
    elapsed_s = now.clock_s - others->clock_s;
    if (now.machine_s < 0 || others->machine_s < 0 || elapsed_s <= 0)
        return -1;
    theirs_s =
        (now.machine_s - others->machine_s) - (now.ours_s - others->ours_s);
    return theirs_s > 0 ? theirs_s / elapsed_s : 0;
}
