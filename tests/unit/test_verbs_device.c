/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_device.c - which device, port and GID is chosen, and why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fake_verbs.h"
#include "transport/verbs_device.h"

static const struct verbs_settings any = {.gid_index = -1};

static struct sockaddr_storage ip_of(const char *text)
{
    struct sockaddr_storage ip = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ip;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ip;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        ip.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        ip.ss_family = AF_INET6;
    return ip;
}

/* Opens what is best and says "fake0:1 gid 1"; then all is closed again. */
static const char *choice(const struct verbs_settings *settings,
                          const char *near)
{
    static char text[128];
    struct sockaddr_storage ip = ip_of(near == NULL ? "" : near);
    struct verbs_device device = {0};
    char why[WHY_BYTES] = "";

    assert_int_equal(
        verbs_device_open(&device, settings,
                          near == NULL ? NULL : (struct sockaddr *)&ip, why),
        0);
    assert_string_equal(why, "");
    assert_int_not_equal(fcntl(device.context->async_fd, F_GETFL) & O_NONBLOCK,
                         0);
    snprintf(text, sizeof(text), "%s:%d gid %d", device.context->device->name,
             device.port, device.gid_index);
    verbs_device_close(&device);
    assert_int_equal(fake_alive(), 0);
    verbs_device_close(&device);
    return text;
}

