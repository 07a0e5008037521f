/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what ballot-doctor knows of a machine, before it judges.
 *
 * What files of /sys, /proc, /dev and /lib/modules say is read below a root
 * folder, so that another machine can be put under it. What only the running
 * system can answer is asked by probe.c.
 */
#ifndef BALLOT_DOCTOR_FACTS_H
#define BALLOT_DOCTOR_FACTS_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../transport/memory.h"

enum {
    DEVICES_MAX = 16,
    PORTS_MAX = 4, /* of a device that are looked at */
    GIDS_MAX = 32, /* of a port that are kept */
    GID_BYTES = 16,
    NAME_BYTES = 64,
    WORD_BYTES = 24,
    LINE_TEXT_BYTES = 160,
    ERROR_TEXT_BYTES = 512,
};

/* ---- RDMA devices: rdma.c, but for what is marked ---- */

enum gid_type { GID_UNKNOWN, GID_IB, GID_ROCE_V1, GID_ROCE_V2 };

struct gid {
    uint32_t index;
    uint8_t bytes[GID_BYTES];
    enum gid_type type;
    char interface[IF_NAMESIZE]; /* "" where the kernel does not tell */
    char ip[INET6_ADDRSTRLEN];   /* of RoCE v2; else the GID as an address */
    bool is_link_local;
    bool is_ipv4;
};

struct port {
    uint32_t number;
    char state[WORD_BYTES]; /* "ACTIVE" */
    bool is_active;
    char link_layer[WORD_BYTES]; /* "Ethernet", "InfiniBand" */
    bool is_ethernet;
    uint32_t interface_mtu; /* of the first GID's interface; 0: not known */
    uint32_t active_mtu;    /* 0: not known. probe.c where it can ask */
    bool mtu_is_derived;    /* from interface_mtu, for lack of a better one */
    uint32_t gids_count;    /* kept */
    uint32_t gids_more;     /* there, but not kept */
    struct gid gids[GIDS_MAX];
};

enum node_state { NODE_MISSING, NODE_FORBIDDEN, NODE_USABLE };

struct device {
    char name[NAME_BYTES];
    char parent[IF_NAMESIZE]; /* of a device made on an interface; or "" */
    int numa_node;            /* -1: not known */
    char node[NAME_BYTES];    /* "uverbs0"; "" if ib_uverbs has none */
    enum node_state node_state;
    unsigned int node_mode; /* of the file, 0 where it is missing */
    bool has_provider;      /* probe.c: libibverbs can use it */
    int open_error;         /* probe.c: negative errno */
    uint32_t ports_count;
    struct port ports[PORTS_MAX];
};

/* What ballot would use: probe.c. */
struct chosen {
    bool is_there;
    char device[NAME_BYTES];
    uint32_t port, gid_index;
    char why[ERROR_TEXT_BYTES]; /* there is none */
};

/* ---- Everything else ---- */

enum module_state {
    MODULE_ABSENT,   /* not there for this kernel */
    MODULE_LOADABLE, /* modprobe would find it */
    MODULE_LOADED,
    MODULE_BUILT_IN,
};

enum module_name {
    MODULE_IB_UVERBS,
    MODULE_RDMA_UCM,
    MODULE_RDMA_RXE,
    MODULE_CRC32,
    MODULES,
};

struct module {
    const char *name;
    enum module_state state;
};

enum cpu_flag {
    FLAG_AVX2,
    FLAG_AVX512F,
    FLAG_AVX512BW,
    FLAG_AVX512DQ,
    FLAG_AVX512VL,
    FLAGS,
};

/* Two interfaces of one subnet: either may answer ARP for the other. */
struct twins {
    bool found;
    char interfaces[2][IF_NAMESIZE];
    int arp_ignore[2]; /* what the kernel goes by; -1: not known */
    int accept_local[2];
};

enum { KERNELS_LISTED_MAX = 8 };

