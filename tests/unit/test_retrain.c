/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "../sample_data.h"
#include "../testing.h"

#include "model/fold.h"
#include "model/model.h"
#include "model/model_file.h"
#include "model/retrain.h"

enum { UNLABELED = 400, NORMALS = 10, ANOMALIES = 20, FEATURES = 5, SHOWN = 2000 };

static struct training_set make_set(size_t unlabeled, size_t normals, size_t anomalies)
{
    struct deepsad_error error = {0};
    struct training_set set;
    struct deepsad_dataset data = sample_data(unlabeled, normals, anomalies, FEATURES);
    assert_int_equal(training_set_from_dataset(&set, &data, SIZE_MAX, &error), 0);
    deepsad_dataset_clear(&data);
    return set;
}

static struct deepsad_recipe *quick_recipe(void)
{
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, "steps", "30");
    return recipe;
}

static struct deepsad_model *retrain_set(const struct training_set *set,
                                         const struct deepsad_recipe *recipe,
                                         const struct retrain_options *options)
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    if (retrain(&model, set, recipe, options, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return model;
}

/* The default: seed 3, as sample_model() has it. */
static struct deepsad_model *retrain_quickly(const struct training_set *set,
                                             size_t threads, const struct scaler *scaler)
{
    struct deepsad_recipe *recipe = quick_recipe();
    struct retrain_options options = {
        .seed = 3, .parent = 7, .threads = threads, .scaler = scaler};
    struct deepsad_model *model = retrain_set(set, recipe, &options);
    deepsad_recipe_free(recipe);
    return model;
}

static struct safetensors *file_of(const struct deepsad_model *model)
{
    struct deepsad_error error = {0};
    struct buffer bytes = {0};
    struct safetensors *file = NULL;
    assert_int_equal(model_file_format(&bytes, model, &error), DEEPSAD_OK);
    assert_int_equal(safetensors_parse(&file, &bytes, &error), DEEPSAD_OK);
    return file;
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* All tensors whose names start so, and that are no kept rows, are the same to the bit.
 */
static bool same_parts(const struct deepsad_model *a, const struct deepsad_model *b,
                       const char *prefix)
{
    struct safetensors *left = file_of(a), *right = file_of(b);
    bool same = true;
    for (size_t i = 0; i < safetensors_count(left); i++) {
        const struct safetensors_tensor *one = safetensors_at(left, i);
        const struct safetensors_tensor *other = safetensors_find(right, one->name);
        if (starts(one->name, prefix) && !starts(one->name, SAFETENSORS_ROWS)) {
            same = same && other != NULL && other->count == one->count &&
                   memcmp(one->bytes, other->bytes, one->count * sizeof(float)) == 0;
        }
    }
    safetensors_free(left);
    safetensors_free(right);
    return same;
}

static bool same_tensors(const struct deepsad_model *a, const struct deepsad_model *b)
{
    return same_parts(a, b, "");
}

static bool same_member(const struct deepsad_model *a, const struct deepsad_model *b,
                        unsigned member)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "networks.%u.", member);
    return same_parts(a, b, prefix);
}

