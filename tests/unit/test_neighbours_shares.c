/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle is the formula of the header in double. */
#include "../testing.h"

#include <float.h>
#include <stdlib.h>

#include "nn/neighbours_shares.h"
#include "nn/rng.h"

enum { SAMPLES = NEIGHBOURS_SAMPLES, ROWS = 200, FEATURES_MAX = 40 };

static float *draw_rows(size_t features, uint64_t seed)
{
    float *z = malloc(ROWS * features * sizeof *z);
    assert_non_null(z);
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (size_t i = 0; i < ROWS * features; i++) {
        z[i] = rng_float(&rng) + rng_float(&rng) - 1;
    }
    return z;
}

static struct neighbours *fit(const float *z, size_t features)
{
    const struct neighbours_options options = {
        .members = 50, .scale_rows = 200, .trim = 0.1, .seed = 9};
    struct neighbours *n = NULL;
    struct deepsad_error error = {0};
    assert_int_equal(neighbours_fit(&n, NULL, z, ROWS, features, &options, &error),
                     DEEPSAD_OK);
    return n;
}

static double squared(const struct neighbours *n, size_t k, size_t sample, const float *z)
{
    double d = (double)z[n->feature_index[k]] - (double)n->samples[k * SAMPLES + sample];
    return d * d;
}

/* Adds the part of the member whose features are [from, to) of feature_index. */
static void add_member(double *shares, const struct neighbours *n, size_t member,
                       size_t from, size_t to, const float *z)
{
    double least = HUGE_VAL;
    size_t nearest = 0;
    for (size_t s = 0; s < SAMPLES; s++) {
        double sum = 0;
        for (size_t k = from; k < to; k++) {
            sum += squared(n, k, s, z);
        }
        nearest = sum < least ? s : nearest;
        least = fmin(sum, least);
    }
    double v = sqrt(least) * (double)n->inverse_scale[member];
    for (size_t k = from; k < to && least > 0; k++) {
        shares[n->feature_index[k]] +=
            v / (1 + v) * squared(n, k, nearest, z) / least / (double)n->members;
    }
}

static void shares_naively(double *shares, const struct neighbours *n, const float *z)
{
    size_t from = 0;
    memset(shares, 0, n->features * sizeof *shares);
    for (size_t i = 0; i < n->members; i++) {
        add_member(shares, n, i, from, from + n->member_features[i], z);
        from += n->member_features[i];
    }
}

static void shares_agree_with_the_formula(void **state)
{
    (void)state;
    const size_t widths[] = {1, 2, 9, FEATURES_MAX};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        float *z = draw_rows(widths[w], w), *other = draw_rows(widths[w], 50 + w);
        struct neighbours *n = fit(z, widths[w]);
        for (size_t i = 0; i < ROWS; i++) {
            float shares[FEATURES_MAX];
            double expected[FEATURES_MAX];
            neighbours_shares(n, shares, other + i * widths[w]);
            shares_naively(expected, n, other + i * widths[w]);
            for (size_t j = 0; j < widths[w]; j++) {
                assert_near_floor(shares[j], expected[j], 1e-5, 0.1);
            }
        }
        neighbours_free(n);
        free(other);
        free(z);
    }
}

static void shares_sum_to_the_score(void **state)
{
    (void)state;
    enum { FEATURES = 9 };
    float *z = draw_rows(FEATURES, 1), *other = draw_rows(FEATURES, 2);
    struct neighbours *n = fit(z, FEATURES);
    for (size_t i = 0; i < ROWS; i++) {
        float shares[FEATURES], score;
        double sum = 0;
        neighbours_shares(n, shares, other + i * FEATURES);
        neighbours_score(n, &score, other + i * FEATURES, 1);
        for (size_t j = 0; j < FEATURES; j++) {
            assert_true(shares[j] >= 0);
            sum += (double)shares[j];
        }
        assert_near(sum, score, 1e-5);
    }
    neighbours_free(n);
    free(other);
    free(z);
}

static void constant_features_have_no_share(void **state)
{
    (void)state;
    enum { FEATURES = 5 };
    float *z = draw_rows(FEATURES, 3);
    for (size_t i = 0; i < ROWS; i++) {
        z[i * FEATURES + 3] = 2;
    }
    struct neighbours *n = fit(z, FEATURES);
    const float row[FEATURES] = {1, 2, 3, 400, 5};
    float shares[FEATURES];
    neighbours_shares(n, shares, row);
    assert_true(shares[3] == 0 && shares[2] > 0);
    neighbours_free(n);
    free(z);
}

static void values_that_overflow_leave_shares_finite(void **state)
{
    (void)state;
    enum { FEATURES = 5 };
    float *z = draw_rows(FEATURES, 4);
    struct neighbours *n = fit(z, FEATURES);
    const float row[FEATURES] = {FLT_MAX, -FLT_MAX, 1e20F, -1, 0};
    float shares[FEATURES];
    neighbours_shares(n, shares, row);
    for (size_t j = 0; j < FEATURES; j++) {
        assert_true(shares[j] >= 0 && shares[j] <= 1);
    }
    neighbours_free(n);
    free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_agree_with_the_formula),
        cmocka_unit_test(shares_sum_to_the_score),
        cmocka_unit_test(constant_features_have_no_share),
        cmocka_unit_test(values_that_overflow_leave_shares_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
