/* SPDX-License-Identifier: Apache-2.0 */
/* env.c - what was configured: the call, then the environment, then defaults.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/variable.h"
#include "comm.h"

enum {
    WINDOW_DEFAULT = 8,
    GRACE_DEFAULT_MS = 100,
    TIMEOUT_DEFAULT_MS = 60000,
    TIMEOUT_MAX_MS = 86400000, /* a day */
    KEPT_DEFAULT = 8,
    KEPT_MAX = 1024,
    COUNT_MAX_DEFAULT = 1 << 25,
    CHUNK_MAX = 1 << 23, /* 1 MiB of signs */
    REPLICAS_DEFAULT = 3,
    /* Signs of one chunk of all voters stay in L2; at least a page each. */
    CACHE_BYTES = 512 * 1024,
    CHUNK_BYTES_MAX = 64 * 1024,
    CHUNK_BYTES_MIN = 4 * 1024,
};

/* A whole number from the environment; false if it is not set. */
static int read_number(const char *name, uint64_t max, uint64_t *value,
                       char *why)
{
    const char *text = variable(name);
    char *end;
    unsigned long long number;

    if (text == NULL || *text == '\0')
        return 0;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] == '-' || number > max) {
        snprintf(why, ERROR_BYTES, "%s=%s: it must be a number up to %llu",
                 name, text, (unsigned long long)max);
        return -EINVAL;
    }
    *value = number;
    return 0;
}

/* What was set in the call, else in the environment, else the default. */
static int choose(uint32_t *value, uint32_t set, const char *name,
                  uint32_t otherwise, uint32_t max, char *why)
{
    uint64_t number = otherwise;
    int rc = 0;

    if (set != 0)
        number = set;
    else
        rc = read_number(name, max, &number, why);
    if (rc < 0)
        return rc;
    if (number > max) {
        snprintf(why, ERROR_BYTES, "%s: %llu is more than %u", name,
                 (unsigned long long)number, max);
        return -EINVAL;
    }
    *value = (uint32_t)number;
    return 0;
}

/* One of `words`, whose index it becomes. */
static int choose_word(uint32_t *value, uint32_t set, const char *name,
                       const char *const *words, char *why)
{
    const char *text = variable(name);

    *value = set;
    if (set != 0 || text == NULL || *text == '\0')
        return 0;
    for (uint32_t i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0) {
            *value = i;
            return 0;
        }
    snprintf(why, ERROR_BYTES, "%s=%s: it must be one of: %s", name, text,
             words[0]);
    for (uint32_t i = 1; words[i] != NULL; i++) {
        size_t used = strlen(why);

        snprintf(why + used, ERROR_BYTES - used, ", %s", words[i]);
    }
    return -EINVAL;
}

static const char *const words_servers[] = {
    "ranks", "root", "host:port,... of each ballot-server", NULL};
static const char *const words_tie[] = {"plus", "minus", "zero", "random",
                                        NULL};
static const char *const words_zero[] = {"plus", "abstain", NULL};
static const char *const words_auth[] = {"default", "group", "none", NULL};
static const char *const words_transport[] = {"auto", "shm",    "tcp", "verbs",
                                              "^shm", "^verbs", NULL};
static const char *const words_design[] = {
    "none", "subsets", "sts", "plane", "repetition", "mols", NULL};
static const char *const words_rule[] = {"proof", "paper", "paper+", NULL};
static const char *const words_evidence[] = {"round", "keep", NULL};

static int choose_transport(struct settings *s, const char *name, char *why)
{
    if (name == NULL)
        return choose_word(&s->transport, 0, "BALLOT_TRANSPORT",
                           words_transport, why);
    for (s->transport = 0; words_transport[s->transport] != NULL;
         s->transport++)
        if (strcmp(words_transport[s->transport], name) == 0)
            return 0;
    snprintf(why, ERROR_BYTES,
             "transport \"%s\" does not exist; shm, tcp and verbs do, and "
             "^shm and ^verbs, which are all but one",
             name);
    return -EINVAL;
}

static int choose_flips(struct settings *s, const struct ballot_config *c,
                        char *why)
{
    const char *text = variable("BALLOT_FLIP_RATE");
    uint64_t count = 0;
    char *end;
    int rc = read_number("BALLOT_STEP_COUNT", UINT64_C(1) << 40, &count, why);

    s->flip_rate = c->flip_rate;
    s->step_count = c->step_count != 0 ? c->step_count : count;
    if (rc < 0 || c->flip_rate != 0 || text == NULL || *text == '\0')
        return rc;
    s->flip_rate = strtod(text, &end);
    if (*end == '\0')
        return 0;
    snprintf(why, ERROR_BYTES, "BALLOT_FLIP_RATE=%s: it must be a number",
             text);
    return -EINVAL;
}