struct facts {
    /* system.c */
    char release[NAME_BYTES]; /* of the kernel */
    char cpu[LINE_TEXT_BYTES];
    int cores; /* of the machine */
    bool flags[FLAGS];
    bool has_flags; /* false where /proc/cpuinfo lists none */
    struct module modules[MODULES];
    uint64_t memlock_bytes; /* UINT64_MAX: no limit */
    bool has_ipc_lock;      /* CAP_IPC_LOCK: memlock does not count */
    bool has_seccomp;       /* a filter is in force */
    int io_uring_disabled;  /* the sysctl, -1: not there */
    enum node_state rdma_cm_node;
    char netns_mode[WORD_BYTES]; /* "shared", "exclusive"; "" without ib_core */
    struct twins twins;

    /* rdma.c */
    uint32_t devices_count;
    struct device devices[DEVICES_MAX];

    /* probe.c */
    char ib_settings_error[ERROR_TEXT_BYTES]; /* "" if BALLOT_IB_* are fine */
    struct chosen chosen;                     /* without a peer in view */
    uint32_t ranks;                           /* that memory is computed for */
    uint32_t slots, slot_bytes;
    uint64_t locked_bytes;                 /* that verbs would register */
    char settings_error[ERROR_TEXT_BYTES]; /* "" if BALLOT_* are fine */
    char transport_asked[WORD_BYTES];      /* BALLOT_TRANSPORT; "" if unset */
    struct memory_facts memory;
    int uring_error;                        /* why io_uring is refused; 0 */
    char engine[WORD_BYTES];                /* of tcp; "" where it fails */
    int engine_error;                       /* then */
    char kernels_asked[WORD_BYTES];         /* BALLOT_KERNELS; "" if unset */
    const char *kernels;                    /* chosen; NULL: none */
    const char *listed[KERNELS_LISTED_MAX]; /* all, best first */
    bool runs[KERNELS_LISTED_MAX];
    bool has_interface_asked;               /* BALLOT_SOCKET_IFNAME is set */
    char interface_error[ERROR_TEXT_BYTES]; /* "" or what is wrong with it */
    bool has_key;
    char key_error[ERROR_TEXT_BYTES]; /* of BALLOT_KEY_FILE */
};

/* Fills what files below `root` ("" for this machine) say. */
void facts_read_system(struct facts *facts, const char *root);
void facts_read_devices(struct facts *facts, const char *root);

/* Asks libibverbs of the devices that were read, if they are this machine's. */
void facts_probe_devices(struct facts *facts);

/* The device that verbs would use to peers that the local IP `near` leads to;
 * NULL: to any. */
void choose_device(struct chosen *chosen, const struct sockaddr *near);

/* Fills the rest, for a job of `ranks` ranks. */
void facts_probe(struct facts *facts, uint32_t ranks);

/* ---- Pure parts ---- */

/* "RoCE v2" as /sys has it. */
enum gid_type gid_type_parse(const char *text);
const char *gid_type_name(enum gid_type type);

/* "fe80:0000:...": false if it is no GID. */
bool gid_parse(uint8_t bytes[GID_BYTES], const char *text);

/* Fills what the bytes say: ip, is_ipv4, is_link_local. */
void gid_explain(struct gid *gid);

/* The RoCE MTU that an interface's MTU leaves room for; 0: not even 256. */
uint32_t roce_mtu(uint32_t interface_mtu);

/* The GID that RDMA to other hosts goes best by: RoCE v2 with IPv4, then with
 * IPv6 of more than the link, then any. NULL if the port has none. */
const struct gid *port_best_gid(const struct port *port);

/* The interface that a port's packets leave by; "" where it is not known. */
const char *port_interface(const struct device *device,
                           const struct port *port);

/* Bytes that a rank registers: the slots that peers write and the staging of
 * its own, for each other rank. */
uint64_t locked_bytes_for(uint32_t ranks, uint32_t slots, uint32_t slot_bytes);

/* Whether a port is there over which RDMA could go. */
bool device_is_usable(const struct device *device);

/* Whether some is, and can be told by IP address where others are. */
bool rdma_is_usable(const struct facts *facts);

/* Made on an interface in software, as rdma_rxe and siw do. */
bool device_is_soft(const struct device *device);

#endif
