/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle is the formula of the header in double, over the fitted arrays. */
#include "../testing.h"

#include <float.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "nn/neighbours.h"
#include "nn/rng.h"

enum { SAMPLES = NEIGHBOURS_SAMPLES };

static const struct neighbours_options options = {
    .members = 100, .scale_rows = 2000, .trim = 0.1, .seed = 5};

/* Distinct values about 0, a triangular distribution. */
static float *draw_rows(size_t rows, size_t features, uint64_t seed)
{
    float *z = malloc(rows * features * sizeof *z);
    assert_non_null(z);
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (size_t i = 0; i < rows * features; i++) {
        z[i] = rng_float(&rng) + rng_float(&rng) - 1;
    }
    return z;
}

static struct neighbours *fit(float *out_of_bag, const float *z, size_t rows,
                              size_t features)
{
    struct neighbours *n = NULL;
    struct deepsad_error error = {0};
    assert_int_equal(neighbours_fit(&n, out_of_bag, z, rows, features, &options, &error),
                     DEEPSAD_OK);
    return n;
}

/* Offset of the member in feature_index; in samples, times SAMPLES. */
static size_t offset_of(const struct neighbours *n, size_t member)
{
    size_t offset = 0;
    for (size_t i = 0; i < member; i++) {
        offset += n->member_features[i];
    }
    return offset;
}

static double squared_distance(const struct neighbours *n, size_t member, size_t sample,
                               const float *row)
{
    size_t offset = offset_of(n, member);
    double sum = 0;
    for (size_t k = offset; k < offset + n->member_features[member]; k++) {
        double d =
            (double)row[n->feature_index[k]] - (double)n->samples[k * SAMPLES + sample];
        sum += d * d;
    }
    return sum;
}

static double distance_of(const struct neighbours *n, size_t member, const float *row)
{
    double nearest = HUGE_VAL;
    for (size_t s = 0; s < SAMPLES; s++) {
        nearest = fmin(nearest, squared_distance(n, member, s, row));
    }
    return sqrt(nearest);
}

static double share_of(const struct neighbours *n, size_t member, const float *row)
{
    double v = distance_of(n, member, row) * (double)n->inverse_scale[member];
    return v / (1 + v);
}

static double score_of(const struct neighbours *n, const float *row)
{
    double sum = 0;
    for (size_t i = 0; i < n->members; i++) {
        sum += share_of(n, i, row);
    }
    return sum / (double)n->members;
}

static void scores_agree_with_the_formula(void **state)
{
    (void)state;
    const size_t widths[] = {1, 2, 9, 40, 274, 1024, 1030};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        enum { ROWS = 60 };
        float *z = draw_rows(ROWS, widths[w], w);
        float *other = draw_rows(ROWS, widths[w], 100 + w);
        struct neighbours *n = fit(NULL, z, ROWS, widths[w]);
        float score[ROWS];
        neighbours_score(n, score, other, ROWS);
        for (size_t i = 0; i < ROWS; i += 7) {
            assert_near(score[i], score_of(n, other + i * widths[w]), 2e-6);
        }
        neighbours_free(n);
        free(other);
        free(z);
    }
}

static void every_kernel_gives_a_row_the_same_bits_in_any_batch(void **state)
{
    (void)state;
    enum { ROWS = 70 };
    for (size_t features = 1; features < 30; features += 4) {
        float *z = draw_rows(ROWS, features, features);
        struct neighbours *n = fit(NULL, z, ROWS, features);
        float all[ROWS], some[ROWS];
        for (int level = SIMD_BASELINE; level <= (int)simd_level(); level++) {
            enum simd_level l = (enum simd_level)level;
            neighbours_score_level(n, all, z, ROWS, l);
            assert_near_floor(all[9], score_of(n, z + 9 * features), 2e-6, 1e-6);
            for (size_t batch = 1; batch <= 35; batch++) {
                neighbours_score_level(n, some, z + batch * features, batch, l);
                assert_memory_equal(some, all + batch, batch * sizeof *some);
            }
        }
        neighbours_free(n);
        free(z);
    }
}

