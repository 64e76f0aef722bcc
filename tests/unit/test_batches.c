/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "nn/batches.h"

static struct batches new_batches(const signed char *labels, size_t count, size_t batch,
                                  size_t anomaly_batch)
{
    struct batches batches;
    assert_int_equal(
        batches_init(&batches, labels, NULL, count, batch, anomaly_batch, NULL),
        DEEPSAD_OK);
    return batches;
}

static void a_pass_takes_each_row_at_most_once_and_drops_the_rest(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct batches batches = new_batches(NULL, 23, 5, 0);
    assert_int_equal(batches_per_pass(&batches), 4);
    size_t drawn[23] = {0};
    for (size_t pass = 1; pass <= 50; pass++) {
        for (size_t i = 0; i < 20; i++) {
            if (i % 5 == 0) {
                batches_next(&batches, &rng);
            }
            drawn[batches.rows[i % 5]]++;
        }
        for (size_t row = 0; row < 23; row++) {
            assert_true(drawn[row] <= pass);
        }
    }
    for (size_t row = 0; row < 23; row++) { /* another rest is dropped each time */
        assert_in_range(drawn[row], 30, 50);
    }
    batches_done(&batches);
}

static void fewer_rows_than_a_batch_are_the_batch(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    const size_t index[3] = {4, 7, 9};
    struct batches batches;
    assert_int_equal(batches_init(&batches, NULL, index, 3, 128, 0, NULL), DEEPSAD_OK);
    assert_int_equal(batches_rows(&batches), 3);
    assert_int_equal(batches_per_pass(&batches), 1);
    for (size_t i = 0; i < 10; i++) {
        batches_next(&batches, &rng);
        assert_int_equal(batches.rows[0] + batches.rows[1] + batches.rows[2], 20);
    }
    batches_done(&batches);
}

static void balanced_batches_hold_anomalies_behind_the_others(void **state)
{
    (void)state;
    static const signed char labels[10] = {0, -1, 1, 0, -1, 0, 0, 1, -1, 0};
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct batches batches = new_batches(labels, 10, 3, 4);
    assert_int_equal(batches_rows(&batches), 7);
    assert_int_equal(batches_per_pass(&batches), 2);
    size_t seen = 0;
    for (size_t k = 0; k < 50; k++) {
        batches_next(&batches, &rng);
        for (size_t i = 0; i < 7; i++) {
            assert_int_equal(labels[batches.rows[i]] < 0, i >= 3);
            seen |= (size_t)1 << batches.rows[i];
        }
    }
    assert_int_equal(seen, 1023); /* all of them, normals and anomalies */
    batches_done(&batches);
}

static void balanced_batches_do_without_anomalies_or_without_others(void **state)
{
    (void)state;
    static const signed char none[4] = {0, 1, 0, 0};
    static const signed char only[2] = {-1, -1};
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct batches batches = new_batches(none, 4, 3, 4);
    assert_int_equal(batches_rows(&batches), 3);
    batches_done(&batches);
    batches = new_batches(only, 2, 3, 4);
    assert_int_equal(batches_rows(&batches), 4);
    assert_int_equal(batches_per_pass(&batches), 1);
    batches_next(&batches, &rng);
    for (size_t i = 0; i < 4; i++) {
        assert_true(batches.rows[i] < 2);
    }
    batches_done(&batches);
}

static void plain_batches_take_anomalies_like_any_row(void **state)
{
    (void)state;
    static const signed char labels[4] = {-1, 0, -1, 1};
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct batches batches = new_batches(labels, 4, 4, 0);
    batches_next(&batches, &rng);
    size_t sum = 0;
    for (size_t i = 0; i < 4; i++) {
        sum += batches.rows[i];
    }
    assert_int_equal(sum, 0 + 1 + 2 + 3);
    batches_done(&batches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_takes_each_row_at_most_once_and_drops_the_rest),
        cmocka_unit_test(fewer_rows_than_a_batch_are_the_batch),
        cmocka_unit_test(balanced_batches_hold_anomalies_behind_the_others),
        cmocka_unit_test(balanced_batches_do_without_anomalies_or_without_others),
        cmocka_unit_test(plain_batches_take_anomalies_like_any_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
