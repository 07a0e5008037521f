/* SPDX-License-Identifier: Apache-2.0 */
/* handshake.c - four frames that prove both sides know the job's key. */
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>

#include "handshake.h"
#include "stream.h"

enum {
    WIRE_VERSION = 1,
    /* Where the fields of a frame are. */
    AT_VERSION = 4,
    AT_KIND = 5,
    AT_PURPOSE = 6,
    AT_RANK = 8,
    AT_RANKS = 12,
    AT_EPOCH = 16,
    AT_NONCE = 20,
};

/* The frames in the order in which they travel; each names its kind. */
enum stage { HELLO = 1, CHALLENGE, PROOF, READY, DONE, NO_SODIUM };

static const uint8_t magic[4] = {'b', 'l', 't', 0xb1};

_Static_assert(AT_NONCE + NONCE_BYTES + MAC_BYTES == HELLO_BYTES, "layout");
_Static_assert(AT_RANK + MAC_BYTES == PROOF_BYTES, "layout");
_Static_assert(KEY_BYTES <= (int)crypto_generichash_KEYBYTES_MAX, "key");

static bool sends(const struct handshake *handshake)
{
    bool from_connector =
        handshake->stage == HELLO || handshake->stage == PROOF;

    return handshake->connector == from_connector;
}

static size_t frame_bytes(const struct handshake *handshake)
{
    return handshake->stage <= CHALLENGE ? HELLO_BYTES : PROOF_BYTES;
}

/* Of the frame under way, bound to all frames before it. Their sizes are fixed
 * and the frame names its kind, so no two transcripts read the same. */
static void make_mac(const struct handshake *handshake, uint8_t mac[MAC_BYTES])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, handshake->config.credentials->key,
                            KEY_BYTES, MAC_BYTES);
    crypto_generichash_update(&state, handshake->frame,
                              frame_bytes(handshake) - MAC_BYTES);
    if (handshake->stage > HELLO)
        crypto_generichash_update(&state, handshake->hello, HELLO_BYTES);
    if (handshake->stage > CHALLENGE)
        crypto_generichash_update(&state, handshake->challenge, HELLO_BYTES);
    crypto_generichash_final(&state, mac, MAC_BYTES);
    sodium_memzero(&state, sizeof(state));
}

static void compose(struct handshake *handshake)
{
    const struct handshake_config *config = &handshake->config;
    uint8_t *frame = handshake->frame;

    memset(frame, 0, sizeof(handshake->frame));
    memcpy(frame, magic, sizeof(magic));
    frame[AT_VERSION] = WIRE_VERSION;
    frame[AT_KIND] = handshake->stage;
    frame[AT_PURPOSE] = (uint8_t)config->purpose;
    if (handshake->stage <= CHALLENGE) {
        stream_store32(frame + AT_RANK, config->rank);
        stream_store32(frame + AT_RANKS, config->ranks);
        stream_store32(frame + AT_EPOCH, config->epoch);
        randombytes_buf(frame + AT_NONCE, NONCE_BYTES);
    }
    make_mac(handshake, frame + frame_bytes(handshake) - MAC_BYTES);
}

/* Keeps the transcript and turns to the frame that follows. */
static void advance(struct handshake *handshake)
{
    if (handshake->stage == HELLO)
        memcpy(handshake->hello, handshake->frame, HELLO_BYTES);
    else if (handshake->stage == CHALLENGE)
        memcpy(handshake->challenge, handshake->frame, HELLO_BYTES);
    handshake->stage++;
    handshake->done_bytes = 0;
    if (handshake->stage < DONE && sends(handshake))
        compose(handshake);
}

static int check_mac(const struct handshake *handshake)
{
    const uint8_t *frame = handshake->frame;
    uint8_t mac[MAC_BYTES];

    make_mac(handshake, mac);
    if (sodium_memcmp(mac, frame + frame_bytes(handshake) - MAC_BYTES,
                      MAC_BYTES) != 0)
        return -EACCES;
    /* A frame of ours, but sent back to us or out of turn. */
    return frame[AT_KIND] == handshake->stage ? 0 : -EACCES;
}

/* Who sent a HELLO or CHALLENGE, and whether we are of one communicator. */
static int check_peer(struct handshake *handshake)
{
    const struct handshake_config *config = &handshake->config;
    const uint8_t *frame = handshake->frame;
    uint32_t rank = stream_load32(frame + AT_RANK);
    uint32_t ranks = stream_load32(frame + AT_RANKS);

    if (frame[AT_VERSION] != WIRE_VERSION ||
        frame[AT_PURPOSE] != (uint8_t)config->purpose ||
        stream_load32(frame + AT_EPOCH) != config->epoch)
        return -EPROTO;
    if (ranks == 0 && !handshake->connector)
        return -EPROTO;
    if (ranks != 0 && config->ranks != 0 && ranks != config->ranks)
        return -EPROTO;
    if (rank >= (ranks != 0 ? ranks : config->ranks))
        return -EPROTO;
    handshake->peer = rank;
    handshake->peer_ranks = ranks;
    return 0;
}

static int receive_frame(struct handshake *handshake)
{
    size_t bytes = frame_bytes(handshake);
    int result = stream_receive(handshake->descriptor, handshake->frame, bytes,
                                &handshake->done_bytes);
    size_t seen = handshake->done_bytes < sizeof(magic) ? handshake->done_bytes
                                                        : sizeof(magic);

    /* An HTTP request may be shorter than a frame: do not wait for the rest. */
    if (memcmp(handshake->frame, magic, seen) != 0)
        return -EACCES;
    if (result <= 0)
        return result;
    result = check_mac(handshake);
    if (result == 0 && handshake->stage <= CHALLENGE)
        result = check_peer(handshake);
    return result < 0 ? result : 1;
}

void handshake_start(struct handshake *handshake, int descriptor,
                     bool connector, const struct handshake_config *config)
{
    memset(handshake, 0, sizeof(*handshake));
    handshake->config = *config;
    handshake->descriptor = descriptor;
    handshake->connector = connector;
    handshake->stage = HELLO;
    if (sodium_init() < 0)
        handshake->stage = NO_SODIUM;
    else if (connector)
        compose(handshake);
}

int handshake_step(struct handshake *handshake, short *events)
{
    int result;

    while (handshake->stage < DONE) {
        if (sends(handshake)) {
            *events = POLLOUT;
            result =
                stream_send(handshake->descriptor, handshake->frame,
                            frame_bytes(handshake), &handshake->done_bytes);
        } else {
            *events = POLLIN;
            result = receive_frame(handshake);
        }
        if (result <= 0)
            return result;
        advance(handshake);
        if (handshake->stage == READY && !handshake->connector)
            return HANDSHAKE_PROVEN;
    }
    return handshake->stage == DONE ? HANDSHAKE_DONE : -EIO;
}

bool handshake_greeted(const struct handshake *handshake)
{
    return handshake->stage > (handshake->connector ? CHALLENGE : HELLO);
}
