/* SPDX-License-Identifier: Apache-2.0 */
/* Models of images, with convolutional encoders: the whole way from training to scores,
 * files, explanations and codes. */
#include <jansson.h>

#include "../folder.h"
#include "../sample_data.h"
#include "../testing.h"

#include "model/ensemble.h"
#include "model/model.h"
#include "model/model_file.h"
#include "model/retrain.h"

enum { SIDE = 12, FEATURES = SIDE * SIDE, ROWS = 250, CODE = 8 };

static const char *const network = "conv3x3:4,pool,conv3x3:6,pool,dense:10,rep:8";
static const char *const methods[] = {"deepsad", "autoencoder", "classifier"};

static struct deepsad_dataset images(void)
{
    return sample_images(ROWS - 30, 10, 20, SIDE);
}

static struct deepsad_recipe *recipe_of(const char *name, const char *method)
{
    struct deepsad_recipe *recipe = sample_recipe(name);
    sample_set(recipe, "network", network);
    sample_set(recipe, "method", method);
    sample_set(recipe, "autoencoder_steps", "40");
    if (strcmp(name, "reference") == 0) {
        sample_set(recipe, "pretrain_epochs", "40");
        sample_set(recipe, "pretrain_learning_rate", "0.003");
        sample_set(recipe, "epochs", "40");
        sample_set(recipe, "learning_rate", "0.003");
    } else {
        sample_set(recipe, "steps", "40");
    }
    return recipe;
}

static struct deepsad_model *model_of(const struct deepsad_dataset *data,
                                      const char *name, const char *method,
                                      size_t threads)
{
    struct deepsad_recipe *recipe = recipe_of(name, method);
    struct deepsad_model *model = sample_model(data, recipe, threads);
    deepsad_recipe_free(recipe);
    return model;
}

static void assert_same_tensors(const struct deepsad_model *a,
                                const struct deepsad_model *b)
{
    struct buffer bytes[2] = {0};
    struct safetensors *files[2] = {0};
    assert_int_equal(model_file_format(&bytes[0], a, NULL), DEEPSAD_OK);
    assert_int_equal(model_file_format(&bytes[1], b, NULL), DEEPSAD_OK);
    assert_int_equal(safetensors_parse(&files[0], &bytes[0], NULL), DEEPSAD_OK);
    assert_int_equal(safetensors_parse(&files[1], &bytes[1], NULL), DEEPSAD_OK);
    size_t size[2];
    const char *data = safetensors_data(files[0], &size[0]);
    const char *other = safetensors_data(files[1], &size[1]);
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(data, other, size[0]);
    safetensors_free(files[0]);
    safetensors_free(files[1]);
}

/* ---- Training ---- */

static void every_method_tells_anomalies_apart(void **state)
{
    (void)state;
    static const char *const recipes[] = {"default", "reference"};
    struct deepsad_dataset data = images();
    for (size_t i = 0; i < 6; i++) {
        struct deepsad_evaluation evaluation;
        struct deepsad_model *model = model_of(&data, recipes[i / 3], methods[i % 3], 2);
        assert_int_equal(deepsad_evaluate(&evaluation, model, &data, 0.05, NULL), 0);
        double least = i / 3 == 0 ? 0.95 : 0.8; /* `reference` learns slowly */
        if (!(evaluation.auc_roc >= least)) {
            fail_msg("%s, %s: AUC %g", recipes[i / 3], methods[i % 3],
                     evaluation.auc_roc);
        }
        deepsad_model_unref(model);
    }
    deepsad_dataset_clear(&data);
}

static void threads_do_not_change_a_tensor(void **state)
{
    (void)state;
    struct deepsad_dataset data = images();
    for (size_t i = 0; i < 3; i++) {
        struct deepsad_model *one = model_of(&data, "default", methods[i], 1);
        struct deepsad_model *three = model_of(&data, "default", methods[i], 3);
        assert_same_tensors(one, three);
        deepsad_model_unref(one);
        deepsad_model_unref(three);
    }
    deepsad_dataset_clear(&data);
}

static void assert_refused(const struct deepsad_dataset *data, const char *key,
                           const char *value, const char *part)
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, key, value);
    assert_int_equal(deepsad_train(&model, data, recipe, NULL, &error), DEEPSAD_INVALID);
    assert_error_says(error, part);
    deepsad_recipe_free(recipe);
}

