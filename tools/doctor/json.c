/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - the report for programs.
 */
#include "report.h"

#include <math.h>
#include <string.h>

#include "../../include/ballot.h"

enum { DEPTH_MAX = 16 };

/* What is open, and whether something stands in it already. */
struct json {
    FILE *file;
    int depth;
    bool has_items[DEPTH_MAX];
};

static void print_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;

        if (byte == '"' || byte == '\\')
            fprintf(file, "\\%c", byte);
        else if (byte < 0x20 || byte > 0x7e)
            fprintf(file, "\\u%04x", byte);
        else
            fputc(byte, file);
    }
    fputc('"', file);
}

/* What comes before a value: `key` is NULL in an array. */
static void begin(struct json *json, const char *key)
{
    if (json->has_items[json->depth])
        fputc(',', json->file);
    json->has_items[json->depth] = true;
    if (json->depth > 0)
        fprintf(json->file, "\n%*s", 2 * json->depth, "");
    if (key == NULL)
        return;
    print_text(json->file, key);
    fputs(": ", json->file);
}

static void enter(struct json *json, const char *key, char bracket)
{
    begin(json, key);
    fputc(bracket, json->file);
    json->has_items[++json->depth] = false;
}

static void leave(struct json *json, char bracket)
{
    bool has_items = json->has_items[json->depth--];

    if (has_items)
        fprintf(json->file, "\n%*s", 2 * json->depth, "");
    fputc(bracket, json->file);
}

/* NULL gives null. */
static void put_text(struct json *json, const char *key, const char *text)
{
    begin(json, key);
    if (text == NULL)
        fputs("null", json->file);
    else
        print_text(json->file, text);
}

static void put_number(struct json *json, const char *key, uint64_t value)
{
    begin(json, key);
    fprintf(json->file, "%llu", (unsigned long long)value);
}

static void put_signed(struct json *json, const char *key, int value)
{
    begin(json, key);
    fprintf(json->file, "%d", value);
}

/* What the other side measured may be no number. */
static void put_real(struct json *json, const char *key, double value)
{
    begin(json, key);
    if (isfinite(value))
        fprintf(json->file, "%.6g", value);
    else
        fputs("null", json->file);
}

static void put_bool(struct json *json, const char *key, bool value)
{
    begin(json, key);
    fputs(value ? "true" : "false", json->file);
}

static void put_error(struct json *json, const char *key, int error)
{
    put_text(json, key, error == 0 ? NULL : strerrorname_np(-error));
}

/* ---- RDMA ---- */

static void put_gid(struct json *json, const struct gid *gid)
{
    char text[2 * GID_BYTES + 8] = "";
    size_t used = 0;

    for (int i = 0; i < GID_BYTES; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%02x",
                                 i > 0 && i % 2 == 0 ? ":" : "", gid->bytes[i]);
    enter(json, NULL, '{');
    put_number(json, "index", gid->index);
    put_text(json, "type", gid_type_name(gid->type));
    put_text(json, "gid", text);
    put_text(json, "interface", gid->interface);
    put_text(json, "ip", gid->ip);
    leave(json, '}');
}

static void put_port(struct json *json, const struct port *port)
{
    enter(json, NULL, '{');
    put_number(json, "port", port->number);
    put_text(json, "state", port->state);
    put_text(json, "link_layer", port->link_layer);
    put_number(json, "active_mtu", port->active_mtu);
    put_number(json, "interface_mtu", port->interface_mtu);
    enter(json, "gids", '[');
    for (uint32_t g = 0; g < port->gids_count; g++)
        put_gid(json, &port->gids[g]);
    leave(json, ']');
    leave(json, '}');
}

