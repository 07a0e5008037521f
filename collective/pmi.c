/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pmi.c - rank 0's word to all, through a process manager that speaks PMI-1.
 *
 * Lines of "cmd=name key=value ..." go to the manager, and each has one line as
 * its answer (the wire protocol of MPICH's simple PMI client, as its hydra and
 * Slurm's mpi/pmi2 serve it). The manager is not trusted more than a peer: an
 * answer is bounded, and is checked before it is used.
 */
#include "pmi.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "comm.h"
#include "digits.h"

enum {
    LINE_BYTES_MAX = 2048,
    NAME_BYTES_MAX = 256,
    VALUE_BYTES = 2 * PMI_SHARE_BYTES_MAX + 1,
    GOODBYE_MS = 1000,
    MS_NS = 1000000,
};

/* What we send our lines to. */
struct manager {
    int descriptor;
    uint64_t deadline_ns;
    char line[LINE_BYTES_MAX]; /* the answer */
    char *why;
};

/* ---- Lines ---- */

/* Until the descriptor is ready. */
static int await(const struct manager *m, short events)
{
    for (;;) {
        struct pollfd polled = {.fd = m->descriptor, .events = events};
        uint64_t now_ns = clock_now_ns();
        uint64_t left_ms;

        if (now_ns >= m->deadline_ns)
            return -ETIMEDOUT;
        left_ms = (m->deadline_ns - now_ns) / MS_NS + 1;
        if (left_ms > 60000)
            left_ms = 60000;
        if (poll(&polled, 1, (int)left_ms) > 0)
            return 0;
    }
}

static int send_line(const struct manager *m, const char *line)
{
    size_t bytes = strlen(line);

    while (bytes > 0) {
        ssize_t sent =
            send(m->descriptor, line, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent > 0) {
            line += sent;
            bytes -= (size_t)sent;
        } else if (errno == EAGAIN) {
            int rc = await(m, POLLOUT);

            if (rc < 0)
                return rc;
        } else if (errno != EINTR) {
            return errno == EPIPE ? -ECONNRESET : -errno;
        }
    }
    return 0;
}

/* One line and no byte of the next. */
static int receive_line(struct manager *m)
{
    size_t used = 0;

    while (used < sizeof(m->line) - 1) {
        ssize_t got = recv(m->descriptor, m->line + used, 1, MSG_DONTWAIT);

        if (got == 0)
            return -ECONNRESET;
        if (got < 0 && errno == EAGAIN) {
            int rc = await(m, POLLIN);

            if (rc < 0)
                return rc;
        } else if (got < 0 && errno != EINTR) {
            return -errno;
        } else if (got > 0 && m->line[used++] == '\n') {
            m->line[used - 1] = '\0';
            return 0;
        }
    }
    return -EPROTO;
}

/* The value of a key of the answer, in value[bytes]; false: it is not there,
 * or longer. */
static bool find(const struct manager *m, const char *key, char *value,
                 size_t bytes)
{
    size_t key_bytes = strlen(key);

    for (const char *at = m->line; *at != '\0';) {
        size_t word = strcspn(at, " ");

        if (word > key_bytes && strncmp(at, key, key_bytes) == 0 &&
            at[key_bytes] == '=') {
            size_t length = word - key_bytes - 1;

            if (length >= bytes)
                return false;
            memcpy(value, at + key_bytes + 1, length);
            value[length] = '\0';
            return true;
        }
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

/* ---- Questions ---- */

static int explain(const struct manager *m, int rc, const char *question)
{
    if (rc == -ETIMEDOUT)
        snprintf(m->why, ERROR_BYTES,
                 "the process manager (PMI) did not answer '%.40s' in time: "
                 "have all ranks come that it has started?",
                 question);
    else if (rc == -EPROTO)
        snprintf(m->why, ERROR_BYTES,
                 "the process manager (PMI) answers '%.40s' with '%.80s': set "
                 "BALLOT_ROOT=host:port, a port of rank 0's host, to go "
                 "without it",
                 question, m->line);
    else
        snprintf(m->why, ERROR_BYTES,
                 "the process manager (PMI) at the descriptor PMI_FD: %s; set "
                 "BALLOT_ROOT=host:port, a port of rank 0's host, to go "
                 "without it",
                 strerrordesc_np(-rc));
    return rc;
}

/* Sends a line and takes its answer, which must be `answer` and no failure. */
static int ask(struct manager *m, const char *question, const char *answer)
{
    char name[NAME_BYTES_MAX], status[NAME_BYTES_MAX];
    int rc;

    m->line[0] = '\0';
    rc = send_line(m, question);
    if (rc == 0)
        rc = receive_line(m);
    m->line[sizeof(m->line) - 1] = '\0';
    if (rc == 0 &&
        (!find(m, "cmd", name, sizeof(name)) || strcmp(name, answer) != 0 ||
         (find(m, "rc", status, sizeof(status)) && strcmp(status, "0") != 0)))
        rc = -EPROTO;
    return rc < 0 ? explain(m, rc, question) : 0;
}

/* What the manager calls us, and whether it carries values that long. */
static int open_session(struct manager *m, char space[NAME_BYTES_MAX])
{
    char most[NAME_BYTES_MAX];
    int rc =
        ask(m, "cmd=init pmi_version=1 pmi_subversion=1\n", "response_to_init");

    if (rc == 0)
        rc = ask(m, "cmd=get_maxes\n", "maxes");
    if (rc == 0 && (!find(m, "vallen_max", most, sizeof(most)) ||
                    strtol(most, NULL, 10) < VALUE_BYTES))
        rc = explain(m, -EPROTO, "cmd=get_maxes");
    if (rc == 0)
        rc = ask(m, "cmd=get_my_kvsname\n", "my_kvsname");
    if (rc == 0 && !find(m, "kvsname", space, NAME_BYTES_MAX))
        rc = explain(m, -EPROTO, "cmd=get_my_kvsname");
    return rc;
}

static int share(struct manager *m, void *bytes, size_t count, uint32_t rank)
{
    char space[NAME_BYTES_MAX], value[VALUE_BYTES], line[LINE_BYTES_MAX];
    int rc = open_session(m, space);

    if (rc == 0 && rank == 0) {
        digits_write(value, bytes, count);
        snprintf(line, sizeof(line), "cmd=put kvsname=%s key=ballot value=%s\n",
                 space, value);
        rc = ask(m, line, "put_result");
        explicit_bzero(line, sizeof(line));
    }
    if (rc == 0)
        rc = ask(m, "cmd=barrier_in\n", "barrier_out");
    if (rc == 0) {
        snprintf(line, sizeof(line), "cmd=get kvsname=%s key=ballot\n", space);
        rc = ask(m, line, "get_result");
    }
    if (rc == 0 && (!find(m, "value", value, sizeof(value)) ||
                    !digits_read(bytes, count, value)))
        rc = explain(m, -EPROTO, "cmd=get");
    explicit_bzero(value, sizeof(value));
    explicit_bzero(m->line, sizeof(m->line));
    return rc;
}

/* ---- The end ---- */

/* Whom to say goodbye to, if that is still the same. */
static struct {
    int descriptor;
    pid_t process;
    struct stat identity;
} session;

/* A process that asked and ends without this is taken for one that failed. Not
 * our descriptor any more: MPI has closed it, and said goodbye itself. */
static void leave(void)
{
    struct stat now;
    char why[ERROR_BYTES];
    struct manager m = {
        .descriptor = session.descriptor,
        .deadline_ns = clock_now_ns() + (uint64_t)GOODBYE_MS * MS_NS,
        .why = why,
    };

    if (session.process == getpid() && fstat(m.descriptor, &now) == 0 &&
        now.st_ino == session.identity.st_ino &&
        now.st_dev == session.identity.st_dev)
        ask(&m, "cmd=finalize\n", "finalize_ack");
}

/* The descriptor that the manager gave us, or -ENOENT. */
static int find_descriptor(char *why)
{
    const char *text = getenv("PMI_FD");
    char *end = NULL;
    long number = text == NULL || *text == '\0' ? -1 : strtol(text, &end, 10);

    if (number >= 0 && number <= 1 << 20 && *end == '\0' &&
        fstat((int)number, &session.identity) == 0 &&
        S_ISSOCK(session.identity.st_mode))
        return (int)number;
    snprintf(why, ERROR_BYTES,
             "PMI_FD=%.40s is no open socket: a program between mpiexec and "
             "this one has closed it; set BALLOT_ROOT=host:port, a port of "
             "rank 0's host, on all ranks",
             text == NULL ? "" : text);
    return -ENOENT;
}

int pmi_share(void *bytes, size_t count, uint32_t rank, uint64_t deadline_ns,
              char *why)
{
    struct manager m = {.deadline_ns = deadline_ns, .why = why};
    int rc = find_descriptor(why);

    if (count > PMI_SHARE_BYTES_MAX)
        return -EINVAL;
    if (rc < 0)
        return rc;
    m.descriptor = rc;
    session.descriptor = rc;
    if (session.process == 0)
        atexit(leave);
    session.process = getpid();
    return share(&m, bytes, count, rank);
}
