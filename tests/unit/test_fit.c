/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "../sample_data.h"
#include "../testing.h"

enum { ROWS_MAX = 700 };

/* Trains and scores the data's own rows; NULL recipe name: the short reference. */
static void train_and_score(float scores[static ROWS_MAX], float p[static ROWS_MAX],
                            const struct deepsad_dataset *data, const char *name,
                            size_t threads)
{
    struct deepsad_recipe *recipe =
        name == NULL ? sample_reference() : sample_recipe(name);
    struct deepsad_model *model = sample_model(data, recipe, threads);
    sample_scores(model, scores, p, data);
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
}

/* The least of the last `anomalies` scores is above the greatest of all but a few. */
static void assert_separated(const float *scores, const struct deepsad_dataset *data,
                             size_t anomalies)
{
    size_t normals = data->rows - anomalies, above = 0;
    for (size_t i = 0; i < normals; i++) {
        for (size_t j = normals; j < data->rows; j++) {
            above += scores[i] > scores[j];
        }
    }
    assert_true(above * 50 <= normals * anomalies);
}

static void the_default_recipe_tells_anomalies_apart(void **state)
{
    (void)state;
    float scores[ROWS_MAX], p[ROWS_MAX];
    struct deepsad_dataset data = sample_data(600, 20, 20, 5);
    train_and_score(scores, p, &data, "default", 2);
    assert_separated(scores, &data, 20);
    assert_true(p[639] < 0.01F && p[0] > 0.01F);
    deepsad_dataset_clear(&data);
}

static void the_reference_recipe_tells_anomalies_apart(void **state)
{
    (void)state;
    float scores[ROWS_MAX], p[ROWS_MAX];
    struct deepsad_dataset data = sample_data(600, 20, 20, 5);
    struct deepsad_recipe *recipe = sample_reference();
    sample_set(recipe, "epochs", "60");
    sample_set(recipe, "learning_rate", "0.003");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    sample_scores(model, scores, p, &data);
    assert_separated(scores, &data, 20);
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static void a_cold_start_tells_anomalies_apart_without_labels(void **state)
{
    (void)state;
    float scores[ROWS_MAX], p[ROWS_MAX];
    struct deepsad_dataset data = sample_data(600, 0, 10, 5);
    memset(data.labels, 0, data.rows);
    train_and_score(scores, p, &data, "default", 1);
    assert_separated(scores, &data, 10);
    deepsad_dataset_clear(&data);
}

static void the_number_of_threads_does_not_change_a_score(void **state)
{
    (void)state;
    float one[ROWS_MAX], four[ROWS_MAX], p[ROWS_MAX];
    struct deepsad_dataset data = sample_data(300, 10, 15, 5);
    train_and_score(one, p, &data, "default", 1);
    train_and_score(four, p, &data, "default", 4);
    assert_memory_equal(one, four, data.rows * sizeof *one);
    deepsad_dataset_clear(&data);
}

static void p_values_never_rise_with_the_score(void **state)
{
    (void)state;
    float scores[ROWS_MAX], p[ROWS_MAX];
    struct deepsad_dataset data = sample_data(300, 10, 15, 4);
    train_and_score(scores, p, &data, "default", 2);
    for (size_t i = 0; i < data.rows; i++) {
        for (size_t j = 0; j < data.rows; j++) {
            assert_true(scores[i] <= scores[j] || p[i] <= p[j]);
        }
    }
    deepsad_dataset_clear(&data);
}

/* Every shape of data that could trip a fold, a batch or a median. */
static void odd_data_sets_train_and_score_finite(void **state)
{
    (void)state;
    static const size_t shapes[][4] = {{1, 0, 0, 3},  {1, 0, 1, 3},    {2, 1, 1, 1},
                                       {3, 0, 5, 2},  {7, 0, 0, 2},    {9, 1, 12, 3},
                                       {0, 40, 9, 3}, {0, 200, 30, 1}, {50, 0, 1, 4},
                                       {0, 1, 1, 1},  {0, 1, 0, 2},    {150, 0, 200, 2}};
    float scores[ROWS_MAX], p[ROWS_MAX];
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const size_t *s = shapes[i];
        struct deepsad_dataset data = sample_data(s[0], s[1], s[2], s[3]);
        train_and_score(scores, p, &data, "default", 2);
        train_and_score(scores, p, &data, NULL, 2);
        deepsad_dataset_clear(&data);
    }
}

static void constant_missing_and_huge_columns_train_and_score_finite(void **state)
{
    (void)state;
    float scores[ROWS_MAX], p[ROWS_MAX];
    struct deepsad_dataset data = sample_data(200, 5, 12, 4);
    for (size_t i = 0; i < data.rows; i++) {
        data.x[i * 4] = 7;
        data.x[i * 4 + 1] = NAN;
        data.x[i * 4 + 2] *= 1e30F;
        data.x[i * 4 + 3] = i % 3 == 0 ? NAN : data.x[i * 4 + 3];
    }
    train_and_score(scores, p, &data, "default", 2);
    train_and_score(scores, p, &data, NULL, 2);
    for (size_t i = 0; i < data.rows * 4; i++) {
        data.x[i] = 1;
    }
    train_and_score(scores, p, &data, "default", 2);
    train_and_score(scores, p, &data, NULL, 2);
    deepsad_dataset_clear(&data);
}

