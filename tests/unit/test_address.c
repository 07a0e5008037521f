/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_address.c - addresses and key files as people write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "transport/bootstrap.h"
#include "transport/names.h"

static void what_is_parsed_reads_the_same(void **state)
{
    static const char *const good[] = {"127.0.0.1:29500", "[::1]:1",
                                       "[2001:db8::7]:65535", "10.1.2.3:0"};
    struct sockaddr_storage address;
    socklen_t bytes;
    char text[ADDRESS_TEXT_BYTES], why[WHY_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(bootstrap_parse(good[i], &address, &bytes, why), 0);
        bootstrap_format((const struct sockaddr *)&address, bytes, text);
        assert_string_equal(text, good[i]);
    }
    assert_int_equal(bootstrap_parse("localhost:80", &address, &bytes, why), 0);
}

static void what_cannot_be_parsed_is_explained(void **state)
{
    static const char *const bad[][2] = {
        {"", "it has no port"},
        {"host", "it has no port"},
        {"127.0.0.1:", "the port is to be a number"},
        {"127.0.0.1:65536", "the port is to be a number"},
        {"127.0.0.1:123456789", "the port is to be a number"},
        {"127.0.0.1:8x", "the port is to be a number"},
        {"127.0.0.1:-1", "the port is to be a number"},
        {":80", "the host before the colon is missing"},
        {"[]:80", "the host before the colon is missing"},
        {"::1:80", "write an IPv6 address as [address]:port"},
        {"[::1:80", "write an IPv6 address as [address]:port"},
        {"[", "it has no port"},
        {"[:1", "write an IPv6 address as [address]:port"},
        {"999.0.0.1.invalid:80", "cannot resolve the host"},
    };
    struct sockaddr_storage address;
    socklen_t bytes;
    char why[WHY_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(bootstrap_parse(bad[i][0], &address, &bytes, why),
                         -EINVAL);
        if (strstr(why, bad[i][1]) == NULL)
            fail_msg("'%s': %s", bad[i][0], why);
    }
}

static void unix_addresses_are_readable(void **state)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    socklen_t bytes = offsetof(struct sockaddr_un, sun_path) + 4;
    char text[ADDRESS_TEXT_BYTES];

    (void)state;
    memcpy(local.sun_path, "\0abc", 4);
    bootstrap_format((const struct sockaddr *)&local, bytes, text);
    assert_string_equal(text, "unix:@abc");
    memcpy(local.sun_path, "/a/b", 4);
    bootstrap_format((const struct sockaddr *)&local, bytes, text);
    assert_string_equal(text, "unix:/a/b");
}

static void expect_host(const struct sockaddr_storage *address, uint32_t host)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

    assert_int_equal(address->ss_family, AF_INET);
    assert_int_equal(ntohl(v4->sin_addr.s_addr), host);
    assert_int_equal(v4->sin_port, 0);
}

static void a_local_address_is_found(void **state)
{
    struct sockaddr_in towards = {
        .sin_family = AF_INET,
        .sin_port = htons(29500),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct sockaddr_storage address;
    socklen_t bytes;
    char why[WHY_BYTES];

    (void)state;
    assert_int_equal(
        bootstrap_local_address(NULL, (const struct sockaddr *)&towards,
                                sizeof(towards), &address, &bytes, why),
        0);
    expect_host(&address, INADDR_LOOPBACK);
    assert_int_equal(bytes, sizeof(struct sockaddr_in));
    assert_int_equal(
        bootstrap_local_address("lo", NULL, 0, &address, &bytes, why), 0);
    expect_host(&address, INADDR_LOOPBACK);
    assert_int_equal(
        bootstrap_local_address("127.0.0.1", NULL, 0, &address, &bytes, why),
        0);
    expect_host(&address, INADDR_LOOPBACK);
    assert_int_equal(
        bootstrap_local_address(NULL, NULL, 0, &address, &bytes, why), 0);
    assert_int_equal(address.ss_family, AF_INET);
}

static void a_missing_interface_lists_those_there(void **state)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_storage address;
    socklen_t bytes;
    char why[WHY_BYTES];

    (void)state;
    assert_int_equal(
        bootstrap_local_address("nonesuch0", NULL, 0, &address, &bytes, why),
        -ENODEV);
    assert_non_null(strstr(why, "'nonesuch0'"));
    assert_non_null(strstr(why, "lo 127.0.0.1"));
    assert_int_equal(
        bootstrap_local_address("192.0.2.77", NULL, 0, &address, &bytes, why),
        -ENODEV);
    assert_int_equal(
        bootstrap_local_address(NULL, (const struct sockaddr *)&local,
                                sizeof(local), &address, &bytes, why),
        -ENODEV);
    assert_non_null(strstr(why, "no route to"));
}

/* ---- Key files ---- */

static char path[64];