static void members_draw_the_numbers_of_features_that_the_formula_says(void **state)
{
    (void)state;
    enum { ROWS = 50, FEATURES = 11 };
    float *z = draw_rows(ROWS, FEATURES, 1);
    for (size_t i = 0; i < ROWS; i++) {
        z[i * FEATURES + 4] = 0.25F; /* constant: left out */
    }
    struct neighbours *n = fit(NULL, z, ROWS, FEATURES);
    const uint32_t expected[] = {1, 4, 5, 10};
    const uint32_t *features = n->feature_index;
    for (size_t i = 0; i < n->members; i++) {
        uint32_t m = n->member_features[i];
        assert_int_equal(m, expected[i % 4]);
        for (uint32_t k = 0; k < m; k++) {
            assert_true(features[k] < FEATURES && features[k] != 4);
            assert_true(k == 0 || features[k] > features[k - 1]);
        }
        features += m;
    }
    neighbours_free(n);
    free(z);
}

/* The row that a sample of a member was drawn from. */
static size_t row_of_sample(const struct neighbours *n, size_t member, size_t sample,
                            const float *z, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        if (squared_distance(n, member, sample, z + i * n->features) == 0) {
            return i;
        }
    }
    fail_msg("sample %zu of member %zu is no row", sample, member);
    return 0;
}

static void samples_are_distinct_rows(void **state)
{
    (void)state;
    enum { ROWS = 40, FEATURES = 5 };
    float *z = draw_rows(ROWS, FEATURES, 2);
    struct neighbours *n = fit(NULL, z, ROWS, FEATURES);
    for (size_t i = 0; i < n->members; i++) {
        bool seen[ROWS] = {false};
        for (size_t s = 0; s < SAMPLES; s++) {
            size_t row = row_of_sample(n, i, s, z, ROWS);
            assert_false(seen[row]);
            seen[row] = true;
        }
    }
    neighbours_free(n);
    free(z);
}

