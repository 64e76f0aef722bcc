/* SPDX-License-Identifier: Apache-2.0 */
/* Expected values marked scikit-learn were computed with its version 1.2.1. */
#include "../testing.h"

#include "nn/metrics.h"
#include "nn/rng.h"

static double auc(const float *scores, const unsigned char *anomalous, size_t count)
{
    double value = 0;
    assert_int_equal(metrics_auc_roc(&value, scores, anomalous, count, NULL), 0);
    return value;
}

static double ap(const float *scores, const unsigned char *anomalous, size_t count)
{
    double value = 0;
    assert_int_equal(metrics_average_precision(&value, scores, anomalous, count, NULL),
                     0);
    return value;
}

static double entropy(const float *rows, size_t count, size_t dimensions)
{
    double value = 0;
    assert_int_equal(metrics_gaussian_entropy(&value, rows, count, dimensions, NULL), 0);
    return value;
}

static const float small_scores[12] = {0.1F, 0.4F,  0.35F, 0.8F,  0.4F,  0.4F,
                                       0.9F, -2.5F, 0.8F,  0.05F, 0.35F, 7.0F};
static const unsigned char small_truth[12] = {0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1};

static void auc_with_ties_is_scikit_learns(void **state)
{
    (void)state;
    assert_near(auc(small_scores, small_truth, 12), 0.6527777777777778, 1e-14);
}

static void average_precision_with_ties_is_scikit_learns(void **state)
{
    (void)state;
    assert_near(ap(small_scores, small_truth, 12), 0.6954064454064454, 1e-14);
}

enum { MANY = 1000 };

/* 50 distinct scores, anomalies more likely at high ones; 173 in all. */
static void draw_many(float *scores, unsigned char *truth)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < MANY; i++) {
        x = (x * 1103515245u + 12345u) & 0x7fffffffu;
        uint32_t score = (x >> 16) % 50;
        x = (x * 1103515245u + 12345u) & 0x7fffffffu;
        scores[i] = (float)score;
        truth[i] = (x >> 16) % 100 < 5 + score / 2;
    }
}

static void many_tied_scores_agree_with_scikit_learn(void **state)
{
    (void)state;
    float scores[MANY];
    unsigned char truth[MANY];
    draw_many(scores, truth);
    assert_near(auc(scores, truth, MANY), 0.6710689098419667, 1e-13);
    assert_near(ap(scores, truth, MANY), 0.26769488921980417, 1e-13);
}

static void auc_counts_pairs(void **state)
{
    (void)state;
    float scores[MANY];
    unsigned char truth[MANY];
    draw_many(scores, truth);
    double pairs = 0;
    double won = 0;
    for (size_t i = 0; i < MANY; i++) {
        for (size_t j = 0; j < MANY; j++) {
            if (truth[i] == 1 && truth[j] == 0) {
                pairs += 1;
                won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
            }
        }
    }
    assert_near(auc(scores, truth, MANY), won / pairs, 1e-13);
}

static void perfect_inverted_and_constant_rankings_have_known_measures(void **state)
{
    (void)state;
    const float scores[] = {3, 1, 4, 2};
    const float constant[] = {5, 5, 5, 5};
    const unsigned char top[] = {1, 0, 1, 0};
    const unsigned char bottom[] = {0, 1, 0, 1};
    assert_near(auc(scores, top, 4), 1, 0);
    assert_near(ap(scores, top, 4), 1, 0);
    assert_near_floor(auc(scores, bottom, 4), 0, 0, 1);
    assert_near(ap(scores, bottom, 4), (1.0 / 3 + 2.0 / 4) / 2, 1e-15);
    assert_near(auc(constant, top, 4), 0.5, 0);
    assert_near(ap(constant, top, 4), 0.5, 0);
}

static void measures_without_one_class_do_not_exist(void **state)
{
    (void)state;
    const float scores[] = {1, 2};
    const unsigned char none[] = {0, 0};
    const unsigned char all[] = {1, 1};
    assert_true(isnan(auc(scores, none, 2)));
    assert_true(isnan(auc(scores, all, 2)));
    assert_true(isnan(auc(scores, none, 0)));
    assert_true(isnan(ap(scores, none, 2)));
    assert_near(ap(scores, all, 2), 1, 0);
}

