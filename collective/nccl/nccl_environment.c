/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_environment.c - NCCL's environment variables, in ballot's words.
 *
 * Those that mean something on host memory stand in for ballot's own, where
 * these are not set. What each may be: docs/userguide/source/env.rst of NCCL
 * 2.30.7. One that cannot be had is told once, and the job goes on as NCCL
 * would; an interface that is not there ends it, also as in NCCL.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nccl_inside.h"

enum { VALUE_BYTES = 512 };

/* A variable of NCCL's and what it becomes. */
struct rule {
    const char *theirs, *ours;
    /* The value in our words, in text[VALUE_BYTES] or constant; NULL: as if it
     * were not set, which was told unless that is what it says. */
    const char *(*translate)(struct rule *rule, const char *value, char *text);
    long least, most; /* of numbers, as ballot takes them */
    bool told;
};

static void tell(struct rule *rule, const char *value, const char *what)
{
    char line[VALUE_BYTES + 256];

    if (rule->told)
        return;
    rule->told = true;
    snprintf(line, sizeof(line), "%s=%.128s: %s", rule->theirs, value, what);
    fprintf(stderr, "ballot: %s\n", line);
}

static const char *as_it_is(struct rule *rule, const char *value, char *text)
{
    (void)rule, (void)text;
    return value;
}

/* NCCL reads numbers in any base, and ballot in ten. */
static bool read_number(const char *value, long *number)
{
    char *end;

    errno = 0;
    *number = strtol(value, &end, 0);
    return errno == 0 && end != value && *end == '\0';
}

static const char *as_number(struct rule *rule, const char *value, char *text)
{
    char what[96];
    long number;

    if (!read_number(value, &number)) {
        tell(rule, value, "it is no number, and is ignored");
        return NULL;
    }
    snprintf(text, VALUE_BYTES, "%ld",
             number < rule->least  ? rule->least
             : number > rule->most ? rule->most
                                   : number);
    if (number < rule->least || number > rule->most) {
        snprintf(what, sizeof(what), "ballot takes %ld to %ld; %s is used",
                 rule->least, rule->most, text);
        tell(rule, value, what);
    }
    return text;
}

/* NCCL's 0, and all from 32 on, mean for ever, which ballot never waits. */
static const char *as_timeout(struct rule *rule, const char *value, char *text)
{
    long number;

    if (!read_number(value, &number) || (number > 0 && number < 32))
        return as_number(rule, value, text);
    tell(rule, value, "ballot does not wait for ever; 24 is used");
    return "24";
}

/* "mlx5_0:1:0:1,mlx5_1::0:1": ballot has neither rails nor planes, and no port
 * where it is left empty. */
static const char *as_devices(struct rule *rule, const char *value, char *text)
{
    size_t used = 0;
    int colons = 0;

    (void)rule;
    for (; *value != '\0' && used + 1 < VALUE_BYTES; value++) {
        colons = *value == ',' ? 0 : colons + (*value == ':');
        if (colons > 1 || (*value == ':' && !isdigit((unsigned char)value[1])))
            continue;
        text[used++] = *value;
    }
    text[used] = '\0';
    return text;
}

static const char *as_level(struct rule *rule, const char *value, char *text)
{
    static const char *const levels[][2] = {
        {"NONE", NULL},    {"VERSION", NULL}, {"WARN", "WARN"},
        {"ABORT", "WARN"}, {"INFO", "INFO"},  {"TRACE", "TRACE"},
    };

    (void)text;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcasecmp(value, levels[i][0]) == 0)
            return levels[i][1];
    tell(rule, value, "it is VERSION, WARN, INFO or TRACE; it is ignored");
    return NULL;
}

/* ---- NCCL_ALGO: which of them may be used ---- */

static const char *const algorithms[] = {
    /* What ballot has, and then what it has not. */
    "ring",          "tree", "collnet",  "collnetchain",
    "collnetdirect", "nvls", "nvlstree", "pat",
};

enum { HAVE = 2, KNOWN = sizeof(algorithms) / sizeof(algorithms[0]) };

/* A bit for each of a list; 0: it is none. */
static unsigned read_algorithms(const char *list)
{
    unsigned found = 0;

    while (*list != '\0') {
        const size_t length = strcspn(list, ",");
        unsigned bit = 0;

        for (unsigned a = 0; a < KNOWN; a++)
            if (strlen(algorithms[a]) == length &&
                strncasecmp(algorithms[a], list, length) == 0)
                bit = 1u << a;
        if (bit == 0)
            return 0;
        found |= bit;
        list += length;
        list += *list == ',';
    }
    return found;
}

static const char *as_algorithm(struct rule *rule, const char *value,
                                char *text)
{
    const bool excludes = *value == '^';
    unsigned may = read_algorithms(value + excludes);

    (void)text;
    if (may == 0) {
        tell(rule, value,
             "it is a list of Ring, Tree and so on, for all functions alike; "
             "it is ignored");
        return NULL;
    }
    if (excludes)
        may = ~may;
    may &= (1u << HAVE) - 1;
    if (may == 0)
        tell(rule, value,
             "ballot has none of these on host memory, and chooses by size");
    /* Where both may be, and where none is, ballot chooses. */
    return may == 1 ? algorithms[0] : may == 2 ? algorithms[1] : NULL;
}

