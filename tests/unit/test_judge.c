/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "../sample_data.h"
#include "../testing.h"

#include "learn/judge.h"
#include "model/model.h"

enum { UNLABELED = 400, NORMALS = 20, ANOMALIES = 40, FEATURES = 4, ODD = NORMALS + 7 };

static const struct gate_limits limits = {.auc_loss = 0.03, .rank_correlation = 0.5};

/* Label ODD is called anomalous and lies among the unlabeled rows. */
static struct training_set make_set(void)
{
    struct training_set set;
    struct deepsad_dataset data = sample_data(UNLABELED, NORMALS, ANOMALIES, FEATURES);
    assert_int_equal(training_set_from_dataset(&set, &data, SIZE_MAX, NULL), DEEPSAD_OK);
    deepsad_dataset_clear(&data);
    float *odd = set.x + (UNLABELED + ODD) * FEATURES;
    for (size_t i = 0; i < FEATURES; i++) {
        odd[i] = -0.6F;
    }
    return set;
}

/* As if every label came from the journal. */
static void name_labels(struct training_set *set)
{
    for (size_t i = 0; i < set->labels; i++) {
        free(set->ids[i]);
        assert_true(asprintf(&set->ids[i], "l%zu", i) > 0);
    }
}

static struct deepsad_model *train(const struct training_set *set)
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, "steps", "30");
    struct retrain_options options = {.seed = 3, .threads = 1};
    if (retrain(&model, set, recipe, &options, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    deepsad_recipe_free(recipe);
    return model;
}

static bool holds(const json_t *list, const char *text)
{
    size_t index;
    json_t *value;
    json_array_foreach(list, index, value)
    {
        if (strcmp(json_string_value(value), text) == 0) {
            return true;
        }
    }
    return false;
}

static void an_anomaly_that_looks_ordinary_is_asked_about_again(void **state)
{
    (void)state;
    json_t *list = NULL;
    struct training_set set = make_set();
    name_labels(&set);
    struct deepsad_model *model = train(&set);
    assert_int_equal(judge_second_looks(&list, model, &set, NULL), DEEPSAD_OK);
    assert_true(holds(list, "l27"));
    assert_true(json_array_size(list) <= 3); /* one in twenty of each class */
    json_decref(list);
    deepsad_model_unref(model);
    training_set_done(&set);
}

static void labels_without_an_id_are_never_asked_about(void **state)
{
    (void)state;
    json_t *list = NULL;
    struct training_set set = make_set();
    struct deepsad_model *model = train(&set);
    assert_int_equal(judge_second_looks(&list, model, &set, NULL), DEEPSAD_OK);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    deepsad_model_unref(model);
    training_set_done(&set);
}

static void a_model_is_as_good_as_itself(void **state)
{
    (void)state;
    struct gate_measures measures;
    struct training_set set = make_set();
    struct deepsad_model *model = train(&set);
    assert_int_equal(judge(&measures, model, model, &set, &limits, NULL), DEEPSAD_OK);
    assert_int_equal(measures.verdict, GATE_PASSED);
    assert_true(measures.old_normals == NORMALS && measures.old_anomalies == ANOMALIES);
    assert_near(measures.challenger_auc, measures.champion_auc, 1e-12);
    assert_near(measures.rank_correlation, 1, 1e-9);
    json_t *told = judge_describe(&measures);
    assert_string_equal(json_string_value(json_object_get(told, "verdict")), "passed");
    assert_true(json_is_true(json_object_get(told, "labels_compared")));
    json_decref(told);
    deepsad_model_unref(model);
    training_set_done(&set);
}

static void a_measure_that_was_not_taken_is_null(void **state)
{
    (void)state;
    struct gate_measures measures = {.champion_auc = (double)NAN, .challenger_auc = 0.5};
    json_t *told = judge_describe(&measures);
    assert_true(json_is_null(json_object_get(told, "champion_auc")));
    assert_true(json_is_null(json_object_get(told, "auc_difference")));
    assert_near(json_real_value(json_object_get(told, "challenger_auc")), 0.5, 1e-12);
    json_decref(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_anomaly_that_looks_ordinary_is_asked_about_again),
        cmocka_unit_test(labels_without_an_id_are_never_asked_about),
        cmocka_unit_test(a_model_is_as_good_as_itself),
        cmocka_unit_test(a_measure_that_was_not_taken_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
