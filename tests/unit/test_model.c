/* SPDX-License-Identifier: Apache-2.0 */
#include "../folder.h"
#include "../sample_data.h"
#include "../testing.h"

#include "base/file.h"
#include "model/digest.h"
#include "model/model_file.h"
#include "model/safetensors.h"

enum { ROWS = 327 };

struct fixture {
    struct deepsad_dataset data;
    struct deepsad_recipe *recipe;
    struct deepsad_model *model;
};

static struct fixture fixture_of(const char *name)
{
    struct fixture fixture = {.data = sample_data(300, 12, 15, 4)};
    fixture.recipe = name == NULL ? sample_reference() : sample_recipe(name);
    fixture.model = sample_model(&fixture.data, fixture.recipe, 2);
    return fixture;
}

static void fixture_done(struct fixture *fixture)
{
    deepsad_model_unref(fixture->model);
    deepsad_recipe_free(fixture->recipe);
    deepsad_dataset_clear(&fixture->data);
}

static void assert_same_scores(const struct deepsad_model *a,
                               const struct deepsad_model *b,
                               const struct deepsad_dataset *data)
{
    float scores[2][ROWS], p[2][ROWS];
    sample_scores(a, scores[0], p[0], data);
    sample_scores(b, scores[1], p[1], data);
    assert_memory_equal(scores[0], scores[1], data->rows * sizeof(float));
    assert_memory_equal(p[0], p[1], data->rows * sizeof(float));
}

