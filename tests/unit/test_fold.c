/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "../testing.h"

#include "model/fold.h"
#include "nn/rng.h"

enum { ROWS = 400, FEATURES = 3, MEMBERS = 4 };

struct sample {
    float x[ROWS * FEATURES];
    size_t order[ROWS];
};

static void fill(struct sample *sample)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (size_t i = 0; i < ROWS * FEATURES; i++) {
        sample->x[i] = rng_float(&rng);
    }
    for (size_t i = 0; i < ROWS; i++) {
        sample->order[i] = i;
    }
}

static struct folds folds_of(const struct sample *sample, size_t unlabeled,
                             size_t normals, size_t anomalies, size_t members,
                             double held_out)
{
    struct folds folds;
    struct deepsad_error error = {0};
    struct fold_rows rows = {.x = sample->x,
                             .order = sample->order,
                             .features = FEATURES,
                             .unlabeled = unlabeled,
                             .normals = normals,
                             .anomalies = anomalies,
                             .references = unlabeled};
    assert_int_equal(folds_make(&folds, &rows, members, held_out, &error), DEEPSAD_OK);
    return folds;
}

static void a_row_keeps_its_fold_when_rows_are_reordered(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample);
    struct folds before = folds_of(&sample, ROWS, 0, 0, MEMBERS, 0);
    for (size_t i = 0; i < ROWS; i++) {
        sample.order[i] = ROWS - 1 - i;
    }
    struct folds after = folds_of(&sample, ROWS, 0, 0, MEMBERS, 0);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(before.of[i], after.of[ROWS - 1 - i]);
    }
    folds_done(&before);
    folds_done(&after);
}

static void assert_balanced(const struct folds *folds)
{
    size_t counts[MEMBERS] = {0};
    for (size_t i = 0; i < ROWS; i++) {
        assert_true(folds->of[i] < MEMBERS);
        counts[folds->of[i]]++;
    }
    for (size_t k = 0; k < MEMBERS; k++) {
        assert_in_range(counts[k], ROWS / 8, ROWS / 2);
    }
}

static void folds_are_of_similar_size_even_for_equal_rows(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample);
    struct folds folds = folds_of(&sample, ROWS, 0, 0, MEMBERS, 0);
    assert_balanced(&folds);
    folds_done(&folds);
    memset(sample.x, 0, sizeof sample.x);
    folds = folds_of(&sample, ROWS, 0, 0, MEMBERS, 0);
    assert_balanced(&folds);
    folds_done(&folds);
}

static void labels_are_dealt_round_robin_within_their_class(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample);
    struct folds folds = folds_of(&sample, 300, 50, 50, MEMBERS, 0);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(folds.of[300 + i], i % MEMBERS);
        assert_int_equal(folds.of[350 + i], i % MEMBERS);
    }
    folds_done(&folds);
}

static void a_labels_ordinal_decides_its_fold(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample);
    struct folds folds;
    uint32_t ordinals[60];
    for (uint32_t i = 0; i < 60; i++) {
        ordinals[i] = i < 40 ? 100 + 3 * i : 7 * i;
    }
    struct fold_rows rows = {.x = sample.x,
                             .order = sample.order,
                             .features = FEATURES,
                             .unlabeled = 300,
                             .normals = 40,
                             .anomalies = 20,
                             .references = 300,
                             .ordinals = ordinals};
    assert_int_equal(folds_make(&folds, &rows, MEMBERS, 0, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(folds.of[300 + i], ordinals[i] % MEMBERS);
    }
    folds_done(&folds);
}

static void fewer_than_ten_labelled_anomalies_teach_every_member(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample);
    struct folds folds = folds_of(&sample, 300, 0, 9, MEMBERS, 0);
    for (size_t i = 300; i < 309; i++) {
        assert_int_equal(folds.of[i], FOLD_NONE);
    }
    folds_done(&folds);
}

static void a_single_member_holds_out_a_share(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample);
    struct folds folds = folds_of(&sample, ROWS, 0, 0, 1, 0.25);
    size_t held_out = 0;
    for (size_t i = 0; i < ROWS; i++) {
        held_out += folds.of[i] == 0;
    }
    assert_int_equal(folds.basis, FOLD_HELD_OUT);
    assert_in_range(held_out, ROWS / 8, ROWS / 2);
    folds_done(&folds);
}

static void a_handful_of_rows_is_not_folded(void **state)
{
    (void)state;
    struct sample sample;
    fill(&sample);
    struct folds folds = folds_of(&sample, 7, 0, 0, MEMBERS, 0);
    assert_int_equal(folds.basis, FOLD_IN_SAMPLE);
    assert_int_equal(folds.of[0], FOLD_NONE);
    folds_done(&folds);
    folds = folds_of(&sample, 100, 0, 0, 1, 0.1);
    assert_int_equal(folds.basis, FOLD_IN_SAMPLE);
    folds_done(&folds);
}

static void missing_values_and_zeros_hash_alike_whatever_their_bits(void **state)
{
    (void)state;
    const float a[] = {0.0F, NAN}, b[] = {-0.0F, -NAN}, c[] = {0.0F, 1.0F};
    assert_true(fold_hash(a, 2) == fold_hash(b, 2));
    assert_true(fold_hash(a, 2) != fold_hash(c, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_keeps_its_fold_when_rows_are_reordered),
        cmocka_unit_test(folds_are_of_similar_size_even_for_equal_rows),
        cmocka_unit_test(labels_are_dealt_round_robin_within_their_class),
        cmocka_unit_test(a_labels_ordinal_decides_its_fold),
        cmocka_unit_test(fewer_than_ten_labelled_anomalies_teach_every_member),
        cmocka_unit_test(a_single_member_holds_out_a_share),
        cmocka_unit_test(a_handful_of_rows_is_not_folded),
        cmocka_unit_test(missing_values_and_zeros_hash_alike_whatever_their_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