static int read_key(const void *bytes, size_t count, mode_t mode,
                    struct credentials *credentials, char why[WHY_BYTES])
{
    int file;
    int result;

    strcpy(path, "/tmp/ballot_test_key_XXXXXX");
    file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, count), count);
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
    why[0] = '\0';
    result = credentials_read(path, credentials, why);
    unlink(path);
    return result;
}

#define DIGITS_64                                                              \
    "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static void a_key_is_digits_or_bytes(void **state)
{
    struct credentials credentials;
    char why[WHY_BYTES];
    uint8_t key[KEY_BYTES];
    char raw[KEY_BYTES];

    (void)state;
    for (int i = 0; i < KEY_BYTES; i++) {
        key[i] = (uint8_t)i;
        raw[i] = (char)(0xff - i);
    }
    for (size_t line_end = 0; line_end <= 2; line_end++) {
        memset(&credentials, 0xff, sizeof(credentials));
        assert_int_equal(
            read_key(DIGITS_64 "\r\n", 64 + line_end, 0600, &credentials, why),
            0);
        assert_memory_equal(credentials.key, key, KEY_BYTES);
        assert_false(credentials.none);
    }
    assert_int_equal(read_key(raw, KEY_BYTES, 0400, &credentials, why), 0);
    assert_memory_equal(credentials.key, raw, KEY_BYTES);
}

static void a_bad_key_file_is_explained(void **state)
{
    static const char digits[] = DIGITS_64 "00";
    static const char zeros[KEY_BYTES];
    struct credentials credentials, untouched;
    char why[WHY_BYTES];

    (void)state;
    memset(&credentials, 0x5a, sizeof(credentials));
    untouched = credentials;
    for (size_t count = 0; count < 66; count++)
        if (count != 32 && count != 64)
            assert_int_equal(read_key(digits, count, 0600, &credentials, why),
                             -EINVAL);
    assert_non_null(strstr(why, "make one with"));
    assert_int_equal(read_key("x" DIGITS_64, 64, 0600, &credentials, why),
                     -EINVAL);
    assert_int_equal(read_key(zeros, 32, 0600, &credentials, why), -EINVAL);
    assert_int_equal(read_key(digits, 64, 0640, &credentials, why), -EACCES);
    assert_int_equal(read_key(digits, 64, 0604, &credentials, why), -EACCES);
    assert_non_null(strstr(why, "chmod 600"));
    assert_int_equal(credentials_read("/nonesuch", &credentials, why), -ENOENT);
    assert_int_equal(credentials_read("/tmp", &credentials, why), -EINVAL);
    assert_memory_equal(&credentials, &untouched, sizeof(credentials));
}

/* ---- Names ---- */

static void expect_names(const char *expected, const char *pattern,
                         size_t spare)
{
    bool named[64];
    char text[48] = "";
    uint32_t ranks = (uint32_t)strlen(pattern);

    for (uint32_t i = 0; i < ranks; i++)
        named[i] = pattern[i] == 'x';
    names_append_ranks(text, sizeof(text), spare, named, ranks);
    assert_string_equal(text, expected);
}

static void ranks_are_listed_in_runs(void **state)
{
    (void)state;
    expect_names("0 of 1 ranks", "x", 0);
    expect_names("0-3 of 4 ranks", "xxxx", 0);
    expect_names("2, 5-7 of 8 ranks", "..x..xxx", 0);
    expect_names("0, 2-3, 5 of 7 ranks", "x.xx.x.", 0);
    expect_names("0, 2, 4, 6, ... of 12 ranks", "x.x.x.x.x.x.", 12);
}

static void the_missing_are_ranks_and_servers(void **state)
{
    const bool missing[] = {false, true, false, false, true};
    char text[512] = "";

    (void)state;
    names_append_missing(text, sizeof(text), missing, 5, 2, 0);
    assert_non_null(strstr(text, "missing: 1 of 3 ranks, server 1;"));
    text[0] = '\0';
    names_append_missing(text, sizeof(text), missing + 2, 3, 2, 7);
    assert_non_null(strstr(text, "missing: no rank, server 1;"));
    assert_non_null(strstr(text, "7 connections did not prove the key"));
    text[0] = '\0';
    names_append_missing(text, sizeof(text), missing, 5, 0, 0);
    assert_non_null(strstr(text, "missing: 1, 4 of 5 ranks; did they"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_parsed_reads_the_same),
        cmocka_unit_test(what_cannot_be_parsed_is_explained),
        cmocka_unit_test(unix_addresses_are_readable),
        cmocka_unit_test(a_local_address_is_found),
        cmocka_unit_test(a_missing_interface_lists_those_there),
        cmocka_unit_test(a_key_is_digits_or_bytes),
        cmocka_unit_test(a_bad_key_file_is_explained),
        cmocka_unit_test(ranks_are_listed_in_runs),
        cmocka_unit_test(the_missing_are_ranks_and_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