static void put_device(struct json *json, const struct device *device)
{
    enter(json, NULL, '{');
    put_text(json, "name", device->name);
    put_text(json, "parent", device->parent);
    put_signed(json, "numa_node", device->numa_node);
    put_text(json, "node", device->node);
    put_bool(json, "node_usable", device->node_state == NODE_USABLE);
    put_bool(json, "provider", device->has_provider);
    put_error(json, "open_error", device->open_error);
    put_bool(json, "usable", device_is_usable(device));
    enter(json, "ports", '[');
    for (uint32_t p = 0; p < device->ports_count; p++)
        put_port(json, &device->ports[p]);
    leave(json, ']');
    leave(json, '}');
}

static const char *module_word(enum module_state state)
{
    switch (state) {
    case MODULE_LOADED: return "loaded";
    case MODULE_BUILT_IN: return "built-in";
    case MODULE_LOADABLE: return "loadable";
    case MODULE_ABSENT: break;
    }
    return "absent";
}

static void put_rdma(struct json *json, const struct facts *facts)
{
    enter(json, "rdma", '{');
    enter(json, "devices", '[');
    for (uint32_t d = 0; d < facts->devices_count; d++)
        put_device(json, &facts->devices[d]);
    leave(json, ']');
    if (facts->chosen.is_there) {
        enter(json, "chosen", '{');
        put_text(json, "device", facts->chosen.device);
        put_number(json, "port", facts->chosen.port);
        put_number(json, "gid_index", facts->chosen.gid_index);
        leave(json, '}');
    } else {
        put_text(json, "chosen", NULL);
    }
    enter(json, "modules", '{');
    for (int m = 0; m < MODULES; m++)
        put_text(json, facts->modules[m].name,
                 module_word(facts->modules[m].state));
    leave(json, '}');
    put_bool(json, "rdma_cm", facts->rdma_cm_node == NODE_USABLE);
    put_text(json, "netns_mode",
             facts->netns_mode[0] != '\0' ? facts->netns_mode : NULL);
    leave(json, '}');
}

/* ---- Memory, tcp, kernels, problems ---- */

static void put_memory(struct json *json, const struct facts *facts)
{
    enter(json, "memory", '{');
    if (facts->memlock_bytes == UINT64_MAX)
        put_text(json, "memlock_bytes", NULL);
    else
        put_number(json, "memlock_bytes", facts->memlock_bytes);
    put_bool(json, "ipc_lock", facts->has_ipc_lock);
    put_number(json, "ranks", facts->ranks);
    put_number(json, "slots", facts->slots);
    put_number(json, "slot_bytes", facts->slot_bytes);
    put_number(json, "needed_bytes", facts->locked_bytes);
    put_bool(json, "huge_private", facts->memory.private_huge);
    put_bool(json, "huge_shared", facts->memory.shared_huge);
    put_signed(json, "nodes", facts->memory.nodes);
    put_signed(json, "node", facts->memory.node);
    leave(json, '}');
}

static void put_kernels(struct json *json, const struct facts *facts)
{
    enter(json, "kernels", '{');
    put_text(json, "chosen", facts->kernels);
    put_text(json, "asked", facts->kernels_asked);
    enter(json, "tables", '[');
    for (int k = 0; k < KERNELS_LISTED_MAX && facts->listed[k] != NULL; k++) {
        char lacks[LINE_TEXT_BYTES];

        kernels_lack(facts, facts->listed[k], lacks, sizeof(lacks));
        enter(json, NULL, '{');
        put_text(json, "name", facts->listed[k]);
        put_bool(json, "runs", facts->runs[k]);
        put_text(json, "lacks", lacks);
        leave(json, '}');
    }
    leave(json, ']');
    leave(json, '}');
}

static void put_machine(struct json *json, const struct facts *facts)
{
    enter(json, "machine", '{');
    put_text(json, "kernel", facts->release);
    put_text(json, "cpu", facts->cpu);
    put_signed(json, "cores", facts->cores);
    leave(json, '}');
    put_rdma(json, facts);
    put_memory(json, facts);
    enter(json, "tcp", '{');
    put_text(json, "engine", facts->engine[0] != '\0' ? facts->engine : NULL);
    put_bool(json, "io_uring", facts->uring_error == 0);
    put_text(json, "io_uring_reason", uring_reason(facts));
    leave(json, '}');
    put_kernels(json, facts);
}

