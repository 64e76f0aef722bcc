/* SPDX-License-Identifier: Apache-2.0 */
/* What deepsad reproduce does, for versions that only the daemon writes. */
#include "../folder.h"
#include "../sample_data.h"
#include "../testing.h"

#include "model/model.h"
#include "model/model_compare.h"
#include "model/retrain.h"
#include "tool/rebuild.h"

enum { UNLABELED = 300, FEATURES = 4 };

static struct deepsad_model *first_version(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_dataset data = sample_data(UNLABELED, 5, 12, FEATURES);
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, "steps", "20");
    struct deepsad_model *model = sample_model(&data, recipe, 2);
    assert_int_equal(
        version_save(model, folder_path(path, state, "shop"), false, NULL, NULL),
        DEEPSAD_OK);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    return model;
}

static void save(void **state, const struct deepsad_model *model)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    if (version_save(model, folder_path(path, state, "shop"), false, NULL, &error) !=
        DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
}

/* How the version differs from what is made again of it. */
static struct model_difference difference_of(void **state, const char *version)
{
    char path[FOLDER_PATH];
    struct original original;
    struct deepsad_error error = {0};
    struct deepsad_model *again = NULL;
    struct model_difference difference;
    struct rebuild_options options = {.threads = 2};
    if (original_open(&original, folder_path(path, state, version), &error) != 0 ||
        rebuild(&again, &original, &options, &error) != 0) {
        fail_msg("%s", error.message);
    }
    assert_true(original_same_blas(&original));
    assert_int_equal(model_compare(&difference, original.file, again, &error), 0);
    deepsad_model_unref(again);
    original_close(&original);
    return difference;
}

static void a_retrained_version_is_made_again(void **state)
{
    struct deepsad_error error = {0};
    struct deepsad_model *first = first_version(state), *second = NULL;
    struct training_set set;
    assert_int_equal(training_set_copy(&set, first->set, &error), DEEPSAD_OK);
    set.traffic = 50;
    set.base -= 50;
    set.x[7] = NAN;
    set.y[2] = (signed char)-set.y[2];
    set.ordinal[2] = 40;
    set.ids[2] = strdup("0199-label");
    struct deepsad_recipe *recipe = NULL;
    struct retrain_options options = {.parent = 1, .scaler = &first->scaler};
    assert_int_equal(retrain_recipe(&recipe, &options.seed, first, &error), DEEPSAD_OK);
    assert_int_equal(retrain(&second, &set, recipe, &options, &error), DEEPSAD_OK);
    save(state, second);
    struct model_difference difference = difference_of(state, "shop/2");
    assert_int_equal(difference.different, 0);
    assert_true(difference.tensors > 10 && difference.largest == 0);
    deepsad_recipe_free(recipe);
    training_set_done(&set);
    deepsad_model_unref(first);
    deepsad_model_unref(second);
}

static void a_recalibrated_version_is_made_again_from_its_parent(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_model *first = first_version(state), *second = NULL;
    struct training_set set;
    assert_int_equal(training_set_copy(&set, first->set, &error), DEEPSAD_OK);
    for (size_t i = 0; i < UNLABELED * FEATURES; i++) {
        set.x[i] += 0.5F;
    }
    folder_path(path, state, "shop/1");
    assert_int_equal(deepsad_model_load(&second, path, &error), DEEPSAD_OK);
    assert_int_equal(retrain_recalibrate(second, &set, 1, &error), DEEPSAD_OK);
    save(state, second);
    assert_int_equal(difference_of(state, "shop/2").different, 0);
    /* the one that was just trained comes to the same as the one read from its file */
    assert_int_equal(retrain_recalibrate(first, &set, 1, &error), DEEPSAD_OK);
    save(state, first);
    assert_int_equal(difference_of(state, "shop/3").different, 0);
    training_set_done(&set);
    deepsad_model_unref(first);
    deepsad_model_unref(second);
}

static void a_difference_is_named(void **state)
{
    struct deepsad_model *first = first_version(state);
    first->calibration.scores[3] = first->calibration.scores[4];
    save(state, first); /* its manifest is as it was: only the tensor differs */
    struct model_difference difference = difference_of(state, "shop/2");
    assert_int_equal(difference.different, 1);
    assert_string_equal(difference.first, "calibration.scores");
    assert_true(difference.largest > 0 && difference.largest < 1);
    deepsad_model_unref(first);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_retrained_version_is_made_again),
        WITH_FOLDER(a_recalibrated_version_is_made_again_from_its_parent),
        WITH_FOLDER(a_difference_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
