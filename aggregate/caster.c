/* SPDX-License-Identifier: Apache-2.0 */
/* caster.c - a round seen from a voter, as a state machine. */
#include "caster.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* One round under way. */
struct casting {
    struct caster_round call;
    uint64_t number;
    uint32_t chunks;
    uint32_t answered; /* chunks whose result was consumed */
    enum status status;
    bool used; /* this place is taken */
    bool over; /* its end was decided: what is left is drained */
    bool told; /* its end was reported by caster_ended() */
    bool timed_out;
};

/* What lies in one slot at a server: an unanswered put, or nothing. */
struct pending {
    uint64_t sequence;
    uint32_t chunk;
    uint32_t round_slot;
    bool outstanding;
    bool reading;   /* its result arrived and is being used */
    bool forgotten; /* by a jump: its answer only frees the slot */
    bool lands;     /* FLAG_LANDS was put */
};

/* The numbered puts to one server. */
struct stream {
    uint64_t next;  /* sequence of the next put */
    uint64_t round; /* whose chunk it is */
    uint32_t chunk; /* first chunk of ours in it that was not put */
    uint32_t outstanding;
    uint64_t progress_ns; /* last put to an idle server, or result */
    uint64_t suspect_ns;  /* when its silence was noticed; 0: it was not */
};

struct caster {
    struct caster_config config;
    uint64_t first;   /* oldest round that is not forgotten */
    uint64_t next;    /* number of the next round */
    uint64_t astray;  /* puts that a jump found beyond the rounds begun */
    uint32_t turn;    /* the server that is asked first */
    bool dead;        /* servers in `missing` were given up */
    uint64_t changes; /* rounds begun, results used, servers given up */
    uint64_t put_at, ended_at; /* changes when nothing was left to say */
    struct rank_mask missing;
    uint64_t deadline_ns;
    struct casting rounds[ROUNDS_MAX];
    struct stream *streams;  /* [servers] */
    struct pending *pending; /* [servers][window] */
};

int caster_open(struct caster **caster, const struct caster_config *config)
{
    struct caster *c;

    if (config->window < 1 || config->window > WINDOW_MAX ||
        config->servers < 1 || config->servers > RANKS_MAX)
        return -EINVAL;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->config = *config;
    c->turn = config->rank % config->servers;
    c->deadline_ns = UINT64_MAX;
    c->streams = calloc(config->servers, sizeof(*c->streams));
    c->pending =
        calloc((size_t)config->servers * config->window, sizeof(*c->pending));
    if (c->streams == NULL || c->pending == NULL) {
        caster_close(c);
        return -ENOMEM;
    }
    for (uint32_t s = 0; s < config->servers; s++)
        c->streams[s].chunk = s;
    *caster = c;
    return 0;
}

void caster_close(struct caster *caster)
{
    if (caster == NULL)
        return;
    free(caster->pending);
    free(caster->streams);
    free(caster);
}

static struct casting *round_at(struct caster *c, uint64_t number)
{
    return &c->rounds[number % ROUNDS_MAX];
}

static struct pending *pending_at(struct caster *c, uint32_t server,
                                  uint64_t sequence)
{
    uint32_t window = c->config.window;

    return &c->pending[(size_t)server * window + sequence % window];
}

static uint32_t chunks_of(const struct caster_round *call)
{
    if (call->chunk_coordinates == 0)
        return 1;
    return (uint32_t)((call->count + call->chunk_coordinates - 1) /
                      call->chunk_coordinates);
}

static void end_round(struct casting *r, enum status status)
{
    if (r->over)
        return;
    r->over = true;
    r->status = status;
}

/* Lets the stream go on behind `puts` chunks of a round; returns how many of
 * them the round has. */
static uint64_t pass_over(struct caster *c, struct casting *r, uint64_t puts)
{
    uint32_t passed = puts < r->chunks ? (uint32_t)puts : r->chunks;

    r->answered = passed;
    c->streams[0].round = r->number;
    c->streams[0].chunk = passed;
    return passed;
}

