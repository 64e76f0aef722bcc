/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "../folder.h"
#include "../sample_data.h"
#include "../testing.h"

#include "model/model.h"
#include "model/model_file.h"
#include "model/training_set_file.h"

enum { UNLABELED = 300, NORMALS = 12, ANOMALIES = 15, FEATURES = 4 };

/* Of a data set whose classes are mixed and that has missing values. */
static struct deepsad_dataset mixed_data(void)
{
    struct deepsad_dataset data = sample_data(UNLABELED, NORMALS, ANOMALIES, FEATURES);
    for (size_t i = 0; i < data.rows; i += 7) {
        size_t j = data.rows - 1 - i;
        signed char label = data.labels[i];
        data.labels[i] = data.labels[j];
        data.labels[j] = label;
        data.x[i * FEATURES + i % FEATURES] = NAN;
    }
    return data;
}

static struct training_set set_of(const struct deepsad_dataset *data, size_t most)
{
    struct deepsad_error error = {0};
    struct training_set set;
    if (training_set_from_dataset(&set, data, most, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return set;
}

static void a_small_data_set_is_kept_whole_and_in_order(void **state)
{
    (void)state;
    struct deepsad_dataset data = mixed_data();
    struct training_set set = set_of(&data, 1000);
    assert_true(set.complete);
    assert_int_equal(set.base, UNLABELED);
    assert_int_equal(set.labels, NORMALS + ANOMALIES);
    size_t at[3] = {0, 0, 0}; /* unlabeled; ordinals of normals, of anomalies */
    for (size_t i = 0, label = 0; i < data.rows; i++) {
        size_t place = data.labels[i] == 0 ? at[0]++ : set.base + label++;
        assert_memory_equal(set.x + place * FEATURES, data.x + i * FEATURES,
                            FEATURES * sizeof(float));
        if (data.labels[i] != 0) {
            size_t *ordinal = &at[data.labels[i] > 0 ? 1 : 2];
            assert_int_equal(set.y[place - set.base], data.labels[i]);
            assert_int_equal(set.ordinal[place - set.base], (*ordinal)++);
        }
    }
    training_set_done(&set);
    deepsad_dataset_clear(&data);
}

static void a_bounded_sample_is_even_and_keeps_all_labels(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(4000, NORMALS, ANOMALIES, 1);
    for (size_t i = 0; i < 4000; i++) {
        data.x[i] = (float)i;
    }
    struct training_set set = set_of(&data, 1000), again = set_of(&data, 1000);
    assert_false(set.complete);
    assert_int_equal(set.base, 1000);
    assert_int_equal(set.labels, NORMALS + ANOMALIES);
    assert_memory_equal(set.x, again.x, 1000 * sizeof(float));
    for (size_t i = 0; i < 1000; i++) {
        assert_true(i == 0 || set.x[i] > set.x[i - 1]);
        assert_true(fabs((double)set.x[i] - 4.0 * (double)i) < 300); /* 4 sd */
    }
    training_set_done(&set);
    training_set_done(&again);
    deepsad_dataset_clear(&data);
}

static void equal_rows_are_sampled_like_others(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(1000, 0, 0, 1);
    memset(data.x, 0, 500 * sizeof *data.x);
    struct training_set set = set_of(&data, 200);
    size_t zeros = 0;
    for (size_t i = 0; i < set.base; i++) {
        zeros += set.x[i] == 0;
    }
    assert_int_equal(set.base, 200);
    assert_in_range(zeros, 75, 125);
    training_set_done(&set);
    deepsad_dataset_clear(&data);
}

static void nothing_is_kept_where_nothing_is_wanted(void **state)
{
    (void)state;
    struct deepsad_dataset data = mixed_data();
    struct training_set set = set_of(&data, 0);
    assert_int_equal(set.base + set.traffic + set.labels, 0);
    assert_false(set.complete);
    training_set_done(&set);
    deepsad_dataset_clear(&data);
}

/* ---- In a model's file ---- */

static struct deepsad_model *model_of(const struct deepsad_dataset *data,
                                      const char *reservoir)
{
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, "steps", "5");
    sample_set(recipe, "reservoir", reservoir);
    struct deepsad_model *model = sample_model(data, recipe, 1);
    deepsad_recipe_free(recipe);
    return model;
}

static const char *digest_of(char text[static TRAINING_SET_DIGEST],
                             const struct training_set *set)
{
    training_set_digest(text, set);
    return text;
}

/* A value that is NaN, or 0 where there is none. */
static float first_missing(const struct training_set *set)
{
    for (size_t i = 0; i < (set->base + set->traffic) * FEATURES; i++) {
        if (isnan(set->x[i])) {
            return set->x[i];
        }
    }
    return 0;
}

static void a_model_file_gives_back_its_training_rows(void **state)
{
    char path[FOLDER_PATH], one[TRAINING_SET_DIGEST], two[TRAINING_SET_DIGEST];
    struct deepsad_error error = {0};
    struct deepsad_dataset data = mixed_data();
    struct deepsad_model *model = model_of(&data, "10000");
    struct training_set set;
    model->set->traffic = 100; /* as a retraining might have had them */
    model->set->base -= 100;
    model->set->ids[3] = strdup("a \"quoted\" id");
    char *manifest = model->manifest;
    digest_of(one, model->set);
    model->manifest = NULL;
    assert_true(asprintf(&model->manifest,
                         "{\"input\":{\"features\":4},\"reservoir\":{\"sha256\":\"%s\"}}",
                         one) > 0);
    folder_path(path, state, "model.safetensors");
    assert_int_equal(deepsad_model_save(model, path, &error), DEEPSAD_OK);
    if (training_set_read(&set, path, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    assert_string_equal(digest_of(two, &set), one);
    assert_string_equal(set.ids[3], "a \"quoted\" id");
    assert_int_equal(set.traffic, 100);
    assert_true(isnan(first_missing(&set)));
    free(model->manifest);
    model->manifest = manifest;
    training_set_done(&set);
    deepsad_model_unref(model);
    deepsad_dataset_clear(&data);
}

static void a_loaded_model_does_not_hold_them(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_dataset data = mixed_data();
    struct deepsad_model *model = model_of(&data, "10000"), *loaded;
    folder_path(path, state, "model.safetensors");
    assert_int_equal(deepsad_model_save(model, path, &error), DEEPSAD_OK);
    assert_int_equal(model_file_read(&loaded, path, &error), DEEPSAD_OK);
    assert_null(loaded->set);
    deepsad_model_unref(loaded);
    deepsad_model_unref(model);
    deepsad_dataset_clear(&data);
}

static void a_model_without_rows_says_what_to_do(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_dataset data = mixed_data();
    struct deepsad_model *model = model_of(&data, "0");
    struct training_set set;
    folder_path(path, state, "model.safetensors");
    assert_int_equal(deepsad_model_save(model, path, NULL), DEEPSAD_OK);
    assert_int_equal(training_set_read(&set, path, &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, path);
    assert_error_says(error, "reservoir");
    deepsad_model_unref(model);
    deepsad_dataset_clear(&data);
}

/* ---- Damage ---- */

/* A file of a set of 5 unlabeled rows and 2 labels, with one thing wrong. */
struct damage {
    const char *index; /* deepsad.reservoir; NULL = right */
    const char *spoilt;
    float value;  /* the spoilt tensor's first */
    size_t extra; /* rows more in it */
    int status;
    const char *message;
};

static void add_tensor(struct safetensors_writer *writer, const struct damage *damage,
                       const char *name, size_t rows, size_t columns, float fill)
{
    float values[64];
    for (size_t i = 0; i < 64; i++) {
        values[i] = fill;
    }
    if (damage->spoilt != NULL && strcmp(damage->spoilt, name) == 0) {
        values[0] = damage->value;
        rows += damage->extra;
    }
    safetensors_writer_add(writer, name, rows, columns, values);
}

static struct safetensors *damaged_file(const struct damage *damage)
{
    struct buffer bytes = {0};
    struct safetensors *file = NULL;
    struct deepsad_error error = {0};
    struct safetensors_writer *writer = safetensors_writer_new();
    add_tensor(writer, damage, "reservoir.x", 7, 3, 1);
    add_tensor(writer, damage, "reservoir.y", 2, 0, -1);
    add_tensor(writer, damage, "reservoir.ordinal", 2, 0, 0);
    safetensors_writer_metadata(writer, "deepsad.reservoir",
                                damage->index != NULL
                                    ? damage->index
                                    : "{\"base\":5,\"traffic\":0,\"labels\":2,\"aside\":"
                                      "0,\"complete\":true,\"ids\":null}");
    assert_int_equal(safetensors_writer_finish(writer, &bytes, NULL), DEEPSAD_OK);
    if (safetensors_parse(&file, &bytes, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    safetensors_writer_free(writer);
    return file;
}

static void each_damage_has_its_own_message(void **state)
{
    (void)state;
    static const struct damage cases[] = {
        {.message = "reservoir.sha256"}, /* all right but for the digest */
        {.index = "{", .message = "line 1"},
        {.index = "[]", .message = "base is not a count"},
        {.index = "{\"base\":-1}", .message = "base is not a count"},
        {.index = "{\"base\":5,\"traffic\":1e9}", .message = "traffic is not a count"},
        {.index = "{\"base\":5,\"traffic\":0,\"labels\":2}",
         .message = "aside is not a count"},
        {.index = "{\"base\":5,\"traffic\":0,\"labels\":3,\"aside\":0,\"ids\":null}",
         .message = "reservoir.x"},
        {.index = "{\"base\":4,\"traffic\":0,\"labels\":3,\"aside\":0,\"ids\":null}",
         .message = "reservoir.y"},
        {.index = "{\"base\":5,\"traffic\":0,\"labels\":2,\"aside\":0,\"ids\":[\"a\"]}",
         .message = "ids are not the 2"},
        {.index = "{\"base\":5,\"traffic\":0,\"labels\":2,\"aside\":0,\"ids\":[\"a\",1]}",
         .message = "id 1 is not a text"},
        {.spoilt = "reservoir.y", .value = 0, .message = "element 0 is not 1 or -1"},
        {.spoilt = "reservoir.y", .value = NAN, .message = "element 0 is not 1 or -1"},
        {.spoilt = "reservoir.ordinal", .value = 0.5F, .message = "not an ordinal"},
        {.spoilt = "reservoir.ordinal", .value = -1, .message = "not an ordinal"},
        {.spoilt = "reservoir.ordinal", .value = 0x1p24F, .message = "not an ordinal"},
        {.spoilt = "reservoir.ordinal", .extra = 1, .message = "reservoir.ordinal"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct deepsad_error error = {0};
        struct training_set set;
        struct safetensors *file = damaged_file(&cases[i]);
        assert_int_equal(training_set_load(&set, file, 3, &error), DEEPSAD_CORRUPT);
        assert_error_says(error, cases[i].message);
        safetensors_free(file);
    }
}

static void the_digest_tells_any_change(void **state)
{
    (void)state;
    char before[TRAINING_SET_DIGEST], after[TRAINING_SET_DIGEST];
    struct deepsad_dataset data = mixed_data();
    struct training_set set = set_of(&data, 1000);
    digest_of(before, &set);
    set.y[0] = (signed char)-set.y[0];
    assert_string_not_equal(before, digest_of(after, &set));
    set.y[0] = (signed char)-set.y[0];
    set.ids[1] = strdup("x");
    assert_string_not_equal(before, digest_of(after, &set));
    free(set.ids[1]);
    set.ids[1] = strdup(""); /* the same as none */
    assert_string_equal(before, digest_of(after, &set));
    set.x[5] += 1;
    assert_string_not_equal(before, digest_of(after, &set));
    training_set_done(&set);
    deepsad_dataset_clear(&data);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_data_set_is_kept_whole_and_in_order),
        cmocka_unit_test(a_bounded_sample_is_even_and_keeps_all_labels),
        cmocka_unit_test(equal_rows_are_sampled_like_others),
        cmocka_unit_test(nothing_is_kept_where_nothing_is_wanted),
        WITH_FOLDER(a_model_file_gives_back_its_training_rows),
        WITH_FOLDER(a_loaded_model_does_not_hold_them),
        WITH_FOLDER(a_model_without_rows_says_what_to_do),
        cmocka_unit_test(each_damage_has_its_own_message),
        cmocka_unit_test(the_digest_tells_any_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