static int compare(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

static json_t *card_part(const struct deepsad_model *model, const char *name)
{
    json_t *root = json_loads(model->manifest, 0, NULL);
    json_t *part = json_incref(json_object_get(root, name));
    json_decref(root);
    return part;
}

static void retraining_repeats_the_first_training_bit_for_bit(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(UNLABELED, NORMALS, ANOMALIES, FEATURES);
    struct deepsad_recipe *recipe = quick_recipe();
    struct deepsad_model *first = sample_model(&data, recipe, 1);
    for (size_t threads = 1; threads <= 2; threads++) {
        struct deepsad_model *again = retrain_quickly(first->set, threads, NULL);
        assert_true(same_tensors(first, again));
        deepsad_model_unref(again);
    }
    deepsad_model_unref(first);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

/* Rows of all classes mixed, as files have them. */
static void the_order_of_classes_in_the_data_does_not_matter(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(UNLABELED, NORMALS, ANOMALIES, FEATURES);
    for (size_t i = 0; i < data.rows / 2; i += 3) {
        for (size_t j = 0; j < FEATURES; j++) {
            float *a = &data.x[i * FEATURES + j];
            float *b = &data.x[(data.rows - 1 - i) * FEATURES + j], swap = *a;
            *a = *b;
            *b = swap;
        }
        signed char swap = data.labels[i];
        data.labels[i] = data.labels[data.rows - 1 - i];
        data.labels[data.rows - 1 - i] = swap;
    }
    struct deepsad_recipe *recipe = quick_recipe();
    struct deepsad_model *first = sample_model(&data, recipe, 2);
    struct deepsad_model *again = retrain_quickly(first->set, 2, NULL);
    assert_true(same_tensors(first, again));
    deepsad_model_unref(again);
    deepsad_model_unref(first);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static void the_reference_recipe_repeats_too(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(UNLABELED, NORMALS, ANOMALIES, FEATURES);
    struct deepsad_recipe *recipe = sample_reference();
    struct deepsad_model *first = sample_model(&data, recipe, 1);
    struct retrain_options options = {.seed = 3, .threads = 2};
    struct deepsad_model *again = retrain_set(first->set, recipe, &options);
    assert_true(same_tensors(first, again));
    deepsad_model_unref(again);
    deepsad_model_unref(first);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static void labels_keep_their_folds_when_another_goes(void **state)
{
    (void)state;
    struct training_set set = make_set(UNLABELED, NORMALS, ANOMALIES);
    struct deepsad_recipe *recipe = quick_recipe();
    sample_set(recipe, "insurance", "off");
    struct retrain_options options = {.seed = 3};
    struct deepsad_model *before = retrain_set(&set, recipe, &options);
    size_t features = FEATURES, gone = set.labels - 2; /* of the fold of ordinal 18 */
    assert_int_equal(set.ordinal[gone], ANOMALIES - 2);
    memmove(set.x + (UNLABELED + gone) * features,
            set.x + (UNLABELED + gone + 1) * features, features * sizeof *set.x);
    set.ordinal[gone] = set.ordinal[gone + 1];
    set.labels--;
    options.scaler = &before->scaler;
    struct deepsad_model *after = retrain_set(&set, recipe, &options);
    /* member 18 % 4 never saw it; the others have lost it */
    assert_true(same_member(before, after, 2));
    assert_false(same_member(before, after, 3));
    deepsad_model_unref(before);
    deepsad_model_unref(after);
    deepsad_recipe_free(recipe);
    training_set_done(&set);
}

static float rank_of(const struct deepsad_model *model, const struct training_set *set,
                     size_t label)
{
    struct deepsad_error error = {0};
    float ranks[NORMALS + ANOMALIES];
    bool out_of_fold = false;
    assert_int_equal(retrain_label_ranks(ranks, &out_of_fold, model, set, &error), 0);
    assert_true(out_of_fold);
    return ranks[label];
}

/* A label looked at with a model that was taught its opposite: nothing that it taught
 * comes into its own rank. */
static void a_label_is_ranked_by_the_member_that_never_saw_it(void **state)
{
    (void)state;
    struct training_set set = make_set(UNLABELED, NORMALS, ANOMALIES);
    struct deepsad_recipe *recipe = quick_recipe();
    sample_set(recipe, "insurance", "off");
    struct retrain_options options = {.seed = 3};
    struct deepsad_model *before = retrain_set(&set, recipe, &options);
    struct training_set other;
    assert_int_equal(training_set_copy(&other, &set, NULL), DEEPSAD_OK);
    size_t label = NORMALS + 5;
    for (size_t j = 0; j < FEATURES; j++) {
        other.x[(UNLABELED + label) * FEATURES + j] = -9;
        set.x[(UNLABELED + label) * FEATURES + j] = 1;
    }
    options.scaler = &before->scaler;
    struct deepsad_model *after = retrain_set(&other, recipe, &options);
    assert_true(rank_of(before, &set, label) == rank_of(after, &set, label));
    assert_true(rank_of(before, &set, label) > 0);
    deepsad_model_unref(before);
    deepsad_model_unref(after);
    deepsad_recipe_free(recipe);
    training_set_done(&set);
    training_set_done(&other);
}

static void anomalies_rank_above_normals(void **state)
{
    (void)state;
    struct training_set set = make_set(UNLABELED, NORMALS, ANOMALIES);
    struct deepsad_model *model = retrain_quickly(&set, 0, NULL);
    for (size_t i = 0; i < set.labels; i++) {
        float rank = rank_of(model, &set, i);
        assert_true(rank >= 0 && rank <= 1);
        assert_true(set.y[i] > 0 ? rank > 0.01F : rank < 0.01F);
    }
    deepsad_model_unref(model);
    training_set_done(&set);
}

static void ranks_are_by_the_whole_model_where_labels_have_no_folds(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct training_set set = make_set(UNLABELED, NORMALS, FOLD_ANOMALIES_MIN - 1);
    struct deepsad_model *model = retrain_quickly(&set, 0, NULL);
    float ranks[NORMALS + FOLD_ANOMALIES_MIN];
    bool out_of_fold = true;
    assert_int_equal(retrain_label_ranks(ranks, &out_of_fold, model, &set, &error), 0);
    assert_false(out_of_fold);
    for (size_t i = 0; i < set.labels; i++) {
        assert_true(set.y[i] > 0 ? ranks[i] > 0.01F : ranks[i] < 0.01F);
    }
    deepsad_model_unref(model);
    training_set_done(&set);
}

/* As training itself took them: sorted, they are the calibration scores. */
static void unlabeled_scores_are_the_calibration_scores(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct training_set set = make_set(UNLABELED, 0, ANOMALIES);
    struct deepsad_recipe *recipe = quick_recipe();
    sample_set(recipe, "insurance", "off");
    struct retrain_options options = {.seed = 3};
    struct deepsad_model *model = retrain_set(&set, recipe, &options);
    float scores[UNLABELED], *sorted = model->calibration.scores;
    assert_int_equal(retrain_unlabeled_scores(scores, model, &set, &error), DEEPSAD_OK);
    assert_int_equal(model->calibration.count, UNLABELED);
    for (size_t i = 0; i < UNLABELED; i++) {
        assert_non_null(bsearch(&scores[i], sorted, UNLABELED, sizeof *sorted, compare));
    }
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    training_set_done(&set);
}

static void the_scaler_is_kept_where_one_is_given(void **state)
{
    (void)state;
    struct training_set set = make_set(UNLABELED, NORMALS, ANOMALIES);
    struct deepsad_model *first = retrain_quickly(&set, 0, NULL);
    for (size_t i = 0; i < UNLABELED * FEATURES; i++) {
        set.x[i] = 10 + 3 * set.x[i];
    }
    struct deepsad_model *kept = retrain_quickly(&set, 0, &first->scaler);
    struct deepsad_model *fitted = retrain_quickly(&set, 0, NULL);
    assert_memory_equal(kept->scaler.offset, first->scaler.offset,
                        FEATURES * sizeof(float));
    assert_true(fitted->scaler.offset[0] != first->scaler.offset[0]);
    json_t *lineage = card_part(kept, "lineage"), *other = card_part(fitted, "lineage");
    assert_true(json_is_true(json_object_get(lineage, "scaler_kept")));
    assert_true(json_is_false(json_object_get(other, "scaler_kept")));
    json_decref(lineage);
    json_decref(other);
    deepsad_model_unref(first);
    deepsad_model_unref(kept);
    deepsad_model_unref(fitted);
    training_set_done(&set);
}

static void the_manifest_records_where_a_version_comes_from(void **state)
{
    (void)state;
    struct training_set set = make_set(UNLABELED, NORMALS, ANOMALIES);
    struct deepsad_model *model = retrain_quickly(&set, 0, NULL);
    json_t *lineage = card_part(model, "lineage"), *kept = card_part(model, "reservoir");
    json_t *labels = json_object_get(lineage, "labels");
    char digest[TRAINING_SET_DIGEST];
    training_set_labels_digest(digest, &set);
    assert_string_equal(json_string_value(json_object_get(lineage, "parent")), "7");
    assert_int_equal(json_integer_value(json_object_get(lineage, "seed")), 3);
    assert_int_equal(json_integer_value(json_object_get(labels, "count")), 30);
    assert_string_equal(json_string_value(json_object_get(labels, "sha256")), digest);
    assert_int_equal(json_integer_value(json_object_get(kept, "rows")), UNLABELED);
    assert_true(json_is_true(json_object_get(kept, "complete")));
    json_decref(lineage);
    json_decref(kept);
    deepsad_model_unref(model);
    training_set_done(&set);
}

/* All settings, a line each; to be freed. */
static char *print_recipe(const struct deepsad_recipe *recipe)
{
    struct buffer out = {0};
    for (size_t i = 0; i < recipe_table.count; i++) {
        setting_print(&out, recipe, recipe_table, i);
        buffer_append_text(&out, "\n");
    }
    return buffer_take_string(&out);
}

static void assert_same_recipe(const struct deepsad_recipe *a,
                               const struct deepsad_recipe *b)
{
    char *left = print_recipe(a), *right = print_recipe(b);
    assert_string_equal(left, right);
    free(left);
    free(right);
}

static void recipe_and_seed_come_back_from_the_manifest(void **state)
{
    (void)state;
    static const char *const bases[] = {"default", "reference"};
    struct training_set set = make_set(UNLABELED, 0, 0);
    for (size_t i = 0; i < 2; i++) {
        struct deepsad_recipe *recipe = sample_recipe(bases[i]), *again = NULL;
        sample_set(recipe, "hidden", "12,5");
        sample_set(recipe, "learning_rate", "0.00123");
        sample_set(recipe, "pretrain_epochs", "1");
        sample_set(recipe, "steps", "3");
        sample_set(recipe, "epochs", "0");
        struct retrain_options options = {.seed = UINT64_MAX - 1};
        struct deepsad_model *model = retrain_set(&set, recipe, &options);
        uint64_t seed = 0;
        struct deepsad_error error = {0};
        assert_int_equal(retrain_recipe(&again, &seed, model, &error), DEEPSAD_OK);
        assert_true(seed == UINT64_MAX - 1);
        assert_same_recipe(recipe, again);
        deepsad_recipe_free(recipe);
        deepsad_recipe_free(again);
        deepsad_model_unref(model);
    }
    training_set_done(&set);
}

/* What the manifest of a former version does not name. */
static void forget(struct deepsad_model *model, const char *const *settings)
{
    struct deepsad_error error = {0};
    json_t *recipe = card_part(model, "recipe");
    for (; *settings != NULL; settings++) {
        assert_int_equal(json_object_del(recipe, *settings), 0);
    }
    assert_int_equal(retrain_annotate(model, "recipe", recipe, &error), DEEPSAD_OK);
}

static void a_recipe_recorded_before_there_were_images_means_the_same(void **state)
{
    (void)state;
    static const char *const later[] = {"network", "warm", "method", NULL};
    struct training_set set = make_set(UNLABELED, 0, 0);
    struct deepsad_model *model = retrain_quickly(&set, 1, NULL);
    struct deepsad_recipe *recipe = NULL;
    struct deepsad_error error = {0};
    uint64_t seed;
    forget(model, later);
    assert_int_equal(retrain_recipe(&recipe, &seed, model, &error), DEEPSAD_OK);
    assert_string_equal(recipe->network, "dense");
    assert_int_equal(recipe->warm, 0);
    assert_int_equal(recipe->method, RECIPE_DEEPSAD);
    deepsad_recipe_free(recipe);
    deepsad_model_unref(model);
    training_set_done(&set);
}

/* ---- Recalibration ---- */

static double false_alarms(const struct deepsad_model *model, float shift)
{
    static float scores[SHOWN], p_values[SHOWN];
    struct deepsad_dataset data = sample_data(SHOWN, 0, 0, FEATURES);
    for (size_t i = 0; i < SHOWN * FEATURES; i++) {
        data.x[i] = -data.x[i] + shift; /* as good as rows never seen */
    }
    sample_scores(model, scores, p_values, &data);
    deepsad_dataset_clear(&data);
    size_t alarms = 0;
    for (size_t i = 0; i < SHOWN; i++) {
        alarms += p_values[i] <= 0.05F;
    }
    return (double)alarms / SHOWN;
}

/* Rows that have drifted by `shift` since the model was trained. */
static void check_recalibration(size_t anomalies)
{
    struct deepsad_error error = {0};
    float shift = 0.6F;
    struct training_set set = make_set(1500, 0, anomalies);
    struct deepsad_model *model = retrain_quickly(&set, 0, NULL);
    double fresh = false_alarms(model, 0), stale = false_alarms(model, shift);
    for (size_t i = 0; i < 1500 * FEATURES; i++) {
        set.x[i] += shift;
    }
    float q50 = (float)model->components[0]->normaliser.q50;
    assert_int_equal(retrain_recalibrate(model, &set, 5, &error), DEEPSAD_OK);
    double again = false_alarms(model, shift);
    assert_in_range(10000 * fresh, 250, 800);
    assert_true(stale > 0.1);
    assert_in_range(10000 * again, 250, 800);
    assert_true(q50 == (float)model->components[0]->normaliser.q50);
    deepsad_model_unref(model);
    training_set_done(&set);
}

static void recalibration_brings_false_alarms_back_to_alpha(void **state)
{
    (void)state;
    check_recalibration(ANOMALIES);
    check_recalibration(0); /* neighbours alone */
}

static void recalibration_says_so_and_keeps_its_rows(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct training_set set = make_set(UNLABELED, NORMALS, ANOMALIES);
    struct deepsad_model *model = retrain_quickly(&set, 0, NULL);
    set.x[0] += 1;
    char digest[TRAINING_SET_DIGEST];
    assert_int_equal(retrain_recalibrate(model, &set, 5, &error), DEEPSAD_OK);
    training_set_digest(digest, model->set);
    json_t *from = card_part(model, "recalibrated_from");
    json_t *kept = card_part(model, "reservoir");
    assert_string_equal(json_string_value(from), "5");
    assert_string_equal(json_string_value(json_object_get(kept, "sha256")), digest);
    assert_true(model->set->x[0] == set.x[0]);
    json_decref(from);
    json_decref(kept);
    deepsad_model_unref(model);
    training_set_done(&set);
}

static void a_set_of_other_features_is_refused(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct training_set set = make_set(UNLABELED, 0, 0), other;
    struct deepsad_model *model = retrain_quickly(&set, 0, NULL);
    assert_int_equal(training_set_new(&other, FEATURES + 1, 3, 0, 0, 0, &error),
                     DEEPSAD_OK);
    assert_int_equal(retrain_recalibrate(model, &other, 1, &error), DEEPSAD_INVALID);
    assert_error_says(error, "6 features");
    deepsad_model_unref(model);
    training_set_done(&set);
    training_set_done(&other);
}

static void an_annotation_is_in_the_card(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct training_set set = make_set(UNLABELED, 0, 0);
    struct deepsad_model *model = retrain_quickly(&set, 0, NULL);
    json_t *gate = json_pack("{s:s}", "decision", "promoted");
    assert_int_equal(retrain_annotate(model, "gate", gate, &error), DEEPSAD_OK);
    json_t *read = card_part(model, "gate");
    assert_string_equal(json_string_value(json_object_get(read, "decision")), "promoted");
    json_decref(read);
    deepsad_model_unref(model);
    training_set_done(&set);
}

static int cancel(void *closure, const struct deepsad_progress *progress)
{
    (void)progress;
    return ++*(int *)closure > 3;
}

static void a_retraining_can_be_cancelled(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct training_set set = make_set(UNLABELED, 0, ANOMALIES);
    struct deepsad_recipe *recipe = quick_recipe();
    struct deepsad_model *model = NULL;
    int calls = 0;
    struct retrain_options options = {.seed = 3, .progress = cancel, .closure = &calls};
    assert_int_equal(retrain(&model, &set, recipe, &options, &error), DEEPSAD_CANCELLED);
    assert_null(model);
    deepsad_recipe_free(recipe);
    training_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retraining_repeats_the_first_training_bit_for_bit),
        cmocka_unit_test(the_order_of_classes_in_the_data_does_not_matter),
        cmocka_unit_test(the_reference_recipe_repeats_too),
        cmocka_unit_test(labels_keep_their_folds_when_another_goes),
        cmocka_unit_test(a_label_is_ranked_by_the_member_that_never_saw_it),
        cmocka_unit_test(anomalies_rank_above_normals),
        cmocka_unit_test(ranks_are_by_the_whole_model_where_labels_have_no_folds),
        cmocka_unit_test(unlabeled_scores_are_the_calibration_scores),
        cmocka_unit_test(the_scaler_is_kept_where_one_is_given),
        cmocka_unit_test(the_manifest_records_where_a_version_comes_from),
        cmocka_unit_test(recipe_and_seed_come_back_from_the_manifest),
        cmocka_unit_test(a_recipe_recorded_before_there_were_images_means_the_same),
        cmocka_unit_test(recalibration_brings_false_alarms_back_to_alpha),
        cmocka_unit_test(recalibration_says_so_and_keeps_its_rows),
        cmocka_unit_test(a_set_of_other_features_is_refused),
        cmocka_unit_test(an_annotation_is_in_the_card),
        cmocka_unit_test(a_retraining_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
