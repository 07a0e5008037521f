/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.c - the report for people: what the machine has.
 */
#include "report.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "../../include/ballot.h"

static const double mib = 1 << 20;

__attribute__((format(printf, 3, 4))) static void row(FILE *file,
                                                      const char *label,
                                                      const char *format, ...)
{
    va_list arguments;

    fprintf(file, "  %-13s ", label);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
}

/* ---- RDMA ---- */

static void print_gids(FILE *file, const struct port *port)
{
    const struct gid *best = port_best_gid(port);

    for (uint32_t g = 0; g < port->gids_count; g++) {
        const struct gid *gid = &port->gids[g];
        char label[32];

        snprintf(label, sizeof(label), "  GID %u", gid->index);
        row(file, label, "%-8s %-15s %s%s", gid_type_name(gid->type),
            gid->interface[0] != '\0' ? gid->interface : "-", gid->ip,
            gid == best ? "   <- the best of this port" : "");
    }
    if (port->gids_more > 0)
        row(file, "", "and %u more", port->gids_more);
}

static void print_port(FILE *file, const struct port *port)
{
    char label[32], mtu[96];

    snprintf(label, sizeof(label), " port %u", port->number);
    if (port->active_mtu == 0)
        snprintf(mtu, sizeof(mtu), "MTU not known");
    else if (port->interface_mtu == 0)
        snprintf(mtu, sizeof(mtu), "MTU %u", port->active_mtu);
    else
        snprintf(mtu, sizeof(mtu), "MTU %u%s (the interface's is %u)",
                 port->active_mtu, port->mtu_is_derived ? " at most" : "",
                 port->interface_mtu);
    row(file, label, "%s, %s, %s", port->state, port->link_layer, mtu);
    print_gids(file, port);
}

static void print_device(FILE *file, const struct device *device)
{
    char node[32] = "unknown", access[96] = "no node";

    if (device->numa_node >= 0)
        snprintf(node, sizeof(node), "%d", device->numa_node);
    if (device->node_state != NODE_MISSING)
        snprintf(access, sizeof(access), "/dev/infiniband/%s, mode %04o",
                 device->node, device->node_mode);
    row(file, device->name, "%s%s%s, NUMA node %s%s",
        device_is_soft(device) ? "in software on interface " : "",
        device->parent, device_is_soft(device) ? "" : "in hardware", node,
        device_is_usable(device) ? "" : ", NOT USABLE");
    row(file, "", "%s", access);
    for (uint32_t p = 0; p < device->ports_count; p++)
        print_port(file, &device->ports[p]);
}

static const char *module_state_name(enum module_state state)
{
    switch (state) {
    case MODULE_LOADED: return "loaded";
    case MODULE_BUILT_IN: return "built in";
    case MODULE_LOADABLE: return "not loaded";
    case MODULE_ABSENT: break;
    }
    return "not there";
}

static const char *node_state_name(enum node_state state)
{
    switch (state) {
    case NODE_USABLE: return "usable";
    case NODE_FORBIDDEN: return "forbidden to this user";
    case NODE_MISSING: break;
    }
    return "not there";
}

static void print_rdma(FILE *file, const struct facts *facts)
{
    fputs("\nRDMA\n", file);
    if (facts->devices_count == 0)
        row(file, "devices", "none");
    for (uint32_t d = 0; d < facts->devices_count; d++)
        print_device(file, &facts->devices[d]);
    if (facts->chosen.is_there)
        row(file, "ballot uses",
            "%s port %u, GID %u; between hosts that have "
            "one too",
            facts->chosen.device, facts->chosen.port, facts->chosen.gid_index);
    for (int m = 0; m < MODULES; m++)
        row(file, m == 0 ? "modules" : "", "%-13s %s", facts->modules[m].name,
            module_state_name(facts->modules[m].state));
    row(file, "rdma_cm", "/dev/infiniband/rdma_cm %s",
        node_state_name(facts->rdma_cm_node));
    row(file, "namespaces", "%s",
        facts->netns_mode[0] != '\0' ? facts->netns_mode
                                     : "ib_core is not loaded");
}

/* ---- Memory, tcp, kernels ---- */

