/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.c - what is wrong beside RDMA: settings, tcp, kernels, memory.
 */
#include "judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../../transport/names.h"

/* ---- Problems ---- */

struct problem *problems_add(struct problems *problems, enum level level,
                             const char *key, const char *what, ...)
{
    struct problem *problem;
    va_list arguments;

    if (problems->count < PROBLEMS_MAX)
        problems->count++;
    problem = &problems->list[problems->count - 1];
    *problem = (struct problem){.level = level, .key = key};
    va_start(arguments, what);
    vsnprintf(problem->what, sizeof(problem->what), what, arguments);
    va_end(arguments);
    return problem;
}

void cure_with(struct problem *problem, const char *cure, ...)
{
    va_list arguments;

    va_start(arguments, cure);
    vsnprintf(problem->cure, sizeof(problem->cure), cure, arguments);
    va_end(arguments);
}

const char *level_name(enum level level)
{
    switch (level) {
    case LEVEL_NOTE: return "note";
    case LEVEL_WARNING: return "warning";
    case LEVEL_ERROR: break;
    }
    return "error";
}

bool problems_stop(const struct problems *problems)
{
    for (uint32_t i = 0; i < problems->count; i++)
        if (problems->list[i].level == LEVEL_ERROR)
            return true;
    return false;
}

/* ---- What was asked for ---- */

static void judge_settings(struct problems *problems, const struct facts *facts)
{
    struct problem *problem;

    if (facts->settings_error[0] != '\0') {
        problem = problems_add(problems, LEVEL_ERROR, "settings",
                               "the BALLOT_ variables are refused: %s",
                               facts->settings_error);
        cure_with(problem, "unset or correct that variable (the README lists "
                           "what each may be)");
    }
    if (facts->interface_error[0] != '\0') {
        problem = problems_add(problems, LEVEL_ERROR, "socket-interface",
                               "BALLOT_SOCKET_IFNAME is refused: %s",
                               facts->interface_error);
        cure_with(problem, "set it to one of them, or unset it: "
                           "unset BALLOT_SOCKET_IFNAME");
    }
    if (facts->key_error[0] != '\0') {
        problem = problems_add(problems, LEVEL_ERROR, "key-file", "%s",
                               facts->key_error);
        cure_with(problem, "(umask 077; head -c 32 /dev/urandom > "
                           "\"$BALLOT_KEY_FILE\") and give it to all ranks");
    }
}

/* ---- tcp ---- */

const char *uring_reason(const struct facts *facts)
{
    if (facts->uring_error == 0)
        return "";
    if (facts->io_uring_disabled == 2)
        return "the sysctl kernel.io_uring_disabled is 2: refused to all";
    if (facts->io_uring_disabled == 1)
        return "the sysctl kernel.io_uring_disabled is 1: refused to this user";
    if (facts->uring_error == -EPERM && facts->has_seccomp)
        return "EPERM by a seccomp filter, as containers have one";
    if (facts->uring_error == -ENOSYS)
        return facts->has_seccomp ? "ENOSYS by a seccomp filter, or a kernel "
                                    "before 5.7 or built without it"
                                  : "a kernel before 5.7 or built without it";
    if (facts->uring_error == -ENOMEM)
        return "ENOMEM: the limit of locked memory (ulimit -l) is too small";
    return strerrordesc_np(-facts->uring_error);
}

static void cure_uring(struct problem *problem, const struct facts *facts)
{
    if (facts->io_uring_disabled > 0)
        cure_with(problem, "sysctl -w kernel.io_uring_disabled=0");
    else if (facts->uring_error == -ENOMEM)
        cure_with(problem, "ulimit -l unlimited");
    else if (facts->has_seccomp)
        cure_with(problem, "docker run --security-opt seccomp=unconfined ..., "
                           "or a profile that allows io_uring_setup, "
                           "io_uring_enter and io_uring_register");
    else
        cure_with(problem, "run a kernel from 5.7 on; epoll does without");
}