/* Nothing can be used, and why not says all of `says`. */
static void check_refusal(const struct verbs_settings *settings,
                          const char *const says[])
{
    struct verbs_device device = {0};
    char why[WHY_BYTES] = "";

    assert_int_equal(verbs_device_open(&device, settings, NULL, why), -ENODEV);
    assert_null(device.context);
    for (; *says != NULL; says++)
        if (strstr(why, *says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", why, *says);
    assert_int_equal(fake_alive(), 0);
}

#define CHECK_REFUSAL(settings, ...)                                           \
    check_refusal(settings, (const char *const[]){__VA_ARGS__, NULL})

/* ---- What is best ---- */

static void roce_v2_over_ipv4_comes_before_all(void **state)
{
    (void)state;
    fake_reset(3);
    fake_devices[0].gids_count = 0;
    fake_add_gid(&fake_devices[0], 1, "fe80::1", IBV_GID_TYPE_ROCE_V2);
    fake_add_gid(&fake_devices[0], 1, "2001:db8::1", IBV_GID_TYPE_ROCE_V2);
    fake_make_infiniband(&fake_devices[1], "ib0");
    assert_string_equal(choice(&any, NULL), "fake2:1 gid 1");
    fake_devices_count = 2;
    assert_string_equal(choice(&any, NULL), "fake1:1 gid 0");
    fake_devices_count = 1;
    assert_string_equal(choice(&any, NULL), "fake0:1 gid 1");
    fake_devices[0].gids_count = 1;
    assert_string_equal(choice(&any, NULL), "fake0:1 gid 0");
}

static void of_equals_the_first_is_taken(void **state)
{
    (void)state;
    fake_reset(3);
    assert_string_equal(choice(&any, NULL), "fake0:1 gid 1");
    fake_devices[0].limits.phys_port_cnt = 2;
    fake_devices[0].ports[0].state = IBV_PORT_DOWN;
    fake_add_gid(&fake_devices[0], 2, "10.9.1.1", IBV_GID_TYPE_ROCE_V2);
    assert_string_equal(choice(&any, NULL), "fake0:2 gid 2");
}

static void the_port_with_our_own_ip_comes_first(void **state)
{
    (void)state;
    fake_reset(3);
    fake_add_gid(&fake_devices[2], 1, "2001:db8::3", IBV_GID_TYPE_ROCE_V2);
    assert_string_equal(choice(&any, "10.9.0.2"), "fake1:1 gid 1");
    assert_string_equal(choice(&any, "2001:db8::3"), "fake2:1 gid 2");
    assert_string_equal(choice(&any, "2001:db8::4"), "fake0:1 gid 1");
    assert_string_equal(choice(&any, "192.0.2.1"), "fake0:1 gid 1");
}

static void infiniband_has_the_ip_of_the_interface_over_it(void **state)
{
    struct verbs_device device = {0};
    const struct sockaddr *ip = (const struct sockaddr *)&device.address;
    char why[WHY_BYTES];

    (void)state;
    fake_reset(1);
    fake_make_infiniband(&fake_devices[0], "ib0");
    for (int v4 = 0; v4 < 2; v4++) {
        fake_ipoib_has_v4 = v4 == 1;
        assert_int_equal(verbs_device_open(&device, &any, NULL, why), 0);
        assert_false(device.roce);
        assert_int_equal(ip->sa_family, v4 ? AF_INET : AF_INET6);
        assert_int_equal(device.address_bytes,
                         v4 ? sizeof(struct sockaddr_in)
                            : sizeof(struct sockaddr_in6));
        verbs_device_close(&device);
    }
    assert_int_equal(fake_alive(), 0);
}

static void a_link_local_address_knows_its_interface(void **state)
{
    struct verbs_device device = {0};
    char why[WHY_BYTES];

    (void)state;
    fake_reset(1);
    fake_devices[0].gids_count = 0;
    fake_add_gid(&fake_devices[0], 1, "fe80::1", IBV_GID_TYPE_ROCE_V2);
    assert_int_equal(verbs_device_open(&device, &any, NULL, why), 0);
    assert_int_equal(((struct sockaddr_in6 *)&device.address)->sin6_scope_id,
                     7);
    verbs_device_close(&device);
}

static void the_node_of_the_device_is_known_where_the_system_tells(void **state)
{
    static const struct {
        const char *text;
        int node;
    } cases[] = {{"0\n", 0}, {"-1\n", -1}, {"none\n", -1}, {NULL, -1}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verbs_device device = {0};
        char why[WHY_BYTES];

        fake_reset(1);
        fake_devices[0].node = cases[i].text;
        assert_int_equal(verbs_device_open(&device, &any, NULL, why), 0);
        assert_int_equal(device.node, cases[i].node);
        verbs_device_close(&device);
    }
}

/* ---- What the user chooses ---- */

static void the_named_device_and_port_is_taken(void **state)
{
    struct verbs_settings settings = any;

    (void)state;
    fake_reset(3);
    settings.devices = "=fake1";
    assert_string_equal(choice(&settings, NULL), "fake1:1 gid 1");
    settings.devices = "^fake0,fake1";
    assert_string_equal(choice(&settings, NULL), "fake2:1 gid 1");
    settings.devices = "fake2:2";
    CHECK_REFUSAL(&settings, "fake0 port 1 is excluded by BALLOT_IB_HCA",
                  "fake2 port 1 is excluded by BALLOT_IB_HCA");
}

static void the_gid_index_can_be_forced(void **state)
{
    struct verbs_settings settings = {.gid_index = 2};

    (void)state;
    fake_reset(2);
    fake_add_gid(&fake_devices[1], 1, "2001:db8::1", IBV_GID_TYPE_ROCE_V2);
    assert_string_equal(choice(&settings, NULL), "fake1:1 gid 2");
    /* RoCE v1 is not routed, and not spoken here. */
    settings.gid_index = 0;
    CHECK_REFUSAL(&settings, "fake0 port 1 has no usable GID",
                  "BALLOT_IB_GID_INDEX");
}

/* ---- What cannot be used ---- */

static void without_a_device_it_says_how_to_get_one(void **state)
{
    (void)state;
    fake_reset(0);
    CHECK_REFUSAL(&any, "there is none", "rdma link add");
    fake_reset(1);
    fake_fail(FAKE_GET_DEVICE_LIST, 1, 1, ENOSYS);
    CHECK_REFUSAL(&any, "there is none", "ballot-doctor");
    assert_int_equal(fake_stop_failing(), 1);
}

static void a_device_that_cannot_be_opened_or_asked_is_named(void **state)
{
    (void)state;
    fake_reset(1);
    fake_fail(FAKE_OPEN_DEVICE, 1, 1, EACCES);
    CHECK_REFUSAL(&any, "fake0", "cannot be opened", "/dev/infiniband/uverbs");
    fake_fail(FAKE_QUERY_DEVICE, 1, 1, EIO);
    CHECK_REFUSAL(&any, "fake0", "cannot be asked");
    fake_fail(FAKE_QUERY_PORT, 1, 1, EIO);
    CHECK_REFUSAL(&any, "fake0 port 1 is not active", "ip link set");
    fake_fail(FAKE_QUERY_GID_TABLE, 1, 1, EOPNOTSUPP);
    CHECK_REFUSAL(&any, "fake0 port 1 has no usable GID");
    /* The others are looked at all the same. */
    fake_reset(2);
    fake_fail(FAKE_OPEN_DEVICE, 1, 1, EACCES);
    assert_string_equal(choice(&any, NULL), "fake1:1 gid 1");
}

static void a_port_that_is_down_is_named(void **state)
{
    (void)state;
    fake_reset(2);
    fake_devices[0].ports[0].state = IBV_PORT_DOWN;
    fake_devices[1].ports[0].state = IBV_PORT_INIT;
    CHECK_REFUSAL(&any, "fake0 port 1 is not active",
                  "fake1 port 1 is not active", "ip link set IF up");
}

static void a_gid_on_the_loopback_interface_is_refused(void **state)
{
    static const char *const ips[] = {"127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
        fake_reset(1);
        fake_devices[0].gids_count = 0;
        fake_add_gid(&fake_devices[0], 1, ips[i], IBV_GID_TYPE_ROCE_V2);
        CHECK_REFUSAL(&any, "fake0 port 1 is on the loopback interface",
                      "dummy interface");
    }
}

static void infiniband_without_ip_is_refused(void **state)
{
    (void)state;
    fake_reset(1);
    fake_make_infiniband(&fake_devices[0], NULL);
    CHECK_REFUSAL(&any, "fake0 port 1 has no IP", "modprobe ib_ipoib");
    fake_make_infiniband(&fake_devices[0], "ib1");
    CHECK_REFUSAL(&any, "has no IP");
    fake_make_infiniband(&fake_devices[0], "ib0");
    fake_ipoib_has_v4 = fake_ipoib_has_v6 = false;
    CHECK_REFUSAL(&any, "has no IP");
    fake_ipoib_has_v4 = true;
    fake_fail(FAKE_GETIFADDRS, 1, 1, ENOMEM);
    CHECK_REFUSAL(&any, "has no IP");
}

static void events_that_would_block_are_refused(void **state)
{
    (void)state;
    for (uint32_t nth = 1; nth <= 2; nth++) {
        struct verbs_device device = {0};
        char why[WHY_BYTES] = "";

        fake_reset(1);
        fake_fail(FAKE_FCNTL, nth, 1, EPERM);
        assert_int_equal(verbs_device_open(&device, &any, NULL, why), -EPERM);
        assert_non_null(strstr(why, "events of fake0 cannot be read"));
        assert_int_equal(fake_alive(), 0);
    }
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(roce_v2_over_ipv4_comes_before_all),
    cmocka_unit_test(of_equals_the_first_is_taken),
    cmocka_unit_test(the_port_with_our_own_ip_comes_first),
    cmocka_unit_test(infiniband_has_the_ip_of_the_interface_over_it),
    cmocka_unit_test(a_link_local_address_knows_its_interface),
    cmocka_unit_test(the_node_of_the_device_is_known_where_the_system_tells),
    cmocka_unit_test(the_named_device_and_port_is_taken),
    cmocka_unit_test(the_gid_index_can_be_forced),
    cmocka_unit_test(without_a_device_it_says_how_to_get_one),
    cmocka_unit_test(a_device_that_cannot_be_opened_or_asked_is_named),
    cmocka_unit_test(a_port_that_is_down_is_named),
    cmocka_unit_test(a_gid_on_the_loopback_interface_is_refused),
    cmocka_unit_test(infiniband_without_ip_is_refused),
    cmocka_unit_test(events_that_would_block_are_refused),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