static int choose_design(struct settings *s, const struct ballot_config *c,
                         uint32_t ranks, char *why)
{
    int rc;

    if ((unsigned)c->design > BALLOT_DESIGN_MOLS ||
        (unsigned)c->rule > BALLOT_RULE_PAPER_PLUS ||
        (unsigned)c->evidence > BALLOT_EVIDENCE_KEEP) {
        snprintf(why, ERROR_BYTES,
                 "design, rule or evidence of the configuration is out of "
                 "range");
        return -EINVAL;
    }
    rc = choose_word(&s->design, c->design, "BALLOT_DESIGN", words_design, why);
    if (rc == 0)
        rc = choose_word(&s->rule, c->rule, "BALLOT_RULE", words_rule, why);
    if (rc == 0)
        rc = choose_word(&s->evidence, c->evidence, "BALLOT_EVIDENCE",
                         words_evidence, why);
    if (rc == 0)
        rc = choose(&s->replicas, c->replicas, "BALLOT_REPLICAS",
                    REPLICAS_DEFAULT, REPLICAS_MAX, why);
    if (rc == 0)
        rc = choose(&s->liars, c->liars, "BALLOT_LIARS",
                    s->design == BALLOT_DESIGN_NONE ? 0 : (ranks - 1) / 2,
                    ranks, why);
    return rc < 0 ? rc : choose_flips(s, c, why);
}

/* Servers that are no ranks, from "host:port,host:port". */
static int read_servers(struct settings *s, const char *list, char *why)
{
    size_t first = strcspn(list, ",");
    uint32_t count = 1;

    for (const char *at = list; *at != '\0'; at++)
        count += *at == ',';
    if (first == 0 || first >= sizeof(s->meeting) || strstr(list, ",,") ||
        list[strlen(list) - 1] == ',' || count > BALLOT_SERVERS_MAX) {
        snprintf(why, ERROR_BYTES,
                 "servers \"%.128s\": give host:port of each ballot-server, "
                 "1 to %d of them, with commas between",
                 list, BALLOT_SERVERS_MAX);
        return -EINVAL;
    }
    memcpy(s->meeting, list, first);
    s->servers = BALLOT_SERVERS_DEDICATED;
    s->dedicated = count;
    return 0;
}

/* Addresses mean dedicated servers, in the call and in the environment. */
static int choose_servers(struct settings *s, const struct ballot_config *c,
                          char *why)
{
    const char *text = variable("BALLOT_SERVERS");
    bool list = text != NULL && strchr(text, ':') != NULL;

    if (c->servers_at != NULL && *c->servers_at != '\0' &&
        (c->servers == BALLOT_SERVERS_RANKS ||
         c->servers == BALLOT_SERVERS_DEDICATED))
        return read_servers(s, c->servers_at, why);
    if (list && (c->servers == BALLOT_SERVERS_RANKS ||
                 c->servers == BALLOT_SERVERS_DEDICATED))
        return read_servers(s, text, why);
    if (c->servers == BALLOT_SERVERS_DEDICATED) {
        snprintf(why, ERROR_BYTES,
                 "dedicated servers need addresses: set servers_at, or "
                 "BALLOT_SERVERS=host:port,...");
        return -EINVAL;
    }
    return choose_word(&s->servers, c->servers, "BALLOT_SERVERS", words_servers,
                       why);
}

static int choose_words(struct settings *s, const struct ballot_config *c,
                        char *why)
{
    int rc;

    if ((unsigned)c->servers > BALLOT_SERVERS_DEDICATED ||
        (unsigned)c->tie > BALLOT_TIE_RANDOM ||
        (unsigned)c->zero > BALLOT_ZERO_ABSTAIN ||
        (unsigned)c->auth > BALLOT_AUTH_NONE) {
        snprintf(why, ERROR_BYTES,
                 "servers, tie, zero or auth of the configuration is out of "
                 "range");
        return -EINVAL;
    }
    rc = choose_servers(s, c, why);
    if (rc == 0)
        rc = choose_word(&s->tie, c->tie, "BALLOT_TIE", words_tie, why);
    if (rc == 0)
        rc = choose_word(&s->zero, c->zero, "BALLOT_ZERO", words_zero, why);
    if (rc == 0)
        rc = choose_word(&s->auth, c->auth, "BALLOT_AUTH", words_auth, why);
    if (rc == 0)
        rc = choose_word(&s->algorithm, 0, "BALLOT_ALGO", flow_algorithm_words,
                         why);
    return rc < 0 ? rc : choose_transport(s, c->transport, why);
}