static void put_problems(struct json *json, const struct problems *problems)
{
    enter(json, "problems", '[');
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->list[i];

        enter(json, NULL, '{');
        put_text(json, "level", level_name(problem->level));
        put_text(json, "key", problem->key);
        put_text(json, "what", problem->what);
        put_text(json, "cure", problem->cure);
        leave(json, '}');
    }
    leave(json, ']');
}

/* ---- What was tried ---- */

static void put_trial(struct json *json, const char *name, enum verdict verdict,
                      int error, const char *why,
                      const struct trial_times *times)
{
    enter(json, NULL, '{');
    put_text(json, "transport", name);
    put_text(json, "verdict", verdict_name(verdict));
    put_error(json, "error", error);
    put_text(json, "why", why);
    put_real(json, "latency_us", times->latency_us);
    put_real(json, "bandwidth_gbs", times->bandwidth_gbs);
    put_number(json, "pings", times->pings);
    put_number(json, "bytes", times->bytes);
    leave(json, '}');
}

static void put_self(struct json *json, const struct self_test *self)
{
    if (self == NULL) {
        put_text(json, "self_test", NULL);
        return;
    }
    enter(json, "self_test", '[');
    for (uint32_t i = 0; i < self->count; i++)
        put_trial(json, self->results[i].name, self->results[i].verdict,
                  self->results[i].error, self->results[i].why,
                  &self->results[i].times);
    leave(json, ']');
}

static void put_counters(struct json *json, const struct counters *gained)
{
    enter(json, "counters", '[');
    for (uint32_t i = 0; i < gained->count; i++) {
        enter(json, NULL, '{');
        put_text(json, "device", gained->list[i].device);
        put_number(json, "port", gained->list[i].port);
        put_text(json, "name", gained->list[i].name);
        put_number(json, "gained", gained->list[i].value);
        leave(json, '}');
    }
    leave(json, ']');
}

static void put_causes(struct json *json, const struct pair_result *pair)
{
    enter(json, "causes", '[');
    for (uint32_t i = 0; i < pair->causes_count; i++) {
        enter(json, NULL, '{');
        put_text(json, "what", pair->causes[i].what);
        put_text(json, "command", pair->causes[i].command);
        leave(json, '}');
    }
    leave(json, ']');
}

static void put_pair(struct json *json, const struct pair_result *pair)
{
    if (pair == NULL) {
        put_text(json, "peer", NULL);
        return;
    }
    enter(json, "peer", '{');
    put_error(json, "error", pair->error);
    put_text(json, "why", pair->why);
    put_text(json, "cure", pair->cure);
    put_text(json, "host", pair->host);
    enter(json, "stages", '[');
    for (uint32_t i = 0; i < pair->stages_count; i++)
        put_trial(json, pair->stages[i].name, pair->stages[i].verdict,
                  pair->stages[i].error, pair->stages[i].why,
                  &pair->stages[i].times);
    leave(json, ']');
    put_counters(json, &pair->gained);
    put_causes(json, pair);
    put_text(json, "transport", pair->choice);
    put_text(json, "reason", pair->reason);
    leave(json, '}');
}

void report_json(FILE *file, const struct report *report, bool is_ok)
{
    struct json json = {.file = file};
    char version[32];

    snprintf(version, sizeof(version), "%d.%d.%d", BALLOT_VERSION_MAJOR,
             BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH);
    enter(&json, NULL, '{');
    put_text(&json, "version", version);
    put_bool(&json, "ok", is_ok);
    put_machine(&json, report->facts);
    put_problems(&json, report->problems);
    put_self(&json, report->self);
    put_pair(&json, report->pair);
    leave(&json, '}');
    fputc('\n', file);
}
