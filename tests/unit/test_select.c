/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "learn/select.h"

enum { ROWS = 400, FEATURES = 2 };

struct candidates {
    struct store_sample samples[ROWS];
    float x[ROWS * FEATURES];
    struct scaler scaler;
    struct select_rows rows;
};

/* Score falls with the index; the rows lie on a ring of 8 places, in turn. */
static int setup(void **state)
{
    struct candidates *c = calloc(1, sizeof *c);
    for (size_t i = 0; i < ROWS; i++) {
        c->samples[i].score = (float)(ROWS - i);
        c->samples[i].p_value = (float)(i + 1) / ROWS;
        c->x[i * FEATURES] = (float)(i % 8);
        c->x[i * FEATURES + 1] = (float)(i % 8 * (i % 8));
    }
    *state = c;
    if (scaler_fit(&c->scaler, SCALER_ASINH, c->x, ROWS, FEATURES, NULL) != DEEPSAD_OK) {
        return -1;
    }
    c->rows = (struct select_rows){.count = ROWS,
                                   .features = FEATURES,
                                   .samples = c->samples,
                                   .x = c->x,
                                   .scaler = &c->scaler,
                                   .alpha = 0.1,
                                   .seed = 3};
    return 0;
}

static int teardown(void **state)
{
    struct candidates *c = *state;
    scaler_done(&c->scaler);
    free(c);
    return 0;
}

static size_t choose(struct select_choice *choices, size_t wanted,
                     enum select_strategy strategy, const struct candidates *c)
{
    size_t count = 0;
    assert_int_equal(select_choose(choices, &count, wanted, strategy, &c->rows, NULL),
                     DEEPSAD_OK);
    bool seen[ROWS] = {false};
    for (size_t i = 0; i < count; i++) {
        assert_false(seen[choices[i].at]); /* no row twice */
        seen[choices[i].at] = true;
    }
    return count;
}

static void top_takes_the_highest_scores_in_order(void **state)
{
    struct select_choice choices[5];
    assert_int_equal(choose(choices, 5, SELECT_TOP, *state), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(choices[i].at, i);
        assert_int_equal(choices[i].rank, i);
    }
}

static void mixed_starts_at_the_top_and_goes_far(void **state)
{
    struct select_choice choices[8];
    struct candidates *c = *state;
    bool places[8] = {false};
    assert_int_equal(choose(choices, 8, SELECT_MIXED, c), 8);
    assert_int_equal(choices[0].at, 0);
    assert_int_equal(choices[0].why, SELECT_HIGHEST);
    assert_int_equal(choices[1].why, SELECT_DIFFERENT);
    for (size_t i = 0; i < 8; i++) {
        assert_true(choices[i].rank < SELECT_POOL);
        places[choices[i].at % 8] = true;
    }
    for (size_t i = 0; i < 8; i++) {
        assert_true(places[i]); /* each place once, though the top eight were enough */
    }
}

static void mixed_draws_one_in_ten_at_random(void **state)
{
    struct select_choice choices[20];
    size_t random = 0;
    assert_int_equal(choose(choices, 20, SELECT_MIXED, *state), 20);
    for (size_t i = 0; i < 20; i++) {
        random += choices[i].why == SELECT_RANDOM;
    }
    assert_int_equal(random, 2);
}

/* Labels: anomalies down to rank 9, normals from rank 100 on. */
static void judge_some(struct candidates *c, struct select_label *labels)
{
    for (size_t i = 0; i < 10; i++) {
        labels[i] = (struct select_label){(float)ROWS - (float)i + 0.5F, true};
        labels[10 + i] = (struct select_label){(float)(ROWS - 100 - i) + 0.5F, false};
    }
    c->rows.labels = labels;
    c->rows.label_count = 20;
}

static void the_pool_grows_with_what_is_found(void **state)
{
    struct select_choice choices[20];
    struct select_label labels[20];
    struct candidates *c = *state;
    size_t deepest = 0;
    judge_some(c, labels);
    for (size_t i = 0; i < ROWS; i++) {
        c->x[i * FEATURES + 1] = (float)i; /* the farther down, the farther off */
    }
    choose(choices, 20, SELECT_MIXED, c);
    for (size_t i = 0; i < 20; i++) {
        bool far = choices[i].why == SELECT_DIFFERENT;
        deepest = far && choices[i].rank > deepest ? choices[i].rank : deepest;
    }
    assert_in_range(deepest, 5 * 20 + 5 * 10 - 8, 5 * 20 + 5 * 10 - 1);
}

