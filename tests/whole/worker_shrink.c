/* SPDX-License-Identifier: Apache-2.0 */
/* worker_shrink.c - ranks that go on when others have died. */
#include <errno.h>

#include "worker_membership.h"

/* ---- What is left of one ---- */

enum { GENERATIONS_MOST = 8 };

/* Communicators of which each is what is left of the one before. */
struct line {
    struct ballot_comm *comms[GENERATIONS_MOST];
    int count, us;
    struct expected left; /* in the last one */
};

static struct ballot_comm *last_of(const struct line *line)
{
    return line->comms[line->count - 1];
}

/* Until a call fails. */
static int call_until_lost(const struct line *line)
{
    uint64_t calls = 0, wrong = 0;
    int rc = 0;

    for (; rc == 0 && wrong == 0; calls++) {
        if (calls == 3)
            say("running generation=%d", line->count);
        rc = prove(last_of(line), line->us, &line->left, &wrong);
    }
    say("lost rc=%d async=%d wrong=%llu at=%llu text=%s", rc,
        ballot_comm_async_error(last_of(line)), (unsigned long long)wrong,
        (unsigned long long)now_ns(), ballot_last_error(last_of(line)));
    return rc;
}

/* A call that cannot be completed, for rank `excluded` does not make it. */
static void begin_stuck(struct ballot_comm *comm,
                        struct ballot_request **request)
{
    static int64_t sums[COUNT];

    need(ballot_all_reduce(sums, sums, COUNT, BALLOT_INT64, BALLOT_SUM, comm,
                           request),
         comm, "a call");
    sleep_ms(50);
}

/* Who is in it, of whom the first call tells; and whether all is right. */
static int look(struct line *line, uint64_t shrunk_us)
{
    struct ballot_comm *comm = last_of(line);
    uint64_t begin = now_ns(), wrong = 0, mask = 0;
    struct ballot_shrunk shrunk = {0};
    int rc = 0;

    line->left = (struct expected){.count = ballot_comm_size(comm)};
    rc = ballot_all_gather(&line->us, line->left.ranks, 1, BALLOT_INT32, comm,
                           NULL);
    begin = now_ns() - begin;
    for (int i = 0; rc == 0 && i < line->left.count; i++) {
        mask |= UINT64_C(1) << line->left.ranks[i];
        wrong += i > 0 && line->left.ranks[i] <= line->left.ranks[i - 1];
    }
    if (rc == 0)
        rc = prove(comm, line->us, &line->left, &wrong);
    need(ballot_comm_shrunk(comm, &shrunk), comm, "shrunk");
    say("shrunk rc=%d us=%llu first=%llu at=%llu every=%llx wrong=%llu "
        "before=%u newest=%llu oldest=%llu text=%s",
        rc, (unsigned long long)shrunk_us, (unsigned long long)begin / 1000,
        (unsigned long long)now_ns(), (unsigned long long)mask,
        (unsigned long long)wrong, shrunk.ranks_before,
        (unsigned long long)shrunk.newest, (unsigned long long)shrunk.oldest,
        ballot_last_error(comm));
    return rc;
}

static int shrink_once(struct line *line)
{
    int excluded[] = {(int)option("excluded", 0)};
    int count = option_text("excluded", NULL) != NULL;
    unsigned flags =
        option("abort", 0) != 0 ? BALLOT_SHRINK_ABORT : BALLOT_SHRINK_DEFAULT;
    struct ballot_comm *made = NULL;
    uint64_t begin = now_ns();
    int rc;

    if (line->us == excluded[0])
        count = 0;
    say("shrinking");
    rc = ballot_comm_shrink(last_of(line), excluded, count, flags, &made, NULL);
    begin = (now_ns() - begin) / 1000;
    if (rc < 0) {
        say("refused what=shrink rc=%d null=%d us=%llu text=%s", rc,
            made == NULL, (unsigned long long)begin,
            ballot_last_error(last_of(line)));
        return rc;
    }
    line->comms[line->count++] = made;
    return look(line, begin);
}

static void finalize_line(struct line *line)
{
    bool forwards = option("forwards", 0) != 0;

    for (int i = 0; i < line->count; i++) {
        struct ballot_comm **comm =
            &line->comms[forwards ? i : line->count - 1 - i];

        need(ballot_comm_finalize(comm), NULL, "finalize");
    }
    say("finalized");
}

/* What is left is what shall be, if that is known. */
static bool is_enough(const struct line *line)
{
    uint64_t mask = 0;

    for (int i = 0; i < line->left.count; i++)
        mask |= UINT64_C(1) << line->left.ranks[i];
    return option("left", mask) == mask;
}

/* Shrinks until all who are left can call each other. */
static int go_on(struct line *line)
{
    int rc = shrink_once(line);

    while (line->count < GENERATIONS_MOST &&
           (rc == 0 ? !is_enough(line) : rc == -ENOTCONN)) {
        if (rc == 0)
            call_until_lost(line);
        rc = shrink_once(line);
    }
    return rc;
}

/* Votes until somebody is lost, or, with excluded=R, not at all; then goes on
 * with those who are left. Rank R comes `late` ms after all others. */
int survive(void)
{
    struct line line = {.comms = {join(NULL)}, .count = 1};
    bool excludes = option_text("excluded", NULL) != NULL;
    struct ballot_request *request = NULL;

    line.us = ballot_comm_rank(line.comms[0]);
    line.left = all_of(line.comms[0]);
    if (!excludes)
        call_until_lost(&line);
    else if (line.us == (int)option("excluded", 0))
        sleep_ms(option("late", 400));
    else if (option("abort", 0) != 0)
        begin_stuck(last_of(&line), &request);
    if (excludes)
        shrink_once(&line);
    else
        go_on(&line);
    if (request != NULL)
        say("ended rc=%d", ballot_wait(&request));
    say("async rc=%d", ballot_comm_async_error(line.comms[0]));
    finalize_line(&line);
    return 0;
}