static void print_memory(FILE *file, const struct facts *facts)
{
    const struct memory_facts *memory = &facts->memory;

    fputs("\nMemory\n", file);
    if (facts->memlock_bytes == UINT64_MAX)
        row(file, "may lock", "all (ulimit -l unlimited)");
    else
        row(file, "may lock", "%.1f MiB (ulimit -l)%s",
            (double)facts->memlock_bytes / mib,
            facts->has_ipc_lock ? "; CAP_IPC_LOCK lifts that" : "");
    if (facts->slots > 0)
        row(file, "would lock",
            "%.1f MiB with %u ranks over RDMA: %u slots of %u bytes to and "
            "from each",
            (double)facts->locked_bytes / mib, facts->ranks, facts->slots,
            facts->slot_bytes);
    row(file, "huge pages", "private %s (%s), shared %s (%s)",
        memory->private_huge ? "granted" : "refused",
        memory->private_setting[0] != '\0' ? memory->private_setting : "-",
        memory->shared_huge ? "granted" : "refused",
        memory->shared_setting[0] != '\0' ? memory->shared_setting : "-");
    if (memory->nodes == 0)
        row(file, "NUMA", "not known (%s)", strerror(-memory->refused));
    else if (memory->node < 0)
        row(file, "NUMA", "%d node%s, memory is bound to none", memory->nodes,
            memory->nodes > 1 ? "s" : "");
    else
        row(file, "NUMA", "%d nodes, memory is bound to node %d", memory->nodes,
            memory->node);
}

static void print_tcp(FILE *file, const struct facts *facts)
{
    fputs("\ntcp\n", file);
    row(file, "engine", "%s",
        facts->engine[0] != '\0' ? facts->engine : "none");
    row(file, "io_uring", "%s%s",
        facts->uring_error == 0 ? "allowed" : "refused: ", uring_reason(facts));
}

static void print_kernels(FILE *file, const struct facts *facts)
{
    fputs("\nKernels\n", file);
    row(file, "processor", "%s, %d cores", facts->cpu, facts->cores);
    for (int k = 0; k < KERNELS_LISTED_MAX && facts->listed[k] != NULL; k++) {
        const char *name = facts->listed[k];
        bool chosen =
            facts->kernels != NULL && strcmp(facts->kernels, name) == 0;
        char lacks[LINE_TEXT_BYTES];

        kernels_lack(facts, name, lacks, sizeof(lacks));
        if (chosen)
            row(file, name, "chosen: %s",
                facts->kernels_asked[0] != '\0' ? "BALLOT_KERNELS asks for them"
                                                : "the fastest that run here");
        else if (facts->runs[k])
            row(file, name, "would run");
        else
            row(file, name, "do not run%s%s",
                lacks[0] != '\0' ? ": the processor lacks " : "", lacks);
    }
}

/* ---- Problems ---- */

enum { WRAP_COLUMNS = 78 };

/* Words of `text` in lines that begin below the first. */
static void print_wrapped(FILE *file, const char *text, int indent)
{
    int column = indent;

    while (*text != '\0') {
        int word = (int)strcspn(text, " ");

        if (column > indent && column + 1 + word > WRAP_COLUMNS) {
            fprintf(file, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', file);
            column++;
        }
        fprintf(file, "%.*s", word, text);
        column += word;
        text += word + (text[word] == ' ');
    }
    fputc('\n', file);
}

/* A cure is one line, so that it can be copied. */
static void print_problems(FILE *file, const struct problems *problems)
{
    static const enum level levels[] = {LEVEL_ERROR, LEVEL_WARNING, LEVEL_NOTE};

    fputs("\nProblems\n", file);
    if (problems->count == 0)
        row(file, "none", "%s", "");
    for (size_t l = 0; l < sizeof(levels) / sizeof(levels[0]); l++)
        for (uint32_t i = 0; i < problems->count; i++) {
            const struct problem *problem = &problems->list[i];

            if (problem->level != levels[l])
                continue;
            fprintf(file, "  %-13s ", level_name(problem->level));
            print_wrapped(file, problem->what, 16);
            row(file, "", "cure: %s", problem->cure);
        }
}

void report_text(FILE *file, const struct report *report)
{
    char host[NAME_BYTES] = "";

    gethostname(host, sizeof(host) - 1);
    fprintf(file, "ballot-doctor %d.%d.%d on %s, Linux %s\n",
            BALLOT_VERSION_MAJOR, BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH,
            host, report->facts->release);
    print_rdma(file, report->facts);
    print_memory(file, report->facts);
    print_tcp(file, report->facts);
    print_kernels(file, report->facts);
    print_problems(file, report->problems);
    report_text_trials(file, report);
}
