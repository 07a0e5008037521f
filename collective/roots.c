/* SPDX-License-Identifier: Apache-2.0 */
/* roots.c - where a job's ranks meet: unique ids and addresses in words. */
#include "roots.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/bootstrap.h"
#include "../transport/variable.h"
#include "comm.h"

enum {
    ROOT_LIFE_S = 86400, /* of a unique id that nobody uses */
    ID_ADDRESS_BYTES = 64,
};

/* What is in a unique id. */
struct identity {
    char magic[8];
    uint32_t address_bytes;
    uint8_t address[ID_ADDRESS_BYTES];
    uint8_t key[KEY_BYTES]; /* of a known place zeros: it is not in the id */
    uint8_t known;          /* the place is one that all ranks know */
    uint8_t padding[19];
};

_Static_assert(sizeof(struct identity) == sizeof(struct ballot_unique_id),
               "an identity fills the id");

static const char id_magic[8] = "ballot1";

/* Roots that listen in this process for ids made here. */
struct listening {
    struct ballot_unique_id id;
    struct bootstrap_root *root;
    struct listening *next;
};

static pthread_mutex_t listening_lock = PTHREAD_MUTEX_INITIALIZER;
static struct listening *listening_first;

static int local_root(struct sockaddr_storage *address,
                      socklen_t *address_bytes, bool one_host, char *why)
{
    const char *root = getenv("BALLOT_ROOT");
    bool named = root != NULL && *root != '\0';

    if (named || (one_host && variable("BALLOT_SOCKET_IFNAME") == NULL))
        return bootstrap_parse(named ? root : "127.0.0.1:0", address,
                               address_bytes, why);
    return bootstrap_local_address(variable("BALLOT_SOCKET_IFNAME"), NULL, 0,
                                   address, address_bytes, why);
}

/* The address in an id. */
static void fill_address(struct identity *identity,
                         const struct sockaddr_storage *address,
                         socklen_t address_bytes)
{
    identity->address_bytes = address_bytes;
    memcpy(identity->address, address, address_bytes);
}

/* A key of the job's own, or that of BALLOT_KEY_FILE. */
static int make_key(struct credentials *credentials, char *why)
{
    const char *file = variable("BALLOT_KEY_FILE");

    *credentials = (struct credentials){0};
    if (file != NULL && *file != '\0')
        return credentials_read(file, credentials, why);
    if (sodium_init() < 0)
        return -EIO;
    randombytes_buf(credentials->key, sizeof(credentials->key));
    return 0;
}

/* Listens at the address until somebody leaves with the id; in front. */
static int listen_at(struct listening **made,
                     const struct sockaddr_storage *address,
                     socklen_t address_bytes,
                     const struct credentials *credentials, char *why)
{
    struct listening *listening = calloc(1, sizeof(*listening));
    int rc;

    if (listening == NULL)
        return -ENOMEM;
    rc = bootstrap_root_open(
        &listening->root, (const struct sockaddr *)address, address_bytes,
        credentials, 0, clock_now_ns() + ROOT_LIFE_S * UINT64_C(1000000000),
        why);
    if (rc < 0) {
        free(listening);
        return rc;
    }
    *made = listening;
    return 0;
}

static void remember(struct listening *listening)
{
    pthread_mutex_lock(&listening_lock);
    listening->next = listening_first;
    listening_first = listening;
    pthread_mutex_unlock(&listening_lock);
}

int roots_listen(struct ballot_unique_id *id, bool one_host, char *why)
{
    struct identity identity = {.magic = "ballot1"};
    struct credentials credentials;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct listening *listening;
    int rc = local_root(&address, &address_bytes, one_host, why);

    if (rc == 0)
        rc = make_key(&credentials, why);
    if (rc == 0)
        rc = listen_at(&listening, &address, address_bytes, &credentials, why);
    if (rc < 0)
        return rc;
    bootstrap_root_address(listening->root, &address, &address_bytes);
    fill_address(&identity, &address, address_bytes);
    memcpy(identity.key, credentials.key, sizeof(identity.key));
    memcpy(&listening->id, &identity, sizeof(identity));
    explicit_bzero(&identity, sizeof(identity));
    explicit_bzero(&credentials, sizeof(credentials));
    *id = listening->id;
    remember(listening);
    return 0;
}

int roots_listen_again(const struct ballot_unique_id *id, char *why)
{
    struct listening *listening;
    struct place place;
    int rc = roots_read_id(id, &place, why);

    if (rc == 0)
        rc = listen_at(&listening, &place.address, place.address_bytes,
                       &place.credentials, why);
    explicit_bzero(&place, sizeof(place));
    if (rc < 0)
        return rc;
    listening->id = *id;
    remember(listening);
    return 0;
}