static void infinite_scores_rank_at_the_ends_and_nan_last(void **state)
{
    (void)state;
    const float scores[] = {INFINITY, 0, -INFINITY, NAN, NAN};
    const unsigned char truth[] = {1, 1, 0, 0, 0};
    assert_near(auc(scores, truth, 5), 1, 0);
    assert_near(ap(scores, truth, 5), 1, 0);
}

static void entropy_of_correlated_rows_is_numpys(void **state)
{
    (void)state;
    /* numpy: .5 slogdet(2 pi e (cov(bias=True) + 1e-6 I)) */
    const float rows[] = {1, 2, 0.5F, 2, 1.5F, 0.25F, -1, 0, 3, 0.5F, -2, 1, 4, 1, -1};
    assert_near(entropy(rows, 5, 3), 4.038227726142286, 1e-12);
}

static void entropy_of_independent_columns_is_the_sum_of_logs(void **state)
{
    (void)state;
    const float rows[] = {-1, -3, -1, 3, 1, -3, 1, 3};
    double two_pi_e = 2 * M_PI * M_E;
    double expected = 0.5 * (log(two_pi_e * (1 + 1e-6)) + log(two_pi_e * (9 + 1e-6)));
    assert_near(entropy(rows, 4, 2), expected, 1e-13);
}

static void entropy_of_identical_rows_is_that_of_the_ridge(void **state)
{
    (void)state;
    float rows[10 * 8];
    for (size_t i = 0; i < 10 * 8; i++) {
        rows[i] = 1e15F * (float)(i % 8);
    }
    double expected = 8 * 0.5 * log(2 * M_PI * M_E * 1e-6);
    assert_near(entropy(rows, 10, 8), expected, 1e-12);
}

static void entropy_of_dependent_huge_columns_is_finite(void **state)
{
    (void)state;
    float rows[20 * 3];
    for (size_t i = 0; i < 20; i++) {
        rows[3 * i] = rows[3 * i + 1] = rows[3 * i + 2] = 1e18F * (float)i;
    }
    double value = entropy(rows, 20, 3);
    double alone = entropy((const float[]){-1e18F, 1e18F}, 2, 1);
    assert_true(isfinite(value) && value > alone + log(2 * M_PI * M_E * 1e-6) - 1);
}

static void entropy_rises_with_the_spread(void **state)
{
    (void)state;
    enum { ROWS = 500, DIMENSIONS = 16 };
    static float rows[ROWS * DIMENSIONS], wide[ROWS * DIMENSIONS];
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (size_t i = 0; i < ROWS * DIMENSIONS; i++) {
        rows[i] = 100 * rng_float(&rng);
        wide[i] = 2 * rows[i];
    }
    double gain = entropy(wide, ROWS, DIMENSIONS) - entropy(rows, ROWS, DIMENSIONS);
    assert_near(gain, DIMENSIONS * log(2), 1e-6);
}

static void entropy_needs_two_rows(void **state)
{
    (void)state;
    const float row[] = {1, 2};
    assert_true(isnan(entropy(row, 1, 2)));
    assert_true(isnan(entropy(row, 0, 2)));
    double untouched = 7;
    assert_int_equal(metrics_gaussian_entropy(&untouched, row, 2, SIZE_MAX / 2, NULL),
                     DEEPSAD_NO_MEMORY);
    assert_near(untouched, 7, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auc_with_ties_is_scikit_learns),
        cmocka_unit_test(average_precision_with_ties_is_scikit_learns),
        cmocka_unit_test(many_tied_scores_agree_with_scikit_learn),
        cmocka_unit_test(auc_counts_pairs),
        cmocka_unit_test(perfect_inverted_and_constant_rankings_have_known_measures),
        cmocka_unit_test(measures_without_one_class_do_not_exist),
        cmocka_unit_test(infinite_scores_rank_at_the_ends_and_nan_last),
        cmocka_unit_test(entropy_of_correlated_rows_is_numpys),
        cmocka_unit_test(entropy_of_independent_columns_is_the_sum_of_logs),
        cmocka_unit_test(entropy_of_identical_rows_is_that_of_the_ridge),
        cmocka_unit_test(entropy_of_dependent_huge_columns_is_finite),
        cmocka_unit_test(entropy_rises_with_the_spread),
        cmocka_unit_test(entropy_needs_two_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