/* A model that was read holds no training rows: what is written of it says so. */
static void check_round_trip(struct fixture *fixture)
{
    struct training_set *set = fixture->model->set;
    struct buffer file = {0}, again = {0};
    struct deepsad_error error = {0};
    struct deepsad_model *loaded = NULL;
    assert_int_equal(model_file_format(&file, fixture->model, &error), DEEPSAD_OK);
    fixture->model->set = NULL;
    assert_int_equal(model_file_format(&again, fixture->model, &error), DEEPSAD_OK);
    fixture->model->set = set;
    if (model_file_parse(&loaded, &file, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    assert_same_scores(fixture->model, loaded, &fixture->data);
    assert_int_equal(model_file_format(&file, loaded, &error), DEEPSAD_OK);
    assert_int_equal(file.length, again.length);
    assert_memory_equal(file.data, again.data, file.length);
    buffer_done(&file);
    buffer_done(&again);
    deepsad_model_unref(loaded);
}

static void a_saved_model_scores_bit_for_bit_as_before(void **state)
{
    (void)state;
    static const char *const recipes[] = {"default", NULL};
    for (size_t i = 0; i < 2; i++) {
        struct fixture fixture = fixture_of(recipes[i]);
        check_round_trip(&fixture);
        fixture_done(&fixture);
    }
}

static void every_kind_of_component_is_saved(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of("default");
    deepsad_model_unref(fixture.model);
    sample_set(fixture.recipe, "autoencoder", "on");
    sample_set(fixture.recipe, "autoencoder_steps", "5");
    sample_set(fixture.recipe, "autoencoder_hidden", "3,2");
    fixture.model = sample_model(&fixture.data, fixture.recipe, 2);
    check_round_trip(&fixture);
    fixture_done(&fixture);
}

static struct buffer file_of(const struct deepsad_model *model)
{
    struct buffer file = {0};
    struct deepsad_error error = {0};
    assert_int_equal(model_file_format(&file, model, &error), DEEPSAD_OK);
    return file;
}

/* Parses a copy of the first `size` bytes. */
static int parse_copy(struct deepsad_model **out, const struct buffer *file, size_t size,
                      struct deepsad_error *error)
{
    struct buffer copy = {0};
    buffer_append(&copy, file->data, size);
    int status = model_file_parse(out, &copy, error);
    buffer_done(&copy);
    return status;
}

static void a_file_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of(NULL);
    struct buffer file = file_of(fixture.model);
    for (size_t size = 0; size < file.length; size++) {
        struct deepsad_error error = {0};
        struct deepsad_model *model = NULL;
        assert_int_equal(parse_copy(&model, &file, size, &error), DEEPSAD_CORRUPT);
        assert_null(model);
    }
    buffer_done(&file);
    fixture_done(&fixture);
}

static void a_flipped_bit_is_refused_or_harmless(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of(NULL);
    struct buffer file = file_of(fixture.model);
    for (size_t i = 0; i < file.length; i++) {
        struct deepsad_error error = {0};
        struct deepsad_model *model = NULL;
        char bit = (char)(1 << (i * 7 % 8));
        file.data[i] = (char)(file.data[i] ^ bit);
        if (parse_copy(&model, &file, file.length, &error) == DEEPSAD_OK) {
            assert_same_scores(fixture.model, model, &fixture.data);
            deepsad_model_unref(model);
        } else {
            assert_true(error.message[0] != '\0');
        }
        file.data[i] = (char)(file.data[i] ^ bit);
    }
    buffer_done(&file);
    fixture_done(&fixture);
}

/* The file with one text in its header or manifest put in place of another. */
static void assert_changed_text(const struct buffer *file, const char *from,
                                const char *to, int status, const char *part)
{
    struct buffer copy = {0};
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    buffer_append(&copy, file->data, file->length);
    char *place = memmem(copy.data, copy.length, from, strlen(from));
    assert_non_null(place);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(place, to, strlen(to));
    assert_int_equal(model_file_parse(&model, &copy, &error), status);
    assert_error_says(error, part);
    buffer_done(&copy);
}

static void each_damage_has_its_own_message(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of("default");
    struct buffer file = file_of(fixture.model);
    assert_changed_text(&file, "\"deepsad.format\":\"1\"", "\"deepsad.format\":\"2\"",
                        DEEPSAD_UNSUPPORTED, "newer version");
    assert_changed_text(&file, "deepsad.format", "deepsad.fXrmat", DEEPSAD_UNSUPPORTED,
                        "not a deepsad model");
    assert_changed_text(&file, "deepsad.sha256", "deepsad.shaXXX", DEEPSAD_CORRUPT,
                        "deepsad.sha256");
    assert_changed_text(&file, "\\\"weight\\\":0.25", "\\\"weight\\\":0.75",
                        DEEPSAD_CORRUPT, "digest");
    assert_changed_text(&file, "\"scaler.impute\"", "\"scaler.input_\"", DEEPSAD_CORRUPT,
                        "digest");
    assert_changed_text(&file, "F32", "F16", DEEPSAD_UNSUPPORTED, "dtype F16");
    buffer_done(&file);
    fixture_done(&fixture);
}

static void a_message_names_the_file(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    folder_path(path, state, "broken.safetensors");
    assert_int_equal(file_replace(path, "nonsense", 8, &error), DEEPSAD_OK);
    assert_int_equal(deepsad_model_load(&model, path, &error), DEEPSAD_CORRUPT);
    assert_error_says(error, path);
    error = (struct deepsad_error){0};
    folder_path(path, state, "absent.safetensors");
    assert_int_equal(deepsad_model_load(&model, path, &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, path);
}

static void features_are_found_by_name(void **state)
{
    (void)state;
    char *names[] = {"time", "t", "amount", "tim"};
    struct deepsad_dataset data = sample_data(60, 0, 0, 4);
    data.names = names;
    struct deepsad_recipe *recipe = sample_recipe("default");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(deepsad_model_feature_name(model, i), names[i]);
        assert_int_equal(deepsad_model_feature_index(model, names[i], strlen(names[i])),
                         i);
    }
    assert_true(deepsad_model_feature_index(model, "timer", 5) == SIZE_MAX);
    assert_int_equal(deepsad_model_feature_index(model, "timer", 3), 3);
    data.names = NULL;
    deepsad_dataset_clear(&data);
    deepsad_recipe_free(recipe);
    deepsad_model_unref(model);
}

static void data_of_other_columns_is_refused(void **state)
{
    (void)state;
    char *names[] = {"a", "b"}, *others[] = {"a", "c"};
    struct deepsad_error error = {0};
    struct deepsad_dataset data = sample_data(60, 0, 0, 2);
    data.names = names;
    struct deepsad_recipe *recipe = sample_recipe("default");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    assert_int_equal(deepsad_model_accepts(model, &data, &error), DEEPSAD_OK);
    data.names = others;
    assert_int_equal(deepsad_model_accepts(model, &data, &error), DEEPSAD_INVALID);
    assert_error_says(error, "\"c\"");
    data.names = NULL;
    assert_int_equal(deepsad_model_accepts(model, &data, NULL), DEEPSAD_OK);
    data.features = 1;
    assert_int_equal(deepsad_model_accepts(model, &data, NULL), DEEPSAD_INVALID);
    deepsad_dataset_clear(&data);
    deepsad_recipe_free(recipe);
    deepsad_model_unref(model);
}

static void scores_hardly_depend_on_the_batch(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of("default");
    float scores[ROWS], p[ROWS], one;
    sample_scores(fixture.model, scores, p, &fixture.data);
    for (size_t i = 0; i < ROWS; i++) {
        struct deepsad_dataset row = {
            .rows = 1, .features = 4, .x = fixture.data.x + 4 * i};
        float p_value;
        sample_scores(fixture.model, &one, &p_value, &row);
        assert_near_floor((double)one, (double)scores[i], 1e-6, 1);
    }
    fixture_done(&fixture);
}

static void evaluation_counts_what_the_scores_say(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of("default");
    struct deepsad_evaluation evaluation;
    struct deepsad_error error = {0};
    assert_int_equal(
        deepsad_evaluate(&evaluation, fixture.model, &fixture.data, 0.05, &error),
        DEEPSAD_OK);
    assert_int_equal(evaluation.rows, 27);
    assert_int_equal(evaluation.anomalies, 15);
    assert_true(evaluation.auc_roc > 0.95 && evaluation.auc_pr > 0.95);
    assert_true(evaluation.recall_at_alpha > 0.9);
    assert_true(evaluation.false_alarm_rate <= 0.25);
    assert_true(isfinite(evaluation.latent_entropy_normal));
    memset(fixture.data.labels, 1, fixture.data.rows);
    assert_int_equal(
        deepsad_evaluate(&evaluation, fixture.model, &fixture.data, 0.05, &error),
        DEEPSAD_INVALID);
    assert_error_says(error, "both classes");
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_model_scores_bit_for_bit_as_before),
        cmocka_unit_test(every_kind_of_component_is_saved),
        cmocka_unit_test(a_file_cut_off_anywhere_is_refused),
        cmocka_unit_test(a_flipped_bit_is_refused_or_harmless),
        cmocka_unit_test(each_damage_has_its_own_message),
        cmocka_unit_test_setup_teardown(a_message_names_the_file, folder_setup,
                                        folder_teardown),
        cmocka_unit_test(features_are_found_by_name),
        cmocka_unit_test(data_of_other_columns_is_refused),
        cmocka_unit_test(scores_hardly_depend_on_the_batch),
        cmocka_unit_test(evaluation_counts_what_the_scores_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
