/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "learn/lease.h"

static void a_row_shown_to_one_analyst_is_not_for_another(void **state)
{
    struct leases leases = {0};
    (void)state;
    leases_take(&leases, "m", "t-1", "kim", 10);
    assert_false(leases_taken(&leases, "m", "t-1", "kim"));
    assert_true(leases_taken(&leases, "m", "t-1", "lee"));
    assert_true(leases_taken(&leases, "m", "t-1", NULL));
    assert_false(leases_taken(&leases, "m", "t-2", "lee"));
    assert_false(leases_taken(&leases, "n", "t-1", "lee"));
    leases_done(&leases);
}

static void a_lease_runs_out(void **state)
{
    struct leases leases = {0};
    (void)state;
    leases_take(&leases, "m", "t-1", "kim", 10);
    leases_take(&leases, "m", "t-2", "kim", 20);
    leases_expire(&leases, 15);
    assert_false(leases_taken(&leases, "m", "t-1", "lee"));
    assert_true(leases_taken(&leases, "m", "t-2", "lee"));
    leases_done(&leases);
}

static void taking_again_prolongs(void **state)
{
    struct leases leases = {0};
    (void)state;
    leases_take(&leases, "m", "t-1", "kim", 10);
    leases_take(&leases, "m", "t-1", "kim", 30);
    assert_int_equal(leases.count, 1);
    leases_expire(&leases, 15);
    assert_true(leases_taken(&leases, "m", "t-1", "lee"));
    leases_done(&leases);
}

static void thousands_of_rows_are_each_found(void **state)
{
    struct leases leases = {0};
    char sample[16];
    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(sample, sizeof sample, "s-%d", i);
        leases_take(&leases, "m", sample, "kim", 10);
    }
    for (int i = 0; i < 3000; i++) {
        snprintf(sample, sizeof sample, "s-%d", i);
        assert_true(leases_taken(&leases, "m", sample, "lee"));
    }
    leases_done(&leases);
}

static void beyond_the_most_nothing_is_leased(void **state)
{
    struct leases leases = {0};
    char sample[16];
    (void)state;
    for (int i = 0; i <= LEASES_MAX; i++) {
        snprintf(sample, sizeof sample, "s-%d", i);
        leases_take(&leases, "m", sample, "kim", 10);
    }
    assert_int_equal(leases.count, LEASES_MAX);
    leases_done(&leases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_shown_to_one_analyst_is_not_for_another),
        cmocka_unit_test(a_lease_runs_out),
        cmocka_unit_test(taking_again_prolongs),
        cmocka_unit_test(thousands_of_rows_are_each_found),
        cmocka_unit_test(beyond_the_most_nothing_is_leased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