static void uncertain_takes_p_values_next_to_alpha(void **state)
{
    struct select_choice choices[3];
    assert_int_equal(choose(choices, 3, SELECT_UNCERTAIN, *state), 3);
    assert_int_equal(choices[0].at, 39); /* p = 0.1 */
    assert_true(choices[1].at >= 37 && choices[1].at <= 41);
}

static void random_takes_rows_from_all_over(void **state)
{
    struct select_choice choices[100];
    size_t low = 0;
    assert_int_equal(choose(choices, 100, SELECT_ANY, *state), 100);
    for (size_t i = 0; i < 100; i++) {
        low += choices[i].rank >= ROWS / 2;
    }
    assert_true(low > 25 && low < 75);
}

/* Ranks of the probes, rising, of a list of 20 beside these labels: there are four. */
static size_t probe(size_t ranks[static 20], struct candidates *c,
                    const struct select_label *labels, size_t count)
{
    struct select_choice choices[20];
    size_t probes = 0;
    c->rows.labels = labels;
    c->rows.label_count = count;
    assert_int_equal(choose(choices, 20, SELECT_MIXED, c), 20);
    for (size_t i = 0; i < 20; i++) {
        if (choices[i].why == SELECT_BOUNDARY) {
            assert_true(probes == 0 || choices[i].rank > ranks[probes - 1]);
            ranks[probes++] = choices[i].rank;
        }
    }
    return probes;
}

static void one_in_five_probes_where_anomalies_seem_to_end(void **state)
{
    struct select_label labels[] = {{301.5F, false}, {391.5F, true}}; /* ranks 99, 9 */
    static const size_t expected[] = {14, 24, 38, 62};                /* equal ratios */
    size_t ranks[20];
    assert_int_equal(probe(ranks, *state, labels, 2), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(ranks[i] >= expected[i] && ranks[i] <= expected[i] + 3);
    }
}

static void verdicts_that_contradict_the_others_move_the_probes_little(void **state)
{
    struct select_label labels[] = {{395.5F, false}, {394.5F, true},  {393.5F, true},
                                    {301.5F, false}, {300.5F, false}, {299.5F, true},
                                    {298.5F, false}};
    size_t ranks[20];
    assert_int_equal(probe(ranks, *state, labels, 7), 4);
    assert_true(ranks[0] > 6 && ranks[3] < 99);
}

static void without_a_known_normal_probes_end_in_the_middle(void **state)
{
    struct select_label labels[] = {{391.5F, true}};
    size_t ranks[20];
    assert_int_equal(probe(ranks, *state, labels, 1), 4);
    assert_true(ranks[0] > 9 && ranks[3] > 99 && ranks[3] < ROWS / 2);
}

static void without_a_known_anomaly_nothing_is_probed(void **state)
{
    struct select_label labels[] = {{391.5F, false}};
    size_t ranks[20];
    assert_int_equal(probe(ranks, *state, labels, 1), 0);
}

static void fewer_rows_than_wanted_are_all_taken(void **state)
{
    struct candidates *c = *state;
    struct select_choice choices[20];
    c->rows.count = 4;
    for (int strategy = SELECT_MIXED; strategy <= SELECT_ANY; strategy++) {
        assert_int_equal(choose(choices, 20, (enum select_strategy)strategy, c), 4);
    }
    c->rows.count = 0;
    assert_int_equal(choose(choices, 20, SELECT_MIXED, c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(top_takes_the_highest_scores_in_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mixed_starts_at_the_top_and_goes_far, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mixed_draws_one_in_ten_at_random, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_pool_grows_with_what_is_found, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(uncertain_takes_p_values_next_to_alpha, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(random_takes_rows_from_all_over, setup, teardown),
        cmocka_unit_test_setup_teardown(one_in_five_probes_where_anomalies_seem_to_end,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            verdicts_that_contradict_the_others_move_the_probes_little, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_known_normal_probes_end_in_the_middle,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_known_anomaly_nothing_is_probed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(fewer_rows_than_wanted_are_all_taken, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
