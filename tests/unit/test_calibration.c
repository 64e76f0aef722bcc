/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "../testing.h"

#include "model/calibration.h"
#include "model/order.h"
#include "nn/rng.h"

enum { POINTS = 500 };

struct sample {
    float scores[POINTS], weights[POINTS];
};

/* Scores with ties, weights with zeros. */
static void fill(struct sample *sample, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (size_t i = 0; i < POINTS; i++) {
        sample->scores[i] = (float)rng_below(&rng, 200) - 50;
        sample->weights[i] = rng_below(&rng, 4) == 0 ? 0 : rng_float(&rng);
    }
}

static struct calibration calibration_of(const struct sample *sample, size_t count)
{
    struct calibration calibration;
    struct deepsad_error error = {0};
    assert_int_equal(
        calibration_make(&calibration, sample->scores, sample->weights, count, &error),
        DEEPSAD_OK);
    return calibration;
}

/* p(x) = (1 + sum w_i [s_i >= s(x)]) / (1 + sum w_i), as it is written. */
static double naive_p_value(const struct sample *sample, size_t count, float score)
{
    double above = 1, total = 1;
    for (size_t i = 0; i < count; i++) {
        total += (double)sample->weights[i];
        above += sample->scores[i] >= score ? (double)sample->weights[i] : 0;
    }
    return above / total;
}

static void p_values_are_those_of_the_formula(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample, 1);
    for (size_t count = 0; count <= POINTS; count = 2 * count + 1) {
        struct calibration calibration = calibration_of(&sample, count);
        assert_true(calibration_valid(&calibration));
        float scores[441], p[441]; /* in blocks and behind them; then one alone */
        for (size_t i = 0; i < 441; i++) {
            scores[i] = 0.5F * (float)i - 60;
        }
        calibration_p_values(&calibration, p, scores, 441);
        for (size_t i = 0; i < 441; i++) {
            float alone;
            calibration_p_values(&calibration, &alone, &scores[i], 1);
            assert_true(p[i] == alone);
            assert_near((double)alone, naive_p_value(&sample, count, scores[i]), 1e-6);
        }
        calibration_done(&calibration);
    }
}

static void the_threshold_is_the_smallest_score_that_alarms(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample, 2);
    struct calibration calibration = calibration_of(&sample, POINTS);
    for (double alpha = 0.01; alpha < 1; alpha += 0.01) {
        float threshold, pair[2], p[2];
        assert_true(calibration_threshold(&calibration, alpha, &threshold));
        pair[0] = threshold;
        pair[1] = nextafterf(threshold, -INFINITY);
        calibration_p_values(&calibration, p, pair, 2);
        assert_true((double)p[0] <= alpha && (double)p[1] > alpha);
    }
    calibration_done(&calibration);
}

static void an_alpha_below_the_least_p_value_has_no_threshold(void **state)
{
    (void)state;
    struct sample sample;
    float threshold = 7;
    fill(&sample, 3);
    struct calibration calibration = calibration_of(&sample, POINTS);
    double least = calibration_alpha_min(&calibration);
    assert_near(least, naive_p_value(&sample, POINTS, 1e6F), 1e-6);
    assert_true(calibration_threshold(&calibration, least, &threshold));
    threshold = 7;
    assert_false(calibration_threshold(&calibration, least * 0.99, &threshold));
    assert_true(threshold == 7);
    calibration_done(&calibration);
}

static void a_calibration_that_falls_is_not_valid(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample, 4);
    struct calibration calibration = calibration_of(&sample, POINTS);
    calibration.scores[3] = calibration.scores[POINTS - 1] + 1;
    assert_false(calibration_valid(&calibration));
    calibration_done(&calibration);
}

/* The fit at i = max over a <= i of min over b >= i of the mean of y[a..b]. */
static double naive_isotonic(const struct isotonic_point *points, size_t count, size_t i)
{
    double best = -(double)INFINITY;
    for (size_t a = 0; a <= i; a++) {
        double least = (double)INFINITY, sum = 0, weight = 0;
        for (size_t b = a; b < count; b++) {
            sum += points[b].y * points[b].weight;
            weight += points[b].weight;
            least = b >= i ? fmin(least, sum / weight) : least;
        }
        best = fmax(best, least);
    }
    return best;
}

static void isotonic_regression_is_the_min_max_of_means(void **state)
{
    (void)state;
    struct isotonic_point points[60], fitted[60];
    struct rng rng;
    rng_init(&rng, 5, 0);
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < 60; i++) {
            points[i] = (struct isotonic_point){
                (double)i, (double)rng_float(&rng) + 0.01 * (double)i, 1};
        }
        memcpy(fitted, points, sizeof points);
        size_t steps = isotonic_fit(fitted, 60);
        for (size_t i = 0; i < 60; i++) {
            assert_near_floor(isotonic_at(fitted, steps, (double)i),
                              naive_isotonic(points, 60, i), 1e-9, 1);
        }
    }
}

static void points_of_equal_rank_are_one(void **state)
{
    (void)state;
    struct isotonic_point points[] = {{1, 1, 1}, {0, 0, 1}, {1, 0, 1}, {1, 0, 1}};
    assert_int_equal(isotonic_fit(points, 4), 2);
    assert_near(isotonic_at(points, 2, 1), 1.0 / 3, 1e-12);
    assert_near_floor(isotonic_at(points, 2, 0.99), 0, 1e-12, 1);
    assert_near_floor(isotonic_at(points, 2, -1), 0, 1e-12, 1);
}