static uint32_t default_chunk(uint32_t ranks)
{
    uint32_t bytes = CACHE_BYTES / ranks;

    if (bytes > CHUNK_BYTES_MAX)
        bytes = CHUNK_BYTES_MAX;
    if (bytes < CHUNK_BYTES_MIN)
        bytes = CHUNK_BYTES_MIN;
    return bytes / LINE_BYTES * LINE_COORDINATES;
}

static int choose_numbers(struct settings *s, const struct ballot_config *c,
                          uint32_t ranks, char *why)
{
    uint64_t count_max = COUNT_MAX_DEFAULT;
    int rc;

    rc = choose(&s->chunk, c->chunk, "BALLOT_CHUNK", default_chunk(ranks),
                CHUNK_MAX, why);
    if (rc == 0)
        rc = choose(&s->window, c->window, "BALLOT_WINDOW", WINDOW_DEFAULT,
                    WINDOW_MAX, why);
    if (rc == 0)
        rc = choose(&s->quorum, c->quorum, "BALLOT_QUORUM", 0, ranks, why);
    if (rc == 0)
        rc = choose_design(s, c, ranks, why);
    if (rc == 0)
        rc = choose(&s->grace_ms, c->grace_ms, "BALLOT_GRACE_MS",
                    GRACE_DEFAULT_MS, TIMEOUT_MAX_MS, why);
    if (rc == 0)
        rc = choose(&s->timeout_ms, c->timeout_ms, "BALLOT_TIMEOUT_MS",
                    TIMEOUT_DEFAULT_MS, TIMEOUT_MAX_MS, why);
    if (rc == 0)
        rc = choose(&s->init_timeout_ms, c->init_timeout_ms,
                    "BALLOT_INIT_TIMEOUT_MS", TIMEOUT_DEFAULT_MS,
                    TIMEOUT_MAX_MS, why);
    if (rc == 0)
        rc =
            choose(&s->threads, c->threads, "BALLOT_THREADS", 0, CREW_MAX, why);
    if (rc == 0)
        rc = choose(&s->dissent, c->dissent, "BALLOT_DISSENT", 0, 1, why);
    if (rc == 0)
        rc = choose(&s->kept_rounds, c->kept_rounds, "BALLOT_KEPT_ROUNDS",
                    KEPT_DEFAULT, KEPT_MAX, why);
    if (rc == 0 && c->count_max == 0)
        rc =
            read_number("BALLOT_COUNT_MAX", UINT64_C(1) << 40, &count_max, why);
    s->count_max = c->count_max != 0 ? c->count_max : count_max;
    s->seed = c->seed;
    s->same_voters = c->same_voters;
    return rc;
}

static int check(const struct settings *s, uint32_t ranks, char *why)
{
    if (s->chunk == 0 || s->chunk % LINE_COORDINATES != 0) {
        snprintf(why, ERROR_BYTES,
                 "chunk: %u is not a multiple of 512 coordinates", s->chunk);
        return -EINVAL;
    }
    if (s->window == 0 || s->timeout_ms == 0 || s->count_max == 0) {
        snprintf(why, ERROR_BYTES, "window, timeout and count_max cannot be 0");
        return -EINVAL;
    }
    if (s->quorum != 0 && s->servers == BALLOT_SERVERS_RANKS) {
        snprintf(why, ERROR_BYTES,
                 "a quorum needs servers = root or a ballot-server: with "
                 "servers = ranks every rank counts a share, so every rank is "
                 "needed");
        return -EINVAL;
    }
    if (s->quorum != 0 && s->dedicated > 1) {
        snprintf(why, ERROR_BYTES,
                 "a quorum needs one server, not %u: late ranks cannot catch "
                 "up with several",
                 s->dedicated);
        return -EINVAL;
    }
    if (ranks + s->dedicated > BALLOT_RANKS_MAX) {
        snprintf(why, ERROR_BYTES, "%u ranks and %u servers are more than %d",
                 ranks, s->dedicated, BALLOT_RANKS_MAX);
        return -EINVAL;
    }
    if (s->quorum != 0 && 2 * s->quorum <= ranks) {
        snprintf(why, ERROR_BYTES,
                 "a quorum of %u is not more than half of %u ranks", s->quorum,
                 ranks);
        return -EINVAL;
    }
    if (s->liars > 0 && s->design == BALLOT_DESIGN_NONE &&
        (s->quorum < 2 * s->liars + 1 || s->quorum > ranks - s->liars)) {
        snprintf(why, ERROR_BYTES,
                 "with at most %u liars among %u ranks the quorum must be "
                 "from %u to %u, not %u",
                 s->liars, ranks, 2 * s->liars + 1, ranks - s->liars,
                 s->quorum);
        return -EINVAL;
    }
    return 0;
}