static void rows_far_outside_the_training_range_score_finite(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(200, 0, 12, 3);
    struct deepsad_recipe *recipes[] = {sample_recipe("default"), sample_reference()};
    float far[] = {3e38F, -3e38F, 1e20F, INFINITY, -INFINITY, NAN};
    struct deepsad_dataset rows = {.rows = 2, .features = 3, .x = far};
    for (size_t i = 0; i < 2; i++) {
        float scores[2], p[2];
        struct deepsad_model *model = sample_model(&data, recipes[i], 1);
        sample_scores(model, scores, p, &rows);
        deepsad_model_unref(model);
        deepsad_recipe_free(recipes[i]);
    }
    deepsad_dataset_clear(&data);
}

static void anomalies_alone_are_refused_with_what_to_add(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    struct deepsad_dataset data = sample_data(0, 0, 30, 3);
    struct deepsad_recipe *recipe = sample_recipe("default");
    assert_int_equal(deepsad_train(&model, &data, recipe, NULL, &error), DEEPSAD_INVALID);
    assert_error_says(error, "add unlabeled or normal rows");
    assert_null(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

struct watch {
    size_t calls, stop_at;
    double fraction;
    bool falls;
};

static int on_progress(void *closure, const struct deepsad_progress *progress)
{
    struct watch *watch = closure;
    watch->falls = watch->falls || progress->fraction < watch->fraction - 1e-9;
    watch->fraction = progress->fraction;
    return ++watch->calls == watch->stop_at;
}

static int train_watched(struct watch *watch, const char *name,
                         struct deepsad_error *error)
{
    struct deepsad_dataset data = sample_data(300, 10, 15, 4);
    struct deepsad_recipe *recipe = sample_recipe(name);
    struct deepsad_model *model = NULL;
    struct deepsad_train_options options = {
        .threads = 2, .progress = on_progress, .closure = watch};
    int status = deepsad_train(&model, &data, recipe, &options, error);
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    return status;
}

static void progress_rises_to_one(void **state)
{
    (void)state;
    struct watch watch = {0};
    struct deepsad_error error = {0};
    assert_int_equal(train_watched(&watch, "default", &error), DEEPSAD_OK);
    assert_true(watch.calls > 100);
    assert_false(watch.falls);
    assert_near(watch.fraction, 1, 1e-6);
}

static void a_cancelled_training_stops_at_once(void **state)
{
    (void)state;
    for (size_t stop = 1; stop <= 300; stop = stop * 7 + 1) {
        struct watch watch = {.stop_at = stop};
        struct deepsad_error error = {0};
        assert_int_equal(train_watched(&watch, "reference", &error), DEEPSAD_CANCELLED);
        assert_error_says(error, "cancelled");
        assert_int_equal(watch.calls, stop);
    }
}

static json_t *card_of(const struct deepsad_dataset *data, struct deepsad_recipe *recipe)
{
    struct deepsad_model *model = sample_model(data, recipe, 2);
    char *text = deepsad_model_card(model);
    json_t *card = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(card);
    free(text);
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    return card;
}

static const char *basis_of(const json_t *card)
{
    return json_string_value(
        json_object_get(json_object_get(card, "calibration"), "basis"));
}

static void the_card_says_how_the_model_was_calibrated(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(300, 10, 15, 4);
    json_t *card = card_of(&data, sample_recipe("default"));
    assert_string_equal(basis_of(card), "out-of-fold");
    assert_int_equal(json_array_size(json_object_get(card, "warnings")), 0);
    json_decref(card);
    card = card_of(&data, sample_reference());
    assert_string_equal(basis_of(card), "held-out");
    json_decref(card);
    memset(data.labels, 0, data.rows);
    card = card_of(&data, sample_recipe("default"));
    assert_string_equal(basis_of(card), "out-of-bag");
    json_decref(card);
    deepsad_dataset_clear(&data);
}

static void an_alpha_out_of_reach_is_warned_of(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(50, 0, 12, 3);
    json_t *card = card_of(&data, sample_recipe("default"));
    const json_t *warnings = json_object_get(card, "warnings");
    assert_int_equal(json_array_size(warnings), 1);
    assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), "alpha"));
    json_decref(card);
    deepsad_dataset_clear(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_recipe_tells_anomalies_apart),
        cmocka_unit_test(the_reference_recipe_tells_anomalies_apart),
        cmocka_unit_test(a_cold_start_tells_anomalies_apart_without_labels),
        cmocka_unit_test(the_number_of_threads_does_not_change_a_score),
        cmocka_unit_test(p_values_never_rise_with_the_score),
        cmocka_unit_test(odd_data_sets_train_and_score_finite),
        cmocka_unit_test(constant_missing_and_huge_columns_train_and_score_finite),
        cmocka_unit_test(rows_far_outside_the_training_range_score_finite),
        cmocka_unit_test(anomalies_alone_are_refused_with_what_to_add),
        cmocka_unit_test(progress_rises_to_one),
        cmocka_unit_test(a_cancelled_training_stops_at_once),
        cmocka_unit_test(the_card_says_how_the_model_was_calibrated),
        cmocka_unit_test(an_alpha_out_of_reach_is_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
