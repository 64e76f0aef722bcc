/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <float.h>
#include <stdlib.h>

#include "data/scaler.h"
#include "nn/rng.h"

static struct scaler fit(enum scaler_kind kind, const float *x, size_t rows,
                         size_t features)
{
    struct scaler scaler;
    struct deepsad_error error = {0};
    assert_int_equal(scaler_fit(&scaler, kind, x, rows, features, &error), DEEPSAD_OK);
    return scaler;
}

static void asinh_kind_standardises_with_one_over_n(void **state)
{
    (void)state;
    const float x[] = {1, 10, 2, 10, 3, 10, 6, 10};
    struct scaler scaler = fit(SCALER_ASINH, x, 4, 2);
    float z[8];
    scaler_apply(&scaler, z, x, 4);
    double std = sqrt((4 + 1 + 0 + 9) / 4.0);
    for (size_t i = 0; i < 4; i++) {
        assert_near_floor(z[2 * i], asinh(((double)x[2 * i] - 3) / std), 1e-6, 1e-3);
        assert_true(z[2 * i + 1] == 0); /* constant: std = 1, so x - mean */
    }
    const float other[] = {3, 12};
    scaler_apply(&scaler, z, other, 1);
    assert_near(z[1], asinh(2), 1e-6);
    scaler_done(&scaler);
}

static void minmax_kind_maps_training_rows_onto_zero_to_one(void **state)
{
    (void)state;
    const float x[] = {-4, 7, 0, 7, 6, 7};
    struct scaler scaler = fit(SCALER_MINMAX, x, 3, 2);
    float z[6];
    scaler_apply(&scaler, z, x, 3);
    const float expected[] = {0, 0, 0.4F, 0, 1, 0};
    for (size_t i = 0; i < 6; i++) {
        assert_near_floor(z[i], expected[i], 1e-6, 1);
    }
    const float outside[] = {16, 1e30F};
    scaler_apply(&scaler, z, outside, 1);
    assert_near(z[0], 2, 1e-6);
    assert_true(z[1] == 0); /* a constant column stays 0 whatever comes */
    scaler_done(&scaler);
}

static void global_kind_has_one_spread_about_the_means_of_the_features(void **state)
{
    (void)state;
    const float x[] = {0, 100, 2, 104};
    struct scaler scaler = fit(SCALER_GLOBAL, x, 2, 2);
    float z[4];
    scaler_apply(&scaler, z, x, 2);
    double std = sqrt((1 + 1 + 4 + 4) / 4.0);
    const double expected[] = {-1 / std, -2 / std, 1 / std, 2 / std};
    for (size_t i = 0; i < 4; i++) {
        assert_near(z[i], expected[i], 1e-6);
    }
    scaler_done(&scaler);
}

static void the_kind_none_leaves_values_as_they_are(void **state)
{
    (void)state;
    const float x[] = {0, 0.25F, 1, -7, 0.1F, 3e8F};
    struct scaler scaler = fit(SCALER_NONE, x, 3, 2);
    float z[6];
    scaler_apply(&scaler, z, x, 3);
    assert_memory_equal(z, x, sizeof z);
    const float missing[] = {NAN, 5};
    scaler_apply(&scaler, z, missing, 1);
    assert_true(z[0] == 0.1F && z[1] == 5);
    scaler_done(&scaler);
}

static void global_kind_of_constant_features_only_centers(void **state)
{
    (void)state;
    const float x[] = {0.1F, 5, 0.1F, 5, 0.1F, 5};
    struct scaler scaler = fit(SCALER_GLOBAL, x, 3, 2);
    const float row[] = {0.1F, 8};
    float z[2];
    scaler_apply(&scaler, z, row, 1);
    assert_true(z[0] == 0 && z[1] == 3);
    scaler_done(&scaler);
}

static void missing_values_become_the_median_of_those_present(void **state)
{
    (void)state;
    const float x[] = {NAN, NAN, 5, NAN, -1, NAN, 100, NAN, 7, NAN, NAN, NAN};
    struct scaler scaler = fit(SCALER_MINMAX, x, 6, 2);
    assert_true(scaler.impute[0] == 6); /* of -1 5 7 100 */
    assert_true(scaler.impute[1] == 0);
    float z[12];
    scaler_apply(&scaler, z, x, 6);
    assert_near(z[0], 7.0 / 101, 1e-6);
    assert_true(z[1] == 0);
    scaler_done(&scaler);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return (x > y) - (x < y);
}