/* What a design cannot be had with. */
static int check_design(const struct settings *s, uint32_t ranks, char *why)
{
    const char *broken = NULL;

    if (s->design == BALLOT_DESIGN_NONE)
        return 0;
    if (s->servers == BALLOT_SERVERS_RANKS || s->dedicated > 1)
        broken = "one server that sees all replicas: set servers = root, or "
                 "name one ballot-server";
    else if (ranks > ASSIGNMENT_WORKERS_MAX)
        broken = "256 ranks at most";
    else if (s->zero == BALLOT_ZERO_ABSTAIN)
        broken = "zero = plus: replicas are compared by their signs alone";
    else if (s->weights_hash != 0)
        broken = "no weights: it is tasks that vote, all alike";
    else if (s->dissent != 0)
        broken = "dissent = 0: ballot_aspis_report() says who contradicts whom";
    else if (s->replicas < 2)
        broken =
            "2 replicas of a task or more: one has no other to differ from";
    else if (s->flip_rate != 0 && s->step_count == 0)
        broken = "step_count, the coordinates of all votes of a step, with a "
                 "flip_rate (BALLOT_STEP_COUNT)";
    else if (s->liars > (ranks - 1) / 2)
        broken = "a promise of less liars than half of the ranks";
    if (broken == NULL)
        return 0;
    snprintf(why, ERROR_BYTES, "a design needs %s", broken);
    return -EINVAL;
}

static int copy_weights(struct settings *s, const uint8_t *weights,
                        uint32_t ranks, char *why)
{
    uint64_t hash = UINT64_C(1469598103934665603);

    if (weights == NULL)
        return 0;
    for (uint32_t r = 0; r < ranks; r++) {
        if (weights[r] < 1 || weights[r] > WEIGHT_MAX) {
            snprintf(why, ERROR_BYTES,
                     "the weight of rank %u is %u; it must be 1 to %d", r,
                     weights[r], WEIGHT_MAX);
            return -EINVAL;
        }
        s->weights[r] = weights[r];
        hash = (hash ^ weights[r]) * UINT64_C(1099511628211);
    }
    s->weights_hash = hash;
    return 0;
}

int settings_resolve(struct settings *settings,
                     const struct ballot_config *config, int ranks, char *why)
{
    static const struct ballot_config none = {0};
    int rc;

    if (config == NULL)
        config = &none;
    *settings = (struct settings){0};
    rc = choose_words(settings, config, why);
    if (rc == 0)
        rc = choose_numbers(settings, config, (uint32_t)ranks, why);
    if (rc == 0)
        rc = check(settings, (uint32_t)ranks, why);
    if (rc == 0)
        rc = copy_weights(settings, config->weights, (uint32_t)ranks, why);
    if (rc == 0)
        rc = check_design(settings, (uint32_t)ranks, why);
    return rc;
}

/* What a peer says is held to the limits of our own configuration. */
static int check_wire(const struct settings *s, uint32_t ranks, char *why)
{
    if (s->chunk > CHUNK_MAX || s->window > WINDOW_MAX || s->quorum > ranks ||
        s->liars > ranks || s->grace_ms > TIMEOUT_MAX_MS ||
        s->timeout_ms > TIMEOUT_MAX_MS || s->kept_rounds > KEPT_MAX ||
        s->algorithm >= FLOW_ALGORITHMS || s->tie > BALLOT_TIE_RANDOM ||
        s->zero > BALLOT_ZERO_ABSTAIN || s->count_max > UINT64_C(1) << 40 ||
        s->design > BALLOT_DESIGN_MOLS || s->rule > BALLOT_RULE_PAPER_PLUS ||
        s->evidence > BALLOT_EVIDENCE_KEEP || s->replicas > REPLICAS_MAX ||
        s->servers != BALLOT_SERVERS_DEDICATED) {
        snprintf(why, ERROR_BYTES,
                 "a setting of the ranks is out of range; run the same "
                 "version of ballot everywhere");
        return -EINVAL;
    }
    return check(s, ranks, why);
}

int settings_adopt(struct settings *settings, const uint8_t *wire,
                   const uint8_t *weights, uint32_t ranks, char *why)
{
    struct settings adopted = *settings;
    uint64_t hash;
    int rc;

    memcpy(&adopted, wire, offsetof(struct settings, init_timeout_ms));
    hash = adopted.weights_hash;
    rc = check_wire(&adopted, ranks, why);
    if (rc == 0)
        rc = copy_weights(&adopted, hash == 0 ? NULL : weights, ranks, why);
    if (rc == 0 && adopted.weights_hash != hash) {
        snprintf(why, ERROR_BYTES,
                 "the weights that ranks have are not those that they agree "
                 "on; give all the same weights");
        rc = -EPROTO;
    }
    if (rc == 0)
        rc = check_design(&adopted, ranks, why);
    if (rc == 0)
        *settings = adopted;
    return rc;
}