/* Puts at the sequences of this round were made as something else: they have
 * lost their votes, so the round cannot be had any more. */
static void begin_astray(struct caster *c, struct casting *r)
{
    end_round(r, STATUS_GONE);
    c->astray -= pass_over(c, r, c->astray);
}

int caster_begin(struct caster *caster, const struct caster_round *round,
                 uint64_t *number)
{
    struct casting *r = round_at(caster, caster->next);

    assert(round->chunk_coordinates <= caster->config.shape.coordinates_max);
    if (r->used || caster->dead)
        return caster->dead ? -ENOTCONN : -EAGAIN;
    *r = (struct casting){
        .call = *round,
        .number = caster->next,
        .chunks = chunks_of(round),
        .status = STATUS_OK,
        .used = true,
    };
    if (caster->astray > 0)
        begin_astray(caster, r);
    caster->changes++;
    *number = caster->next++;
    return (int)(*number % ROUNDS_MAX);
}

uint64_t caster_round(const struct caster *caster)
{
    return caster->next;
}

/* Turns the stream to the first round that has a chunk for its server. */
static struct casting *stream_round(struct caster *c, uint32_t server)
{
    struct stream *s = &c->streams[server];

    for (; s->round < c->next; s->round++, s->chunk = server) {
        struct casting *r = round_at(c, s->round);

        /* The place of a round that is over may be another's by now. */
        if (r->used && r->number == s->round && s->chunk < r->chunks)
            return r;
    }
    return NULL;
}

static struct call call_of(const struct casting *r, uint32_t chunk)
{
    uint64_t first = (uint64_t)chunk * r->call.chunk_coordinates;
    uint64_t left = r->call.count - first;
    struct call call = {
        .round = r->number,
        .count = r->call.count,
        .chunk = chunk,
        .detail = r->call.detail,
        .type = r->call.type,
        .op = r->call.op,
        .rows = r->call.rows,
    };

    if (r->call.chunk_coordinates != 0) {
        if (call.rows == 0 && (call.detail & DETAIL_OTHER) == 0)
            call.detail = r->call.chunk_coordinates;
        call.coordinates = left < r->call.chunk_coordinates
                               ? (uint32_t)left
                               : r->call.chunk_coordinates;
    }
    return call;
}

static void describe_put(const struct caster *c, uint32_t server,
                         const struct casting *r, struct caster_put *put)
{
    const struct stream *s = &c->streams[server];
    bool abstain = r->call.abstain || r->over;

    *put = (struct caster_put){
        .server = server,
        .slot = (uint32_t)(s->next % c->config.window),
        .round_slot = (uint32_t)(r->number % ROUNDS_MAX),
        .first = (uint64_t)s->chunk * r->call.chunk_coordinates,
        .header =
            {
                .magic = HEADER_MAGIC,
                .epoch = c->config.epoch,
                .sequence = s->next,
                .call = call_of(r, s->chunk),
                .kind = HEADER_VOTE,
                .flags = abstain ? FLAG_ABSTAIN : 0,
            },
    };
    put->bytes = vote_bytes(&c->config.shape, &put->header.call, abstain);
}

bool caster_next(struct caster *caster, struct caster_put *put)
{
    uint32_t servers = caster->config.servers;

    if (caster->put_at == caster->changes || caster->dead)
        return false;
    for (uint32_t i = 0; i < servers; i++) {
        uint32_t server = (caster->turn + i) % servers;
        struct stream *s = &caster->streams[server];
        struct casting *r;

        /* The credit: result `next - window` was consumed. */
        if (pending_at(caster, server, s->next)->outstanding)
            continue;
        r = stream_round(caster, server);
        if (r == NULL)
            continue;
        caster->turn = server;
        describe_put(caster, server, r, put);
        return true;
    }
    caster->put_at = caster->changes;
    return false;
}