/* ---- All of them ---- */

static struct rule debug_rules[] = {
    {"NCCL_DEBUG", "BALLOT_DEBUG", as_level, 0, 0, false},
    {"NCCL_DEBUG_FILE", "BALLOT_DEBUG_FILE", as_it_is, 0, 0, false},
};

static struct rule rules[] = {
    {"NCCL_ALGO", "BALLOT_ALGO", as_algorithm, 0, 0, false},
    {"NCCL_IB_HCA", "BALLOT_IB_HCA", as_devices, 0, 0, false},
    {"NCCL_IB_GID_INDEX", "BALLOT_IB_GID_INDEX", as_number, -1, 255, false},
    {"NCCL_IB_TC", "BALLOT_IB_TC", as_number, 0, 255, false},
    {"NCCL_IB_SL", "BALLOT_IB_SL", as_number, 0, 15, false},
    {"NCCL_IB_TIMEOUT", "BALLOT_IB_TIMEOUT", as_timeout, 1, 24, false},
    {"NCCL_IB_RETRY_CNT", "BALLOT_IB_RETRY_CNT", as_number, 0, 6, false},
    {"NCCL_IB_QPS_PER_CONNECTION", "BALLOT_IB_QPS_PER_CONNECTION", as_number, 1,
     16, false},
};

static struct rule switches[] = {
    {"NCCL_IB_DISABLE", NULL, as_number, 0, 1, false},
    {"NCCL_SHM_DISABLE", NULL, as_number, 0, 1, false},
};

enum { NO_VERBS, NO_SHM };

static const char *value_of(const char *name)
{
    const char *value = nccl_variable(name);

    return value == NULL || *value == '\0' ? NULL : value;
}

static void apply_each(struct rule *list, size_t count)
{
    char text[VALUE_BYTES];

    for (size_t i = 0; i < count; i++) {
        const char *value = value_of(list[i].theirs);

        if (value != NULL)
            value = list[i].translate(&list[i], value, text);
        ballot_set_variable(list[i].ours, value);
    }
}

static bool is_on(int which)
{
    const char *value = value_of(switches[which].theirs);
    char text[VALUE_BYTES];

    if (value != NULL)
        value = switches[which].translate(&switches[which], value, text);
    return value != NULL && strcmp(value, "1") == 0;
}

static void apply_transport(void)
{
    const bool no_verbs = is_on(NO_VERBS), no_shm = is_on(NO_SHM);

    ballot_set_variable("BALLOT_TRANSPORT", no_verbs && no_shm ? "tcp"
                                            : no_verbs         ? "^verbs"
                                            : no_shm           ? "^shm"
                                                               : NULL);
}

static ncclResult_t apply_interface(void)
{
    char text[VALUE_BYTES], why[VALUE_BYTES];
    const char *list = value_of("NCCL_SOCKET_IFNAME");
    const char *family = value_of("NCCL_SOCKET_FAMILY");

    if (list == NULL && family == NULL) {
        ballot_set_variable("BALLOT_SOCKET_IFNAME", NULL);
        return ncclSuccess;
    }
    /* Ours says all that theirs do. */
    if (getenv("BALLOT_SOCKET_IFNAME") != NULL)
        return ncclSuccess;
    if (nccl_interface(list, family, text, sizeof(text), why, sizeof(why)))
        return ballot_set_variable("BALLOT_SOCKET_IFNAME", text) == 0
                   ? ncclSuccess
                   : nccl_fail(NULL, ncclSystemError, "no memory");
    return nccl_fail(NULL, ncclInvalidUsage, "%s", why);
}

/* ---- What the other files ask ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Who answers to NCCL's names. */
static void say_version(void)
{
    const char *level = value_of("NCCL_DEBUG");
    char line[96];

    snprintf(line, sizeof(line),
             "NCCL %d.%d.%d's names on host memory, ballot %d.%d.%d",
             NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH, BALLOT_VERSION_MAJOR,
             BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH);
    if (level != NULL && strcasecmp(level, "VERSION") == 0)
        fprintf(stderr, "ballot: %s\n", line);
    else
        ballot_note(BALLOT_NOTE_INFO, line);
}

static void apply_debug(void)
{
    apply_each(debug_rules, sizeof(debug_rules) / sizeof(debug_rules[0]));
    say_version();
}

void nccl_environment_debug(void)
{
    pthread_once(&once, apply_debug);
}

ncclResult_t nccl_environment_apply(void)
{
    ncclResult_t result;

    nccl_environment_debug();
    pthread_mutex_lock(&lock);
    apply_each(rules, sizeof(rules) / sizeof(rules[0]));
    apply_transport();
    result = apply_interface();
    pthread_mutex_unlock(&lock);
    return result;
}

const char *nccl_environment_place(void)
{
    return getenv("BALLOT_ROOT") != NULL ? NULL : value_of("NCCL_COMM_ID");
}