static void the_median_is_that_of_sorting(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (size_t rows = 1; rows < 200; rows++) {
        float x[200];
        for (size_t i = 0; i < rows; i++) {
            /* few distinct values of all magnitudes and both signs */
            float magnitude = ldexpf(1, (int)rng_below(&rng, 40) - 20);
            x[i] = rng_below(&rng, 2) == 0 ? magnitude : -magnitude;
        }
        struct scaler scaler = fit(SCALER_ASINH, x, rows, 1);
        qsort(x, rows, sizeof *x, compare_floats);
        double expected = ((double)x[(rows - 1) / 2] + (double)x[rows / 2]) / 2;
        assert_near_floor(scaler.impute[0], expected, 1e-7, 1e-7);
        scaler_done(&scaler);
    }
}

static void every_column_has_a_median_of_its_own(void **state)
{
    (void)state;
    enum { ROWS = 11, FEATURES = 37 };
    float x[ROWS * FEATURES];
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < FEATURES; j++) {
            /* j - 5 ... j + 5 in some order, of which column j lacks the lowest j % 4 */
            size_t rank = (i * 3 + j) % ROWS;
            x[i * FEATURES + j] = rank < j % 4 ? NAN : (float)(j + rank) - 5;
        }
    }
    struct scaler scaler = fit(SCALER_ASINH, x, ROWS, FEATURES);
    for (size_t j = 0; j < FEATURES; j++) {
        assert_near(scaler.impute[j], (double)j + 0.5 * (double)(j % 4), 0);
    }
    scaler_done(&scaler);
}

static void timestamps_keep_their_spread(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    float *x = malloc(ROWS * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < ROWS; i++) {
        x[i] = 1.7e9F + 128 * (float)(i % 2); /* neighbouring floats */
    }
    struct scaler scaler = fit(SCALER_ASINH, x, ROWS, 1);
    assert_near(scaler.scale[0], 1.0 / 64, 1e-6);
    scaler_apply(&scaler, x, x, 2);
    assert_near(sinh((double)x[1]) - sinh((double)x[0]), 2, 1e-5);
    scaler_done(&scaler);
    free(x);
}

static void huge_and_tiny_columns_are_fitted(void **state)
{
    (void)state;
    const float x[] = {-1e30F, 1e-42F, 1e38F, 1e30F, 3e-42F, -1e38F};
    struct scaler scaler = fit(SCALER_ASINH, x, 2, 3);
    float z[6];
    scaler_apply(&scaler, z, x, 2);
    assert_near(z[0], asinh(-1), 1e-6);
    assert_near(z[3], asinh(1), 1e-6);
    assert_near(z[5], asinh(-1), 1e-6);
    assert_true(isfinite(z[1]) && z[4] > z[1]);
    scaler_done(&scaler);
}

static void any_float_gives_a_finite_result(void **state)
{
    (void)state;
    const float train[] = {-3e38F, 0, 1, 3e38F, 1e-45F, 1};
    const float any[] = {FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, NAN, 1e-45F, 0};
    enum { ANY = sizeof any / sizeof *any };
    for (int kind = SCALER_ASINH; kind <= SCALER_NONE; kind++) {
        struct scaler scaler = fit((enum scaler_kind)kind, train, 2, 3);
        for (size_t i = 0; i < ANY; i++) {
            const float row[] = {any[i], any[(i + 1) % ANY], any[(i + 2) % ANY]};
            float z[3];
            scaler_apply(&scaler, z, row, 1);
            for (size_t j = 0; j < 3; j++) {
                assert_true(fabsf(z[j]) <= SCALER_LINEAR_LIMIT);
            }
        }
        scaler_done(&scaler);
    }
}

