/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "learn/shadow.h"

static struct shadow shadow_of(const uint64_t *hashes, size_t normals, size_t anomalies)
{
    struct shadow shadow;
    assert_int_equal(shadow_new(&shadow, normals + anomalies, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < normals + anomalies; i++) {
        shadow_add(&shadow, hashes[i], i >= normals);
    }
    shadow_sort(&shadow);
    return shadow;
}

static void a_normal_takes_one_row_of_those_that_equal_it(void **state)
{
    (void)state;
    struct shadow shadow = shadow_of((const uint64_t[]){9, 4, 9}, 3, 0);
    assert_true(shadow_takes(&shadow, 9) && shadow_takes(&shadow, 9));
    assert_false(shadow_takes(&shadow, 9)); /* two labels, two rows */
    assert_true(shadow_takes(&shadow, 4));
    assert_false(shadow_takes(&shadow, 4) || shadow_takes(&shadow, 5));
    assert_false(shadow_is_anomaly(&shadow, 9));
    shadow_done(&shadow);
}

static void an_anomaly_takes_every_row_that_equals_it(void **state)
{
    (void)state;
    struct shadow shadow = shadow_of((const uint64_t[]){1, 8, 3, 1}, 1, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(shadow_takes(&shadow, 8) && shadow_takes(&shadow, 1));
    }
    assert_true(shadow_is_anomaly(&shadow, 3) && !shadow_is_anomaly(&shadow, 2));
    shadow_done(&shadow);
}

static void without_labels_nothing_is_taken(void **state)
{
    (void)state;
    struct shadow shadow = shadow_of(NULL, 0, 0);
    assert_false(shadow_takes(&shadow, 0) || shadow_is_anomaly(&shadow, 0));
    shadow_done(&shadow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_normal_takes_one_row_of_those_that_equal_it),
        cmocka_unit_test(an_anomaly_takes_every_row_that_equals_it),
        cmocka_unit_test(without_labels_nothing_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
