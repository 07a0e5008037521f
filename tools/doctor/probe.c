/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - what only the running system can answer: libibverbs, the
 * engine of tcp, memory, kernels, and what BALLOT_ variables ask for.
 */
#include "facts.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../aggregate/kernels.h"
#include "../../aggregate/round.h"
#include "../../collective/comm.h"
#include "../../collective/lanes.h"
#include "../../transport/bootstrap.h"
#include "../../transport/tcp.h"
#include "../../transport/verbs_device.h"

static void copy_variable(char text[WORD_BYTES], const char *name)
{
    const char *value = getenv(name);

    snprintf(text, WORD_BYTES, "%s", value != NULL ? value : "");
}

/* ---- RDMA devices ---- */

static void ask_ports(struct device *device, struct ibv_context *context)
{
    for (uint32_t p = 0; p < device->ports_count; p++) {
        struct port *port = &device->ports[p];
        struct ibv_port_attr attributes;

        if (ibv_query_port(context, (uint8_t)port->number, &attributes) != 0)
            continue;
        port->active_mtu = 128u << attributes.active_mtu;
        port->mtu_is_derived = false;
    }
}

static void ask_device(struct device *device, struct ibv_device **list,
                       int count)
{
    struct ibv_context *context = NULL;
    int found = 0;

    while (found < count &&
           strcmp(ibv_get_device_name(list[found]), device->name) != 0)
        found++;
    /* Without the library of its kind a device is not listed. */
    device->has_provider = found < count;
    if (!device->has_provider)
        return;
    errno = 0;
    context = ibv_open_device(list[found]);
    if (context == NULL) {
        device->open_error = errno != 0 ? -errno : -EIO;
        return;
    }
    ask_ports(device, context);
    ibv_close_device(context);
}

void facts_probe_devices(struct facts *facts)
{
    struct ibv_device **list;
    int count = 0;

    if (facts->devices_count == 0)
        return;
    list = ibv_get_device_list(&count);
    for (uint32_t d = 0; d < facts->devices_count; d++)
        ask_device(&facts->devices[d], list, list != NULL ? count : 0);
    if (list != NULL)
        ibv_free_device_list(list);
    choose_device(&facts->chosen, NULL);
}

void choose_device(struct chosen *chosen, const struct sockaddr *near)
{
    struct verbs_settings settings;
    struct verbs_device device;

    *chosen = (struct chosen){0};
    if (verbs_settings_read(&settings, chosen->why) != 0 ||
        verbs_device_open(&device, &settings, near, chosen->why) != 0)
        return;
    chosen->is_there = true;
    chosen->port = device.port;
    chosen->gid_index = device.gid_index;
    snprintf(chosen->device, sizeof(chosen->device), "%s",
             ibv_get_device_name(device.context->device));
    verbs_device_close(&device);
}

/* ---- The engine of tcp ---- */

static int try_engine(uint32_t ranks, char name[WORD_BYTES])
{
    static const struct credentials none = {.none = true};
    struct endpoint_config config = {
        .ranks = ranks,
        .slots = 1,
        .slot_bytes = LINE_BYTES,
        .credentials = &none,
        .interface = "127.0.0.1",
    };
    struct endpoint *endpoint = NULL;
    int rc = transport_tcp.open(&endpoint, &config);

    snprintf(name, WORD_BYTES, "%s", rc == 0 ? tcp_engine_name(endpoint) : "");
    transport_tcp.close(endpoint);
    return rc;
}

static void ask_engine(struct facts *facts, uint32_t ranks)
{
    const char *asked = getenv("BALLOT_TCP_ENGINE");
    char name[WORD_BYTES];

    facts->engine_error = try_engine(ranks, facts->engine);
    if (asked != NULL && strcmp(asked, "uring") == 0) {
        facts->uring_error = facts->engine_error;
        return;
    }
    if (asked != NULL)
        return;
    setenv("BALLOT_TCP_ENGINE", "uring", 1);
    facts->uring_error = try_engine(ranks, name);
    unsetenv("BALLOT_TCP_ENGINE");
}

/* ---- Memory and kernels ---- */

uint64_t locked_bytes_for(uint32_t ranks, uint32_t slots, uint32_t slot_bytes)
{
    size_t staging = memory_round((size_t)slots * slot_bytes);
    size_t landing = memory_round((size_t)slots * slot_bytes + MEMORY_SKEW_MAX);

    return (uint64_t)(ranks - 1) * (staging + landing);
}

static void ask_settings(struct facts *facts, uint32_t ranks)
{
    static struct settings settings;
    int rc =
        settings_resolve(&settings, NULL, (int)ranks, facts->settings_error);
    struct shape shape;

    facts->ranks = ranks;
    if (rc < 0)
        return;
    shape = (struct shape){
        .ranks = ranks,
        .coordinates_max = settings.chunk,
        .planes_up = settings.zero == BALLOT_ZERO_ABSTAIN ? 2 : 1,
        .planes_down = settings.tie == BALLOT_TIE_ZERO ? 2 : 1,
    };
    facts->slots = lanes_slots(settings.window);
    facts->slot_bytes = slot_bytes_for(&shape);
    facts->locked_bytes =
        locked_bytes_for(ranks, facts->slots, facts->slot_bytes);
}

static void ask_ib_settings(struct facts *facts)
{
    struct verbs_settings settings;

    if (verbs_settings_read(&settings, facts->ib_settings_error) == 0)
        facts->ib_settings_error[0] = '\0';
}

static void ask_kernels(struct facts *facts)
{
    const struct kernels *chosen;

    copy_variable(facts->kernels_asked, "BALLOT_KERNELS");
    chosen = kernels_pick(facts->kernels_asked);
    facts->kernels = chosen != NULL ? chosen->name : NULL;
    for (int k = 0; k < KERNELS_LISTED_MAX && kernels_all[k] != NULL; k++) {
        facts->listed[k] = kernels_all[k]->name;
        facts->runs[k] = kernels_all[k]->supported();
    }
}

/* ---- Where and with which key ---- */

static void ask_interface(struct facts *facts)
{
    const char *name = getenv("BALLOT_SOCKET_IFNAME");
    struct sockaddr_storage address;
    socklen_t address_bytes;

    facts->has_interface_asked = name != NULL && *name != '\0';
    if (facts->has_interface_asked &&
        bootstrap_local_address(name, NULL, 0, &address, &address_bytes,
                                facts->interface_error) == 0)
        facts->interface_error[0] = '\0';
}

static void ask_key(struct facts *facts)
{
    const char *path = getenv("BALLOT_KEY_FILE");
    struct credentials credentials;

    facts->has_key = path != NULL && *path != '\0';
    if (facts->has_key &&
        credentials_read(path, &credentials, facts->key_error) == 0)
        facts->key_error[0] = '\0';
    explicit_bzero(&credentials, sizeof(credentials));
}

void facts_probe(struct facts *facts, uint32_t ranks)
{
    copy_variable(facts->transport_asked, "BALLOT_TRANSPORT");
    ask_engine(facts, ranks);
    facts->memory = memory_facts();
    ask_settings(facts, ranks);
    ask_ib_settings(facts);
    ask_kernels(facts);
    ask_interface(facts);
    ask_key(facts);
}