int ballot_get_unique_id(struct ballot_unique_id *id)
{
    char why[ERROR_BYTES] = "";
    int rc = id == NULL ? -EINVAL : roots_listen(id, false, why);

    if (rc < 0 && id != NULL)
        report_thread("unique id: %s", why[0] != '\0' ? why : strerror(-rc));
    return rc;
}

int ballot_unique_id_at(struct ballot_unique_id *id, const char *place)
{
    struct identity identity = {.magic = "ballot1", .known = 1};
    char why[ERROR_BYTES] = "";
    struct sockaddr_storage address;
    socklen_t address_bytes;
    int rc;

    if (id == NULL || place == NULL)
        return -EINVAL;
    rc = bootstrap_parse(place, &address, &address_bytes, why);
    if (rc < 0) {
        report_thread("unique id: %s", why[0] != '\0' ? why : strerror(-rc));
        return rc;
    }
    fill_address(&identity, &address, address_bytes);
    memcpy(id, &identity, sizeof(*id));
    return 0;
}

int roots_read_id(const struct ballot_unique_id *id, struct place *place,
                  char *why)
{
    struct identity identity;

    memcpy(&identity, id, sizeof(identity));
    if (memcmp(identity.magic, id_magic, sizeof(id_magic)) != 0 ||
        identity.address_bytes > ID_ADDRESS_BYTES) {
        snprintf(why, ERROR_BYTES,
                 "the unique id was not made by ballot_get_unique_id(), or was "
                 "damaged on its way to this rank");
        return -EINVAL;
    }
    *place = (struct place){
        .address_bytes = identity.address_bytes,
        .known = identity.known != 0,
    };
    memcpy(&place->address, identity.address, identity.address_bytes);
    memcpy(place->credentials.key, identity.key, KEY_BYTES);
    explicit_bzero(&identity, sizeof(identity));
    return 0;
}

uint64_t roots_leave(const struct ballot_unique_id *id)
{
    struct listening *found = NULL;
    uint64_t strangers;

    pthread_mutex_lock(&listening_lock);
    for (struct listening **at = &listening_first; *at != NULL;
         at = &(*at)->next)
        if (memcmp(&(*at)->id, id, sizeof(*id)) == 0) {
            found = *at;
            *at = found->next;
            break;
        }
    pthread_mutex_unlock(&listening_lock);
    if (found == NULL)
        return 0;
    strangers = bootstrap_root_strangers(found->root);
    bootstrap_root_close(found->root);
    explicit_bzero(found, sizeof(*found));
    free(found);
    return strangers;
}

/* ---- Addresses in words ---- */

static int read_key(struct place *place, unsigned auth, int rank, char *why)
{
    const char *file = variable("BALLOT_KEY_FILE");
    bool have = file != NULL && *file != '\0';

    if (auth != BALLOT_AUTH_NONE && have)
        return credentials_read(file, &place->credentials, why);
    if (auth == BALLOT_AUTH_GROUP) {
        snprintf(why, ERROR_BYTES,
                 "auth=group needs the job's key: set BALLOT_KEY_FILE to a "
                 "file of 64 hexadecimal digits that only you can read");
        return -EACCES;
    }
    if (auth == BALLOT_AUTH_DEFAULT && rank == 0)
        fprintf(stderr, "ballot: auth=none: whoever reaches the port can join "
                        "this job; set BALLOT_KEY_FILE on all ranks (or "
                        "BALLOT_AUTH=none to say that this is meant)\n");
    place->credentials.none = true;
    return 0;
}

int roots_read_place(struct place *place, const char *root, unsigned auth,
                     int rank, char *why)
{
    int rc;

    *place = (struct place){0};
    if (root == NULL || *root == '\0') {
        snprintf(why, ERROR_BYTES,
                 "BALLOT_ROOT is not set: it is host:port of rank 0");
        return -ENOENT;
    }
    rc = bootstrap_parse(root, &place->address, &place->address_bytes, why);
    return rc < 0 ? rc : read_key(place, auth, rank, why);
}

int roots_open_known(const struct ballot_unique_id *id, struct place *place,
                     unsigned auth, int rank, bool listens, char *why)
{
    struct listening *listening;
    int rc;

    if (!place->known)
        return 0;
    rc = read_key(place, auth, rank, why);
    if (rc < 0 || !listens)
        return rc;
    rc = listen_at(&listening, &place->address, place->address_bytes,
                   &place->credentials, why);
    if (rc < 0)
        return rc;
    listening->id = *id;
    remember(listening);
    return 0;
}