static void plan_deadline(struct caster *c, const struct stream *s)
{
    uint64_t at = s->suspect_ns == 0 ? s->progress_ns + c->config.timeout_ns
                                     : s->suspect_ns + c->config.margin_ns;

    if (s->outstanding > 0 && at < c->deadline_ns)
        c->deadline_ns = at;
}

void caster_put_done(struct caster *caster, uint64_t now_ns,
                     const struct caster_put *put)
{
    struct stream *s = &caster->streams[put->server];
    struct pending *p = pending_at(caster, put->server, s->next);

    assert(put->header.sequence == s->next && !p->outstanding);
    *p = (struct pending){
        .sequence = s->next,
        .chunk = s->chunk,
        .round_slot = put->round_slot,
        .outstanding = true,
        .lands = put->header.flags == FLAG_LANDS,
    };
    s->next++;
    s->chunk += caster->config.servers;
    if (s->outstanding++ == 0)
        s->progress_ns = now_ns;
    plan_deadline(caster, s);
    caster->turn = (put->server + 1) % caster->config.servers;
}

/* Whether a header line is the result that the slot waits for. */
static bool awaited(struct caster *c, uint32_t server, uint32_t slot,
                    const struct header *header, uint32_t bytes)
{
    const struct pending *p;
    struct call call;

    if (server >= c->config.servers || slot >= c->config.window)
        return false;
    p = &c->pending[(size_t)server * c->config.window + slot];
    if (!p->outstanding || p->reading || header->magic != HEADER_MAGIC ||
        header->epoch != c->config.epoch || header->kind != HEADER_RESULT ||
        header->sequence != p->sequence || header->status >= STATUSES ||
        (header->flags != 0 && (header->flags != FLAG_LANDS || !p->lands)))
        return false;
    if (header->status == STATUS_OK && !p->forgotten) {
        call = call_of(&c->rounds[p->round_slot], p->chunk);
        if (!call_equal(&header->call, &call))
            return false;
    }
    return bytes == result_bytes(&c->config.shape, header);
}

int caster_arrived(struct caster *caster, uint32_t server, uint32_t slot,
                   const struct header *header, uint32_t bytes,
                   struct caster_result *result)
{
    struct pending *p;
    const struct casting *r;

    if (!awaited(caster, server, slot, header, bytes))
        return -EBADMSG;
    p = &caster->pending[(size_t)server * caster->config.window + slot];
    r = &caster->rounds[p->round_slot];
    p->reading = true;
    *result = (struct caster_result){
        .server = server,
        .slot = slot,
        .round_slot = p->round_slot,
        .first = (uint64_t)p->chunk * r->call.chunk_coordinates,
        .header = *header,
    };
    if (header->status == STATUS_GONE) {
        result->next_round = header->call.round;
        result->next_sequence = header->mask;
    }
    return 0;
}

bool caster_wants(struct caster *caster, const struct caster_result *result)
{
    const struct pending *p =
        pending_at(caster, result->server, result->header.sequence);

    return !p->forgotten && !caster->rounds[result->round_slot].over;
}

/*
 * The server no longer keeps what we ask for, or a quorum called otherwise:
 * every round under way has ended, and `round` begins at `sequence`. Rounds of
 * ours that are not before it are drained from there, so that our numbers are
 * those of all. What is outstanding keeps its slot until it is answered.
 */
