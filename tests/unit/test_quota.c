/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas: a rate and a burst for each client, and a table that cannot be filled. */
#include "../testing.h"

#include "http/quota.h"

enum { CLIENT = 7 };

static struct quota *make(double rate, double burst)
{
    struct quota *quota = quota_new();
    assert_non_null(quota);
    quota_set(quota, rate, burst);
    return quota;
}

/* How many of `count` requests at that time are taken. */
static size_t take(struct quota *quota, uint64_t client, size_t count, double now)
{
    struct quota_state ignored;
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        taken += quota_take(quota, &ignored, client, now);
    }
    return taken;
}

static void a_burst_is_taken_and_no_more(void **state)
{
    struct quota *quota = make(2, 5);
    (void)state;
    assert_int_equal(take(quota, CLIENT, 20, 100), 5);
    assert_int_equal(take(quota, CLIENT, 20, 100.4), 0);
    assert_int_equal(take(quota, CLIENT, 20, 100.6), 1);
    assert_int_equal(take(quota, CLIENT, 20, 1000), 5);
    quota_free(quota);
}

static void the_rate_holds_for_ever(void **state)
{
    struct quota *quota = make(10, 1);
    size_t taken = 0;
    (void)state;
    for (int i = 0; i < 10000; i++) {
        taken += take(quota, CLIENT, 1, 1000 + i * 0.01);
    }
    assert_in_range(taken, 999, 1001);
    quota_free(quota);
}

static void what_is_left_is_told(void **state)
{
    struct quota *quota = make(2, 5);
    struct quota_state told;
    (void)state;
    assert_true(quota_take(quota, &told, CLIENT, 100));
    assert_true(told.limited);
    assert_int_equal(told.burst, 5);
    assert_int_equal(told.left, 4);
    assert_near(told.window, 2.5, 1e-9);
    assert_near(told.whole, 0.5, 1e-9);
    take(quota, CLIENT, 4, 100);
    assert_false(quota_take(quota, &told, CLIENT, 100));
    assert_int_equal(told.left, 0);
    assert_near(told.wait, 0.5, 1e-9);
    quota_free(quota);
}

static void without_a_rate_all_are_taken(void **state)
{
    struct quota *quota = make(0, 1);
    struct quota_state told;
    (void)state;
    assert_int_equal(take(quota, CLIENT, 1000, 1), 1000);
    quota_take(quota, &told, CLIENT, 1);
    assert_false(told.limited);
    quota_free(quota);
}

static void clients_do_not_share(void **state)
{
    struct quota *quota = make(1, 3);
    (void)state;
    for (uint64_t client = 1; client <= 1000; client++) {
        assert_int_equal(take(quota, client, 5, 50), 3);
    }
    assert_int_equal(take(quota, 1000, 5, 50), 0);
    quota_free(quota);
}

/* A flood of addresses takes places from those whose allowance is whole first. */
static void a_flood_of_clients_needs_no_more_memory(void **state)
{
    struct quota *quota = make(1, 3);
    (void)state;
    for (uint64_t client = 1; client <= 200000; client++) {
        assert_int_equal(take(quota, client, 1, 50 + (double)client * 1e-3), 1);
    }
    quota_free(quota);
}

static void addresses_of_one_network_are_one_client(void **state)
{
    (void)state;
    assert_int_equal(quota_client("2001:db8:1:2::1"), quota_client("2001:db8:1:2:3::9"));
    assert_int_not_equal(quota_client("2001:db8:1:2::1"),
                         quota_client("2001:db8:1:3::1"));
    assert_int_not_equal(quota_client("10.0.0.1"), quota_client("10.0.0.2"));
    assert_int_equal(quota_client("10.0.0.1"), quota_client("10.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_taken_and_no_more),
        cmocka_unit_test(the_rate_holds_for_ever),
        cmocka_unit_test(what_is_left_is_told),
        cmocka_unit_test(without_a_rate_all_are_taken),
        cmocka_unit_test(clients_do_not_share),
        cmocka_unit_test(a_flood_of_clients_needs_no_more_memory),
        cmocka_unit_test(addresses_of_one_network_are_one_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