static void asinh_is_accurate_at_every_magnitude(void **state)
{
    (void)state;
    enum { STEPS = 1 << 16 };
    float *x = malloc(2 * STEPS * sizeof *x);
    float *z = malloc(2 * STEPS * sizeof *z);
    assert_true(x != NULL && z != NULL);
    for (size_t i = 0; i < STEPS; i++) {
        float magnitude = (float)exp2(-126 + 252 * ((double)i + 0.5) / STEPS);
        x[2 * i] = magnitude;
        x[2 * i + 1] = -magnitude;
    }
    struct scaler identity;
    assert_int_equal(scaler_new(&identity, SCALER_ASINH, 1, NULL), DEEPSAD_OK);
    identity.scale[0] = 1;
    scaler_apply(&identity, z, x, 2 * STEPS);
    for (size_t i = 0; i < 2 * STEPS; i++) {
        assert_near(z[i], asinh((double)x[i]), 4e-7);
    }
    scaler_done(&identity);
    free(x);
    free(z);
}

static void asinh_rises_across_the_seams_of_its_pieces(void **state)
{
    (void)state;
    struct scaler identity;
    assert_int_equal(scaler_new(&identity, SCALER_ASINH, 1, NULL), DEEPSAD_OK);
    identity.scale[0] = 1;
    const float seams[] = {0.5F, 0.70710678F, 1, 4096};
    for (size_t i = 0; i < sizeof seams / sizeof *seams; i++) {
        float x[] = {seams[i] * 0.999999F, seams[i] * 1.000001F};
        scaler_apply(&identity, x, x, 2);
        assert_true(x[0] <= x[1]);
    }
    scaler_done(&identity);
}

static void a_row_scales_alike_alone_and_in_any_batch(void **state)
{
    (void)state;
    enum { ROWS = 67, MAX_FEATURES = 40 };
    static float x[ROWS * MAX_FEATURES], z[ROWS * MAX_FEATURES], alone[MAX_FEATURES];
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (size_t i = 0; i < ROWS * MAX_FEATURES; i++) {
        x[i] = ldexpf(rng_float(&rng) - 0.5F, (int)rng_below(&rng, 20) - 5);
    }
    for (size_t features = 1; features <= MAX_FEATURES; features++) {
        struct scaler scaler = fit(SCALER_ASINH, x, ROWS, features);
        scaler_apply(&scaler, z, x, ROWS);
        for (size_t i = 0; i < ROWS; i++) {
            scaler_apply(&scaler, alone, x + i * features, 1);
            assert_memory_equal(alone, z + i * features, features * sizeof *alone);
        }
        scaler_done(&scaler);
    }
}

static void no_features_are_refused(void **state)
{
    (void)state;
    struct scaler scaler;
    struct deepsad_error error = {0};
    const float x[] = {0};
    assert_int_equal(scaler_fit(&scaler, SCALER_ASINH, x, 1, 0, &error), DEEPSAD_INVALID);
    assert_error_says(error, "at least one feature");
}

static void more_features_than_can_be_addressed_are_refused(void **state)
{
    (void)state;
    struct scaler scaler;
    struct deepsad_error error = {0};
    assert_int_not_equal(scaler_new(&scaler, SCALER_ASINH, SIZE_MAX / 2, &error),
                         DEEPSAD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asinh_kind_standardises_with_one_over_n),
        cmocka_unit_test(minmax_kind_maps_training_rows_onto_zero_to_one),
        cmocka_unit_test(global_kind_has_one_spread_about_the_means_of_the_features),
        cmocka_unit_test(the_kind_none_leaves_values_as_they_are),
        cmocka_unit_test(global_kind_of_constant_features_only_centers),
        cmocka_unit_test(missing_values_become_the_median_of_those_present),
        cmocka_unit_test(the_median_is_that_of_sorting),
        cmocka_unit_test(every_column_has_a_median_of_its_own),
        cmocka_unit_test(timestamps_keep_their_spread),
        cmocka_unit_test(huge_and_tiny_columns_are_fitted),
        cmocka_unit_test(any_float_gives_a_finite_result),
        cmocka_unit_test(asinh_is_accurate_at_every_magnitude),
        cmocka_unit_test(asinh_rises_across_the_seams_of_its_pieces),
        cmocka_unit_test(a_row_scales_alike_alone_and_in_any_batch),
        cmocka_unit_test(no_features_are_refused),
        cmocka_unit_test(more_features_than_can_be_addressed_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