static void judge_tcp(struct problems *problems, const struct facts *facts)
{
    struct problem *problem;

    if (facts->engine_error != 0) {
        problem = problems_add(
            problems, LEVEL_ERROR, "tcp-unusable",
            "the tcp transport cannot be opened on 127.0.0.1: %s%s%s",
            strerrordesc_np(-facts->engine_error),
            facts->uring_error != 0 ? "; io_uring: " : "", uring_reason(facts));
        if (facts->engine_error == -EINVAL)
            cure_with(problem, "set BALLOT_TCP_ENGINE to uring or epoll, or "
                               "unset it");
        else if (facts->uring_error != 0)
            cure_with(problem, "unset BALLOT_TCP_ENGINE: then epoll is used");
        else
            cure_with(problem, "ip link set lo up");
        return;
    }
    if (facts->uring_error == 0)
        return;
    problem = problems_add(problems, LEVEL_WARNING, "io-uring-refused",
                           "io_uring is refused, so tcp uses epoll for many "
                           "ranks too: %s",
                           uring_reason(facts));
    cure_uring(problem, facts);
}

/* ---- Kernels ---- */

void kernels_lack(const struct facts *facts, const char *name, char *text,
                  size_t bytes)
{
    static const struct {
        const char *kernels, *flag;
        enum cpu_flag index;
    } needs[] = {
        {"avx512", "avx512f", FLAG_AVX512F},
        {"avx512", "avx512bw", FLAG_AVX512BW},
        {"avx512", "avx512dq", FLAG_AVX512DQ},
        {"avx512", "avx512vl", FLAG_AVX512VL},
        {"avx2", "avx2", FLAG_AVX2},
    };

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (strcmp(needs[i].kernels, name) == 0 && facts->has_flags &&
            !facts->flags[needs[i].index])
            names_append(text, bytes, "%s%s", text[0] != '\0' ? " " : "",
                         needs[i].flag);
}

static void judge_kernels(struct problems *problems, const struct facts *facts)
{
    struct problem *problem;
    char lacks[LINE_TEXT_BYTES];

    if (facts->kernels == NULL) {
        kernels_lack(facts, facts->kernels_asked, lacks, sizeof(lacks));
        problem = problems_add(
            problems, LEVEL_ERROR, "kernels-unusable",
            "BALLOT_KERNELS=%s does not exist or does not run here%s%s",
            facts->kernels_asked,
            lacks[0] != '\0' ? "; the processor lacks " : "", lacks);
        cure_with(problem, "unset BALLOT_KERNELS");
    } else if (facts->kernels_asked[0] == '\0' &&
               strcmp(facts->kernels, "portable") == 0) {
        problem = problems_add(problems, LEVEL_NOTE, "kernels-portable",
                               "votes are counted by portable C: the processor "
                               "has neither AVX-512 nor AVX2");
        cure_with(problem, "use a processor with AVX2 (under QEMU: -cpu max); "
                           "results are the same");
    }
}

/* ---- Memory ---- */

static void judge_memory(struct problems *problems, const struct facts *facts)
{
    struct problem *problem;

    if (!facts->memory.private_huge) {
        problem = problems_add(
            problems, LEVEL_NOTE, "no-huge-pages",
            "no huge pages for private memory (transparent_hugepage/enabled "
            "says \"%s\")",
            facts->memory.private_setting);
        cure_with(problem, "echo madvise > "
                           "/sys/kernel/mm/transparent_hugepage/enabled");
    }
    if (!facts->memory.shared_huge) {
        problem =
            problems_add(problems, LEVEL_NOTE, "no-shared-huge-pages",
                         "no huge pages for shared memory "
                         "(transparent_hugepage/shmem_enabled says \"%s\")",
                         facts->memory.shared_setting);
        cure_with(problem, "echo advise > "
                           "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    }
}

void judge(struct problems *problems, const struct facts *facts)
{
    problems->count = 0;
    judge_rdma(problems, facts);
    judge_settings(problems, facts);
    judge_tcp(problems, facts);
    judge_kernels(problems, facts);
    judge_memory(problems, facts);
}