static void what_does_not_fit_the_data_is_refused(void **state)
{
    (void)state;
    struct deepsad_dataset data = images(), table = sample_data(50, 0, 5, 6);
    assert_refused(&table, "network", network, "network: step 1");
    assert_refused(&data, "network", "pool,pool,pool,pool,rep:2", "network: step 4");
    assert_refused(&data, "network", "conv1x1:65536,conv1x1:65536,rep:4", "the limit is");
    memset(data.labels, 0, data.rows);
    assert_refused(&data, "method", "classifier", "classifier needs labelled anomalies");
    data.width++;
    assert_refused(&data, "steps", "1", "144 features are not an image of 1 x 12 x 13");
    deepsad_dataset_clear(&data);
    deepsad_dataset_clear(&table);
}

struct watch {
    size_t calls;
    double fraction;
};

static int on_progress(void *closure, const struct deepsad_progress *progress)
{
    struct watch *watch = closure;
    assert_true(progress->fraction >= watch->fraction - 1e-9);
    watch->fraction = progress->fraction;
    watch->calls++;
    return 0;
}

static void progress_rises_to_one(void **state)
{
    (void)state;
    struct deepsad_dataset data = images();
    struct deepsad_recipe *recipe = recipe_of("reference", "deepsad");
    struct deepsad_model *model = NULL;
    struct watch watch = {0};
    struct deepsad_train_options options = {
        .threads = 1, .progress = on_progress, .closure = &watch};
    assert_int_equal(deepsad_train(&model, &data, recipe, &options, NULL), DEEPSAD_OK);
    assert_true(watch.calls >= 4 && watch.fraction > 0.999);
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

/* ---- Files ---- */

static void check_round_trip(const struct deepsad_model *model,
                             const struct deepsad_dataset *data, const char *directory)
{
    struct deepsad_error error = {0};
    struct deepsad_model *loaded = NULL;
    float scores[2][ROWS], p_values[2][ROWS];
    assert_int_equal(deepsad_model_save_version(model, directory, NULL, &error), 0);
    if (deepsad_model_load(&loaded, directory, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    sample_scores(model, scores[0], p_values[0], data);
    sample_scores(loaded, scores[1], p_values[1], data);
    assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
    assert_memory_equal(p_values[0], p_values[1], sizeof p_values[0]);
    deepsad_model_unref(loaded);
}

static void a_version_that_is_loaded_scores_bit_for_bit_as_before(void **state)
{
    static const char *const recipes[] = {"default", "reference"};
    struct deepsad_dataset data = images();
    char directory[FOLDER_PATH];
    folder_path(directory, state, "model");
    for (size_t i = 0; i < 6; i++) {
        struct deepsad_model *model = model_of(&data, recipes[i / 3], methods[i % 3], 1);
        check_round_trip(model, &data, directory);
        deepsad_model_unref(model);
    }
    deepsad_dataset_clear(&data);
}

static void the_file_has_the_layout_of_torch(void **state)
{
    (void)state;
    struct deepsad_dataset data = images();
    struct deepsad_model *model = model_of(&data, "default", "deepsad", 1);
    struct buffer bytes = {0};
    struct safetensors *file;
    assert_int_equal(model_file_format(&bytes, model, NULL), DEEPSAD_OK);
    assert_int_equal(safetensors_parse(&file, &bytes, NULL), DEEPSAD_OK);
    const struct safetensors_tensor *tensor;
    const size_t first[] = {4, 1, 3, 3}, second[] = {6, 4, 3, 3};
    assert_int_equal(safetensors_expect_shape(
                         &tensor, file, "networks.0.encoder.0.weight", 4, first, NULL),
                     DEEPSAD_OK);
    assert_int_equal(safetensors_expect_shape(
                         &tensor, file, "networks.0.encoder.4.weight", 4, second, NULL),
                     DEEPSAD_OK);
    assert_int_equal(
        safetensors_expect(&tensor, file, "networks.0.encoder.1.running_var", 4, 0, NULL),
        DEEPSAD_OK);
    safetensors_free(file);
    deepsad_model_unref(model);
    deepsad_dataset_clear(&data);
}

/* ---- Training again ---- */

static struct training_set set_of(const struct deepsad_dataset *data)
{
    struct training_set set;
    assert_int_equal(training_set_from_dataset(&set, data, SIZE_MAX, NULL), DEEPSAD_OK);
    return set;
}

static struct deepsad_model *retrained(const struct training_set *set, const char *name,
                                       size_t threads)
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    struct deepsad_recipe *recipe = recipe_of(name, "deepsad");
    struct retrain_options options = {
        .seed = 3, .threads = threads, .channels = 1, .height = SIDE, .width = SIDE};
    if (retrain(&model, set, recipe, &options, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    deepsad_recipe_free(recipe);
    return model;
}

static void retraining_repeats_the_first_training_bit_for_bit(void **state)
{
    (void)state;
    static const char *const recipes[] = {"default", "reference"};
    struct deepsad_dataset data = images();
    struct training_set set = set_of(&data);
    for (size_t i = 0; i < 2; i++) {
        struct deepsad_model *first = model_of(&data, recipes[i], "deepsad", 1);
        struct deepsad_model *again = retrained(&set, recipes[i], 2);
        assert_same_tensors(first, again);
        deepsad_model_unref(first);
        deepsad_model_unref(again);
    }
    training_set_done(&set);
    deepsad_dataset_clear(&data);
}

static void one_member_holds_out_a_share_that_calibrates(void **state)
{
    (void)state;
    struct deepsad_dataset data = images();
    struct deepsad_model *model = model_of(&data, "default", "deepsad", 1);
    json_t *card = json_loads(model->manifest, 0, NULL);
    const char *basis;
    json_int_t points;
    assert_int_equal(json_unpack(card, "{s:{s:s, s:I}}", "calibration", "basis", &basis,
                                 "points", &points),
                     0);
    assert_string_equal(basis, "held-out");
    assert_in_range(points, ROWS / 20, ROWS / 4);
    json_decref(card);
    deepsad_model_unref(model);
    deepsad_dataset_clear(&data);
}

static void the_gate_can_judge_a_model_of_one_member(void **state)
{
    (void)state;
    struct deepsad_dataset data = images();
    struct training_set set = set_of(&data);
    struct deepsad_model *model = retrained(&set, "default", 1);
    float ranks[30], scores[ROWS];
    bool out_of_fold = true;
    struct deepsad_error error = {0};
    assert_int_equal(retrain_label_ranks(ranks, &out_of_fold, model, &set, &error), 0);
    assert_false(out_of_fold);
    for (size_t i = 0; i < 30; i++) {
        assert_true(set.y[i] > 0 || ranks[i] < 0.05F);
    }
    assert_int_equal(retrain_unlabeled_scores(scores, model, &set, &error), DEEPSAD_OK);
    assert_int_equal(retrain_recalibrate(model, &set, 1, &error), DEEPSAD_OK);
    deepsad_model_unref(model);
    training_set_done(&set);
    deepsad_dataset_clear(&data);
}

/* ---- Explanations, codes, entropies ---- */

static void check_completeness(const struct deepsad_model *model, const float *x)
{
    float base = NAN, score = NAN, parts[FEATURES];
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    assert_int_equal(deepsad_explain(model, workspace, &base, parts, x, NULL), 0);
    assert_int_equal(deepsad_score(model, workspace, &score, NULL, x, 1, NULL), 0);
    double sum = (double)base, size = fabs((double)base);
    for (size_t j = 0; j < FEATURES; j++) {
        sum += (double)parts[j];
        size += fabs((double)parts[j]);
    }
    assert_near_floor(sum, score, 1e-5, fmax(size, 1));
    deepsad_workspace_free(workspace);
}

static void the_parts_of_an_explanation_sum_to_the_score(void **state)
{
    (void)state;
    static const char *const recipes[] = {"default", "reference"};
    struct deepsad_dataset data = images();
    for (size_t i = 0; i < 6; i++) {
        struct deepsad_model *model = model_of(&data, recipes[i / 3], methods[i % 3], 1);
        check_completeness(model, data.x);
        check_completeness(model, data.x + (ROWS - 1) * FEATURES);
        deepsad_model_unref(model);
    }
    deepsad_dataset_clear(&data);
}

/* A raw score of Deep SAD is the code's squared distance to the center. */
static void codes_are_what_the_distance_is_of(void **state)
{
    (void)state;
    struct deepsad_dataset data = images();
    struct deepsad_model *model = model_of(&data, "reference", "deepsad", 1);
    const float *center = ((struct ensemble *)model->components[0])->members[0].center;
    float codes[ROWS][CODE], scores[ROWS], p_values[ROWS];
    sample_scores(model, scores, p_values, &data);
    assert_int_equal(deepsad_model_code_width(model), CODE);
    assert_int_equal(deepsad_encode(model, codes[0], data.x, ROWS, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (size_t j = 0; j < CODE; j++) {
            sum += pow((double)codes[i][j] - (double)center[j], 2);
        }
        assert_near_floor(sum, scores[i], 1e-4, 1e-3);
    }
    deepsad_model_unref(model);
    deepsad_dataset_clear(&data);
}

static void every_method_has_codes_and_nearest_neighbours_have_none(void **state)
{
    (void)state;
    float codes[ROWS * CODE];
    struct deepsad_error error = {0};
    struct deepsad_dataset data = images(), table = sample_data(60, 0, 0, 5);
    for (size_t i = 0; i < 3; i++) {
        struct deepsad_model *model = model_of(&data, "default", methods[i], 1);
        assert_int_equal(deepsad_model_code_width(model), CODE);
        assert_int_equal(deepsad_encode(model, codes, data.x, ROWS, NULL), DEEPSAD_OK);
        deepsad_model_unref(model);
    }
    struct deepsad_recipe *recipe = sample_recipe("default");
    struct deepsad_model *cold = sample_model(&table, recipe, 1);
    assert_int_equal(deepsad_model_code_width(cold), 0);
    assert_int_equal(deepsad_encode(cold, codes, table.x, 60, &error),
                     DEEPSAD_UNSUPPORTED);
    assert_error_says(error, "no encoder");
    deepsad_model_unref(cold);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    deepsad_dataset_clear(&table);
}

static void images_without_labels_get_the_small_autoencoder_and_its_codes(void **state)
{
    (void)state;
    float codes[ROWS * 3];
    struct deepsad_dataset data = images();
    struct deepsad_recipe *recipe = recipe_of("default", "deepsad");
    memset(data.labels, 0, data.rows);
    sample_set(recipe, "autoencoder_hidden", "10,3");
    struct deepsad_model *model = sample_model(&data, recipe, 2);
    assert_int_equal(model->component_count, 1);
    assert_string_equal(model->components[0]->ops->kind, "autoencoder");
    assert_int_equal(deepsad_model_code_width(model), 3);
    assert_int_equal(deepsad_encode(model, codes, data.x, ROWS, NULL), DEEPSAD_OK);
    assert_true(isfinite(codes[ROWS * 3 - 1]));
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static void evaluation_has_the_entropies_of_all_three_classes(void **state)
{
    (void)state;
    struct deepsad_dataset data = images();
    struct deepsad_evaluation out;
    struct deepsad_model *model = model_of(&data, "default", "deepsad", 1);
    assert_int_equal(deepsad_evaluate(&out, model, &data, 0.05, NULL), DEEPSAD_OK);
    assert_true(isfinite(out.latent_entropy_normal));
    assert_true(isfinite(out.latent_entropy_unlabeled));
    assert_true(isfinite(out.latent_entropy_anomalous));
    for (size_t i = 0; i < data.rows; i++) {
        data.labels[i] = (signed char)(data.labels[i] < 0 ? -1 : 1);
    }
    assert_int_equal(deepsad_evaluate(&out, model, &data, 0.05, NULL), DEEPSAD_OK);
    assert_true(isnan(out.latent_entropy_unlabeled));
    deepsad_model_unref(model);
    deepsad_dataset_clear(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_tells_anomalies_apart),
        cmocka_unit_test(threads_do_not_change_a_tensor),
        cmocka_unit_test(what_does_not_fit_the_data_is_refused),
        cmocka_unit_test(progress_rises_to_one),
        cmocka_unit_test_setup_teardown(
            a_version_that_is_loaded_scores_bit_for_bit_as_before, folder_setup,
            folder_teardown),
        cmocka_unit_test(the_file_has_the_layout_of_torch),
        cmocka_unit_test(retraining_repeats_the_first_training_bit_for_bit),
        cmocka_unit_test(one_member_holds_out_a_share_that_calibrates),
        cmocka_unit_test(the_gate_can_judge_a_model_of_one_member),
        cmocka_unit_test(the_parts_of_an_explanation_sum_to_the_score),
        cmocka_unit_test(codes_are_what_the_distance_is_of),
        cmocka_unit_test(every_method_has_codes_and_nearest_neighbours_have_none),
        cmocka_unit_test(images_without_labels_get_the_small_autoencoder_and_its_codes),
        cmocka_unit_test(evaluation_has_the_entropies_of_all_three_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