static void scales_are_mean_distances_of_the_rows_kept(void **state)
{
    (void)state;
    enum { ROWS = 200, FEATURES = 6 };
    float *z = draw_rows(ROWS, FEATURES, 3);
    struct neighbours_options all = options;
    all.trim = 0;
    struct neighbours *n = NULL;
    assert_int_equal(neighbours_fit(&n, NULL, z, ROWS, FEATURES, &all, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < n->members; i++) {
        double sum = 0;
        for (size_t r = 0; r < ROWS; r++) {
            sum += distance_of(n, i, z + r * FEATURES);
        }
        assert_near(n->inverse_scale[i], 1 / (sum / ROWS + 1e-4), 1e-5);
    }
    neighbours_free(n);
    free(z);
}

static void fewer_scale_rows_give_nearly_the_same_scores(void **state)
{
    (void)state;
    enum { ROWS = 3000, FEATURES = 6 };
    float *z = draw_rows(ROWS, FEATURES, 4);
    struct neighbours_options few = options;
    few.scale_rows = 500;
    struct neighbours *n = NULL;
    struct neighbours *m = fit(NULL, z, ROWS, FEATURES);
    assert_int_equal(neighbours_fit(&n, NULL, z, ROWS, FEATURES, &few, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < n->members; i++) {
        assert_near(n->inverse_scale[i], m->inverse_scale[i], 0.25);
    }
    neighbours_free(m);
    neighbours_free(n);
    free(z);
}

static void the_highest_rows_are_left_out_of_the_second_draw(void **state)
{
    (void)state;
    enum { ROWS = 300, FEATURES = 4, OUTLIERS = 20 };
    float *z = draw_rows(ROWS, FEATURES, 6);
    for (size_t i = 0; i < OUTLIERS * FEATURES; i++) {
        z[i] += 8 + (float)(i % 7); /* far away and apart */
    }
    struct neighbours *n = fit(NULL, z, ROWS, FEATURES);
    size_t samples = offset_of(n, n->members) * SAMPLES;
    for (size_t i = 0; i < samples; i++) {
        assert_true(fabsf(n->samples[i]) <= 1);
    }
    float score[ROWS];
    neighbours_score(n, score, z, ROWS);
    for (size_t i = OUTLIERS; i < ROWS; i++) {
        assert_true(score[i] < score[i % OUTLIERS]);
    }
    neighbours_free(n);
    free(z);
}

static void out_of_bag_scores_leave_out_members_that_drew_the_row(void **state)
{
    (void)state;
    enum { ROWS = 120, FEATURES = 3 };
    float *z = draw_rows(ROWS, FEATURES, 7);
    float out_of_bag[ROWS];
    struct neighbours *n = fit(out_of_bag, z, ROWS, FEATURES);
    size_t drawn = 0;
    for (size_t r = 0; r < ROWS; r++) {
        const float *row = z + r * FEATURES;
        double sum = 0;
        size_t members = 0;
        for (size_t i = 0; i < n->members; i++) {
            bool has = distance_of(n, i, row) == 0;
            sum += has ? 0 : share_of(n, i, row);
            members += !has;
            drawn += has;
        }
        assert_near(out_of_bag[r], sum / (double)members, 2e-6);
    }
    assert_int_equal(drawn, n->members * SAMPLES);
    neighbours_free(n);
    free(z);
}

static void few_rows_are_repeated(void **state)
{
    (void)state;
    for (size_t rows = 1; rows <= 20; rows++) {
        float *z = draw_rows(rows, 3, rows);
        float out_of_bag[20];
        float score[20];
        struct neighbours *n = fit(out_of_bag, z, rows, 3);
        neighbours_score(n, score, z, rows);
        for (size_t i = 0; i < rows; i++) {
            assert_true(score[i] >= 0 && score[i] <= 1);
            assert_true(out_of_bag[i] >= 0 && out_of_bag[i] <= 1);
            assert_near_floor(score[i], score_of(n, z + 3 * i), 2e-6, 1e-6);
        }
        neighbours_free(n);
        free(z);
    }
}

static void constant_columns_alone_score_zero(void **state)
{
    (void)state;
    float z[30 * 2];
    float out_of_bag[30];
    for (size_t i = 0; i < 60; i++) {
        z[i] = 3;
    }
    struct neighbours *n = fit(out_of_bag, z, 30, 2);
    float score[31];
    const float other[] = {-7, 1e9F};
    neighbours_score(n, score, z, 30);
    neighbours_score(n, score + 30, other, 1);
    for (size_t i = 0; i <= 30; i++) {
        assert_true(score[i] == 0);
    }
    assert_true(out_of_bag[29] == 0);
    neighbours_free(n);
}

static void duplicates_of_one_row_and_a_stranger_are_told_apart(void **state)
{
    (void)state;
    float z[100 * 2] = {0};
    z[0] = 1;
    z[1] = 2;
    struct neighbours *n = fit(NULL, z, 100, 2);
    float score[100];
    neighbours_score(n, score, z, 100);
    assert_true(score[0] > 0.99F && score[0] <= 1);
    assert_true(score[1] == 0 && score[99] == 0);
    neighbours_free(n);
}

static void extreme_values_never_give_nan(void **state)
{
    (void)state;
    const float extreme[] = {FLT_MAX, -FLT_MAX, INFINITY, NAN, 1e-45F, 1e19F};
    float *z = draw_rows(64, 6, 8);
    for (int trained = 0; trained <= 1; trained++) {
        if (trained == 1) {
            memcpy(z, (const float[]){1e9F, -1e9F, 0, 1e9F, 0, 0}, 6 * sizeof *z);
        }
        struct neighbours *n = fit(NULL, z, 64, 6);
        for (size_t batch = 1; batch <= 16; batch += 15) {
            float rows[16 * 6];
            float score[16];
            for (size_t i = 0; i < batch * 6; i++) {
                rows[i] = extreme[(i + i / 6) % 6];
            }
            for (int level = SIMD_BASELINE; level <= (int)simd_level(); level++) {
                neighbours_score_level(n, score, rows, batch, (enum simd_level)level);
                for (size_t i = 0; i < batch; i++) {
                    assert_true(score[i] > 0.5F && score[i] <= 1);
                }
            }
        }
        neighbours_free(n);
    }
    free(z);
}

enum { THREADS = 4, THREAD_ROWS = 40 };
struct concurrent {
    const struct neighbours *neighbours;
    const float *z;
    float score[THREADS][THREAD_ROWS];
};

static void score_concurrently(void *closure, size_t i)
{
    struct concurrent *c = closure;
    for (int repeat = 0; repeat < 50; repeat++) {
        neighbours_score(c->neighbours, c->score[i], c->z, THREAD_ROWS);
    }
}

static void threads_share_a_model(void **state)
{
    (void)state;
    float *z = draw_rows(THREAD_ROWS, 8, 11);
    struct neighbours *n = fit(NULL, z, THREAD_ROWS, 8);
    struct concurrent c = {.neighbours = n, .z = z};
    parallel_for(THREADS, THREADS, score_concurrently, &c);
    for (size_t i = 0; i < THREADS; i++) {
        assert_memory_equal(c.score[i], c.score[0], sizeof c.score[0]);
    }
    assert_near(c.score[0][7], score_of(n, z + 7 * 8), 2e-6);
    neighbours_free(n);
    free(z);
}

static void the_same_seed_gives_the_same_model(void **state)
{
    (void)state;
    enum { ROWS = 90, FEATURES = 7 };
    float *z = draw_rows(ROWS, FEATURES, 9);
    struct neighbours_options other = options;
    other.seed = 6;
    struct neighbours *c = NULL;
    struct neighbours *a = fit(NULL, z, ROWS, FEATURES);
    struct neighbours *b = fit(NULL, z, ROWS, FEATURES);
    assert_int_equal(neighbours_fit(&c, NULL, z, ROWS, FEATURES, &other, NULL), 0);
    size_t bytes = offset_of(a, a->members) * SAMPLES * sizeof *a->samples;
    assert_memory_equal(a->samples, b->samples, bytes);
    assert_memory_equal(a->inverse_scale, b->inverse_scale,
                        a->members * sizeof *a->inverse_scale);
    assert_memory_not_equal(a->samples, c->samples, bytes);
    neighbours_free(a);
    neighbours_free(b);
    neighbours_free(c);
    free(z);
}

static void any_number_of_members_is_summed(void **state)
{
    (void)state;
    float *z = draw_rows(50, 4, 10);
    for (size_t members = 1; members <= 40; members += 3) {
        struct neighbours_options some = options;
        some.members = members;
        struct neighbours *n = NULL;
        assert_int_equal(neighbours_fit(&n, NULL, z, 50, 4, &some, NULL), DEEPSAD_OK);
        float one = 0;
        float block[16];
        const float *row = z + 4; /* the first scores highest or not: any will do */
        neighbours_score(n, &one, row, 1);
        neighbours_score(n, block, row, 16);
        assert_near_floor(one, score_of(n, row), 2e-6, 1e-6);
        assert_memory_equal(&one, block, sizeof one);
        neighbours_free(n);
    }
    free(z);
}

static void nothing_to_fit_is_refused(void **state)
{
    (void)state;
    struct neighbours *n = NULL;
    struct deepsad_error error = {0};
    const float z[] = {0};
    assert_int_equal(neighbours_fit(&n, NULL, z, 0, 1, &options, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "at least one row");
    struct neighbours_options wrong = options;
    wrong.trim = 1;
    assert_int_equal(neighbours_fit(&n, NULL, z, 1, 1, &wrong, NULL), DEEPSAD_INVALID);
    wrong = options;
    wrong.members = 0;
    assert_int_equal(neighbours_fit(&n, NULL, z, 1, 1, &wrong, NULL), DEEPSAD_INVALID);
    assert_int_equal(neighbours_new(&n, 1, SIZE_MAX / 2, 1, NULL), DEEPSAD_NO_MEMORY);
    assert_int_equal(neighbours_new(&n, 1, 1, SIZE_MAX / 2, NULL), DEEPSAD_NO_MEMORY);
    assert_null(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_agree_with_the_formula),
        cmocka_unit_test(every_kernel_gives_a_row_the_same_bits_in_any_batch),
        cmocka_unit_test(members_draw_the_numbers_of_features_that_the_formula_says),
        cmocka_unit_test(samples_are_distinct_rows),
        cmocka_unit_test(scales_are_mean_distances_of_the_rows_kept),
        cmocka_unit_test(fewer_scale_rows_give_nearly_the_same_scores),
        cmocka_unit_test(the_highest_rows_are_left_out_of_the_second_draw),
        cmocka_unit_test(out_of_bag_scores_leave_out_members_that_drew_the_row),
        cmocka_unit_test(few_rows_are_repeated),
        cmocka_unit_test(constant_columns_alone_score_zero),
        cmocka_unit_test(duplicates_of_one_row_and_a_stranger_are_told_apart),
        cmocka_unit_test(extreme_values_never_give_nan),
        cmocka_unit_test(threads_share_a_model),
        cmocka_unit_test(the_same_seed_gives_the_same_model),
        cmocka_unit_test(any_number_of_members_is_summed),
        cmocka_unit_test(nothing_to_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