static void jump(struct caster *c, uint64_t round, uint64_t sequence)
{
    struct stream *s = &c->streams[0];

    if (round < c->first)
        return;
    c->astray = s->next > sequence ? s->next - sequence : 0;
    if (sequence > s->next)
        s->next = sequence;
    s->round = round;
    s->chunk = 0;
    for (uint64_t n = c->first; n < c->next; n++) {
        struct casting *r = round_at(c, n);

        if (!r->used || r->number != n)
            continue;
        end_round(r, STATUS_GONE);
        if (n < round)
            r->answered = r->chunks;
        else if (c->astray > 0)
            c->astray -= pass_over(c, r, c->astray);
        else
            r->answered = 0;
    }
    /* The rounds in between are never begun here; ended ones keep their places
     * until they were reported. */
    if (round > c->next)
        c->next = round;
    for (uint32_t w = 0; w < c->config.window; w++)
        c->pending[w].forgotten = true;
}

void caster_consumed(struct caster *caster, uint64_t now_ns,
                     const struct caster_result *result)
{
    struct stream *s = &caster->streams[result->server];
    struct pending *p =
        pending_at(caster, result->server, result->header.sequence);
    struct casting *r = &caster->rounds[result->round_slot];

    assert(p->outstanding && p->sequence == result->header.sequence);
    caster->changes++;
    p->outstanding = false;
    p->reading = false;
    s->outstanding--;
    s->progress_ns = now_ns;
    s->suspect_ns = 0;
    plan_deadline(caster, s);
    if (p->forgotten)
        return;
    if (result->header.status != STATUS_OK)
        end_round(r, (enum status)result->header.status);
    if (result->next_sequence != 0 && caster->config.servers == 1) {
        jump(caster, result->next_round, result->next_sequence);
        return;
    }
    if (++r->answered == r->chunks)
        end_round(r, STATUS_OK);
}

/* A server was silent past the deadline: nothing can be put any more. */
static void give_up(struct caster *c)
{
    c->dead = true;
    c->changes++;
    for (uint32_t s = 0; s < c->config.servers; s++)
        if (c->streams[s].suspect_ns != 0)
            mask_set(&c->missing, s);
    for (uint64_t n = c->first; n < c->next; n++) {
        struct casting *r = round_at(c, n);

        if (r->used && !r->over) {
            end_round(r, STATUS_LOST);
            r->timed_out = true;
        }
    }
}

void caster_tick(struct caster *caster, uint64_t now_ns)
{
    bool silent = false;

    if (caster->dead || now_ns < caster->deadline_ns)
        return;
    caster->deadline_ns = UINT64_MAX;
    for (uint32_t i = 0; i < caster->config.servers; i++) {
        struct stream *s = &caster->streams[i];

        if (s->outstanding == 0)
            continue;
        if (s->suspect_ns == 0) {
            if (now_ns - s->progress_ns >= caster->config.timeout_ns)
                s->suspect_ns = now_ns;
        } else if (now_ns - s->suspect_ns >= caster->config.margin_ns) {
            silent = true;
        }
        plan_deadline(caster, s);
    }
    if (silent)
        give_up(caster);
}

uint64_t caster_deadline(const struct caster *caster)
{
    return caster->dead ? UINT64_MAX : caster->deadline_ns;
}

/* Places are freed in order, when the end was told and all is answered. */
static void forget(struct caster *c)
{
    while (c->first < c->next) {
        struct casting *r = round_at(c, c->first);

        if (r->used && r->number == c->first) {
            if (!r->told || (r->answered < r->chunks && !c->dead))
                return;
            r->used = false;
        }
        c->first++;
    }
}

bool caster_ended(struct caster *caster, struct caster_end *end)
{
    if (caster->ended_at == caster->changes)
        return false;
    for (uint64_t n = caster->first; n < caster->next; n++) {
        struct casting *r = round_at(caster, n);

        if (!r->used || r->number != n || !r->over || r->told)
            continue;
        r->told = true;
        *end = (struct caster_end){
            .round = r->number,
            .round_slot = (uint32_t)(n % ROUNDS_MAX),
            .status = r->status,
            .timed_out = r->timed_out,
        };
        if (r->timed_out)
            end->missing = caster->missing;
        return true;
    }
    forget(caster);
    caster->ended_at = caster->changes;
    return false;
}
