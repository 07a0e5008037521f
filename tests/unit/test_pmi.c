/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pmi.c - ranks beside a process manager that speaks PMI-1, or should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collective/comm.h"
#include "collective/pmi.h"

enum { COUNT = 400, LINES = 8, LINE_ROOM = 4096 };

/* A manager answers its lines in turn, whatever is asked; after the last one it
 * hangs up, or with `stays` says nothing more. */
struct manager {
    const char *answers[LINES];
    bool stays;
    int descriptor;
    char asked[LINES][LINE_ROOM];
    pthread_t thread;
};

static bool read_line(int descriptor, char line[LINE_ROOM])
{
    size_t used = 0;

    while (used < LINE_ROOM - 1 && read(descriptor, line + used, 1) == 1)
        if (line[used++] == '\n') {
            line[used - 1] = '\0';
            return true;
        }
    return false;
}

static void *manage(void *context)
{
    struct manager *m = context;
    char more[LINE_ROOM];
    int i = 0;

    for (; i < LINES && m->answers[i] != NULL; i++) {
        if (!read_line(m->descriptor, m->asked[i]))
            break;
        if (send(m->descriptor, m->answers[i], strlen(m->answers[i]),
                 MSG_NOSIGNAL) < 0)
            break;
    }
    if (m->stays)
        while (read_line(m->descriptor, more))
            continue;
    shutdown(m->descriptor, SHUT_RDWR);
    return NULL;
}

static int share(struct manager *m, void *bytes, size_t count, uint32_t rank,
                 uint64_t timeout_ms, char *why)
{
    int pair[2], rc;
    char text[16];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(text, sizeof(text), "%d", pair[0]);
    setenv("PMI_FD", text, 1);
    m->descriptor = pair[1];
    assert_int_equal(pthread_create(&m->thread, NULL, manage, m), 0);
    why[0] = '\0';
    rc = pmi_share(bytes, count, rank, clock_now_ns() + timeout_ms * 1000000,
                   why);
    close(pair[0]);
    pthread_join(m->thread, NULL);
    close(pair[1]);
    return rc;
}

#define BEGIN                                                                  \
    "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n",              \
        "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024\n",           \
        "cmd=my_kvsname kvsname=kvs_7\n"

static void fill(uint8_t bytes[COUNT], char digits[2 * COUNT + 1])
{
    for (int i = 0; i < COUNT; i++) {
        bytes[i] = (uint8_t)(7 * i + i / 256);
        snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void rank_0_s_word_arrives(void **state)
{
    uint8_t bytes[COUNT], told[COUNT] = {0};
    char digits[2 * COUNT + 1], got[LINE_ROOM], put[LINE_ROOM];
    char why[ERROR_BYTES];
    struct manager first = {
        .answers = {BEGIN, "cmd=put_result rc=0\n", "cmd=barrier_out\n", got}};
    struct manager second = {.answers = {BEGIN, "cmd=barrier_out rc=0\n", got}};

    (void)state;
    fill(bytes, digits);
    snprintf(got, sizeof(got), "cmd=get_result rc=0 msg=success value=%s\n",
             digits);
    snprintf(put, sizeof(put), "cmd=put kvsname=kvs_7 key=ballot value=%s",
             digits);
    assert_int_equal(share(&first, bytes, COUNT, 0, 10000, why), 0);
    assert_string_equal(first.asked[0],
                        "cmd=init pmi_version=1 pmi_subversion=1");
    assert_string_equal(first.asked[3], put);
    assert_string_equal(first.asked[4], "cmd=barrier_in");
    assert_int_equal(share(&second, told, COUNT, 1, 10000, why), 0);
    assert_memory_equal(told, bytes, COUNT);
    assert_string_equal(second.asked[3], "cmd=barrier_in");
    assert_string_equal(second.asked[4], "cmd=get kvsname=kvs_7 key=ballot");
}

static void what_is_no_answer_is_refused(void **state)
{
    static const struct {
        const char *answers[LINES];
        int error;
    } wrong[] = {
        {{NULL}, -ECONNRESET},
        {{"cmd=response_to_init rc=1\n"}, -EPROTO},
        {{"cmd=response_to_init rc=0\n"}, -ECONNRESET},
        {{"HTTP/1.1 400 Bad Request\n"}, -EPROTO},
        {{"\n"}, -EPROTO},
        {{"rc=0 cmd=maxes\n"}, -EPROTO},
        {{"cmd=response_to_init rc=0\n", "cmd=maxes vallen_max=100\n"},
         -EPROTO},
        {{"cmd=response_to_init rc=0\n", "cmd=maxes\n"}, -EPROTO},
        {{"cmd=response_to_init rc=0\n", "cmd=maxes vallen_max=1024\n",
          "cmd=my_kvsname\n"},
         -EPROTO},
        {{BEGIN, "cmd=barrier_out rc=0\n", "cmd=get_result rc=-1\n"}, -EPROTO},
        {{BEGIN, "cmd=barrier_out rc=0\n", "cmd=get_result rc=0\n"}, -EPROTO},
        {{BEGIN, "cmd=barrier_out\n", "cmd=get_result value=00\n"}, -EPROTO},
        {{BEGIN, "cmd=barrier_out\n", "cmd=get_result value=0g\n"}, -EPROTO},
        {{BEGIN, "cmd=barrier_out\n", "cmd=get_result value=000102\n"},
         -EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct manager m = {.answers = {NULL}};
        char why[ERROR_BYTES];
        uint8_t bytes[2];
        int rc;

        memcpy(m.answers, wrong[i].answers, sizeof(m.answers));
        rc = share(&m, bytes, sizeof(bytes), 1, 10000, why);
        if (rc != wrong[i].error || strstr(why, "BALLOT_ROOT") == NULL)
            fail_msg("case %zu: %d, '%s'", i, rc, why);
    }
}

static void a_line_without_an_end_is_refused(void **state)
{
    char line[LINE_ROOM], why[ERROR_BYTES];
    struct manager m = {.answers = {line}, .stays = true};
    uint8_t bytes[2];

    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    assert_int_equal(share(&m, bytes, sizeof(bytes), 1, 10000, why), -EPROTO);
}

static void a_silent_manager_is_given_up(void **state)
{
    struct manager m = {.answers = {BEGIN}, .stays = true};
    char why[ERROR_BYTES];
    uint64_t begin_ns = clock_now_ns();
    uint8_t bytes[2];

    (void)state;
    assert_int_equal(share(&m, bytes, sizeof(bytes), 1, 200, why), -ETIMEDOUT);
    assert_non_null(strstr(why, "have all ranks come"));
    assert_in_range((clock_now_ns() - begin_ns) / 1000000, 199, 5000);
}

static void a_descriptor_that_is_closed_is_named(void **state)
{
    static const char *const wrong[] = {"",    "x",   "-1",
                                        "999", "1 2", "99999999999999999999"};
    char why[ERROR_BYTES];
    uint8_t byte;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        setenv("PMI_FD", wrong[i], 1);
        assert_int_equal(pmi_share(&byte, 1, 0, UINT64_MAX, why), -ENOENT);
        assert_non_null(strstr(why, "is no open socket"));
    }
    unsetenv("PMI_FD");
    assert_int_equal(pmi_share(&byte, 1, 0, UINT64_MAX, why), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rank_0_s_word_arrives),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(a_line_without_an_end_is_refused),
        cmocka_unit_test(a_silent_manager_is_given_up),
        cmocka_unit_test(a_descriptor_that_is_closed_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