/* 1000 unlabeled rows of which the 100 highest are anomalies like the labelled ones. */
static void weigh(float weights[static 1000], size_t labelled, float first, float step,
                  double hidden_max)
{
    float scores[1000], label_scores[32];
    signed char labels[32];
    struct deepsad_error error = {0};
    for (size_t i = 0; i < 1000; i++) {
        scores[i] = (float)i;
    }
    for (size_t i = 0; i < labelled; i++) {
        label_scores[i] = first + step * (float)i;
        labels[i] = -1;
    }
    struct calibration_labels all = {
        .scores = label_scores, .labels = labels, .count = labelled};
    assert_int_equal(calibration_weigh(weights, scores, 1000, &all, hidden_max, &error),
                     DEEPSAD_OK);
}

static void without_labels_every_row_counts(void **state)
{
    (void)state;
    float weights[1000];
    weigh(weights, 0, 0, 0, 1);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(weights[i] == 1);
    }
}

static void rows_that_rank_with_the_anomalies_lose_their_weight(void **state)
{
    (void)state;
    float weights[1000];
    double sum = 0;
    weigh(weights, 20, 902, 5, 1); /* ranks .902 to .997 */
    for (size_t i = 0; i < 1000; i++) {
        assert_true(weights[i] >= 0 && weights[i] <= 1);
        sum += (double)weights[i];
    }
    assert_true(weights[999] < 0.1F && weights[500] == 1);
    assert_in_range((int)sum, 900, 940); /* about 100 are hidden, never more */
}

static void clean_rows_keep_their_weight_if_they_are_known_to_be(void **state)
{
    (void)state;
    float weights[1000];
    weigh(weights, 20, 902, 5, 0);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(weights[i] == 1);
    }
}

/* Sum of the weights where 15 of the 20 labels from rank 902 up are anomalies, the others
 * normals, which somebody `reviewed` or not, and 40 anomalies more are known otherwise.
 */
static double sum_reviewed(bool reviewed)
{
    float scores[1000], weights[1000], label_scores[60];
    signed char labels[60];
    bool flags[60];
    double sum = 0;
    for (size_t i = 0; i < 1000; i++) {
        scores[i] = (float)i;
    }
    for (size_t i = 0; i < 60; i++) {
        label_scores[i] = i < 20 ? 902 + 5 * (float)i : 500 + 10 * (float)(i - 20);
        labels[i] = i < 20 && i % 4 == 0 ? 1 : -1;
        flags[i] = reviewed && i < 20;
    }
    struct calibration_labels all = {label_scores, labels, flags, 60};
    assert_int_equal(calibration_weigh(weights, scores, 1000, &all, 1, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < 1000; i++) {
        sum += (double)weights[i];
    }
    return sum;
}

static void reviewed_labels_alone_tell_how_many_are_hidden(void **state)
{
    (void)state;
    assert_in_range((int)sum_reviewed(true), 915, 940); /* three in four of 100 */
    assert_true(sum_reviewed(false) < 800); /* the known anomalies would make it more */
}

static void a_single_label_is_no_evidence_of_hidden_anomalies(void **state)
{
    (void)state;
    float weights[1000];
    weigh(weights, 1, 950, 0, 1);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(weights[i] == 1);
    }
}

static void anomalies_above_all_rows_take_nothing_from_them(void **state)
{
    (void)state;
    float weights[1000];
    weigh(weights, 20, 2000, 5, 1);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(weights[i] == 1);
    }
}

static void the_order_is_that_of_the_values(void **state)
{
    (void)state;
    static const float values[] = {3, -0.0F, 1e30F, -5, 0.0F, -1e-30F, 3};
    static const uint32_t expected[] = {3, 5, 1, 4, 0, 6, 2};
    struct deepsad_error error = {0};
    uint32_t *order;
    assert_int_equal(order_ascending(&order, values, 7, &error), DEEPSAD_OK);
    assert_memory_equal(order, expected, sizeof expected);
    assert_near(order_quantile(values, order, 7, 0.75), 3, 1e-12);
    assert_near_floor(order_quantile(values, order, 7, 0.55), 0.9, 1e-9, 1);
    free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_values_are_those_of_the_formula),
        cmocka_unit_test(the_threshold_is_the_smallest_score_that_alarms),
        cmocka_unit_test(an_alpha_below_the_least_p_value_has_no_threshold),
        cmocka_unit_test(a_calibration_that_falls_is_not_valid),
        cmocka_unit_test(isotonic_regression_is_the_min_max_of_means),
        cmocka_unit_test(points_of_equal_rank_are_one),
        cmocka_unit_test(without_labels_every_row_counts),
        cmocka_unit_test(rows_that_rank_with_the_anomalies_lose_their_weight),
        cmocka_unit_test(clean_rows_keep_their_weight_if_they_are_known_to_be),
        cmocka_unit_test(reviewed_labels_alone_tell_how_many_are_hidden),
        cmocka_unit_test(a_single_label_is_no_evidence_of_hidden_anomalies),
        cmocka_unit_test(anomalies_above_all_rows_take_nothing_from_them),
        cmocka_unit_test(the_order_is_that_of_the_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
