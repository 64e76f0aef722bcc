/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "../testing.h"

#include "base/file.h"
#include "model/plan.h"
#include "model/recipe.h"

static struct deepsad_recipe *recipe_of(const char *name)
{
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe = NULL;
    if (deepsad_recipe_new(&recipe, name, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return recipe;
}

static void the_reference_recipe_is_the_paper(void **state)
{
    (void)state;
    struct deepsad_recipe *recipe = recipe_of("reference");
    assert_int_equal(recipe->pretrain_epochs, 150);
    assert_int_equal(recipe->epochs, 150);
    assert_int_equal(recipe->milestones.values[0], 50);
    assert_near(recipe->weight_decay, 0.5e-6, 1e-12);
    assert_near(recipe->pretrain_weight_decay, 0.5e-3, 1e-12);
    assert_int_equal(recipe->members, 1);
    assert_int_equal(recipe->batch_norm, RECIPE_ON);
    assert_int_equal(recipe->loss, RECIPE_LOSS_PAPER);
    deepsad_recipe_free(recipe);
}

static void a_setting_is_set_from_text(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe = recipe_of("default");
    assert_int_equal(deepsad_recipe_set(recipe, "hidden", "12,3", &error), DEEPSAD_OK);
    assert_int_equal(recipe->hidden.count, 2);
    assert_int_equal(recipe->hidden.values[1], 3);
    assert_int_equal(deepsad_recipe_set(recipe, "insurance", "off", &error), DEEPSAD_OK);
    assert_int_equal(recipe->insurance, RECIPE_OFF);
    deepsad_recipe_free(recipe);
}

static void an_unknown_setting_is_refused_by_name(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe = recipe_of("default");
    assert_int_equal(deepsad_recipe_set(recipe, "lerning_rate", "1", &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "lerning_rate");
    assert_error_says(error, "learning_rate");
    deepsad_recipe_free(recipe);
}

static void an_unknown_recipe_names_the_ones_there_are(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe = NULL;
    assert_int_equal(deepsad_recipe_new(&recipe, "refrence", &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, "default, reference");
    assert_null(recipe);
}

static void a_recipe_file_starts_from_its_base(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    char path[] = "/tmp/deepsad-recipe-XXXXXX";
    const char text[] = "members: 2\nbase: reference\nhidden: [5, 2]\n";
    close(mkstemp(path));
    assert_int_equal(file_replace(path, text, sizeof text - 1, &error), DEEPSAD_OK);
    struct deepsad_recipe *recipe = recipe_of(path);
    unlink(path);
    assert_int_equal(recipe->members, 2);
    assert_int_equal(recipe->hidden.values[0], 5);
    assert_int_equal(recipe->epochs, 150);
    deepsad_recipe_free(recipe);
}

static void the_help_names_every_setting(void **state)
{
    (void)state;
    char *help = deepsad_recipe_help();
    assert_non_null(help);
    for (size_t i = 0; i < recipe_table.count; i++) {
        assert_non_null(strstr(help, recipe_table.settings[i].key));
    }
    free(help);
}

static struct plan plan_of(const char *name, struct plan_facts facts)
{
    struct deepsad_error error = {0};
    struct plan plan;
    struct deepsad_recipe *recipe = recipe_of(name);
    assert_int_equal(plan_make(&plan, recipe, &facts, &error), DEEPSAD_OK);
    deepsad_recipe_free(recipe);
    return plan;
}

static void the_paper_has_a_network_for_each_number_of_features(void **state)
{
    (void)state;
    static const size_t expected[][2] = {{6, 4}, {9, 8}, {36, 8}, {274, 32}};
    for (size_t i = 0; i < 4; i++) {
        struct plan plan =
            plan_of("reference", (struct plan_facts){.features = expected[i][0]});
        assert_int_equal(plan.network.encoder_count, 3);
        assert_int_equal(plan.network.encoder[2].width, expected[i][1]);
        assert_int_equal(plan.scaler, SCALER_MINMAX);
    }
}

static void steps_grow_once_a_hundred_anomalies_are_labelled(void **state)
{
    (void)state;
    struct plan_facts facts = {.features = 9, .labeled_anomalies = 99};
    assert_int_equal(plan_of("default", facts).train_options.steps, 100);
    facts.labeled_anomalies = 100;
    assert_int_equal(plan_of("default", facts).train_options.steps, 300);
}

static void without_labelled_anomalies_the_default_is_unsupervised(void **state)
{
    (void)state;
    struct plan plan = plan_of("default", (struct plan_facts){.features = 9});
    assert_false(plan.networks);
    assert_true(plan.neighbours);
    plan = plan_of("reference", (struct plan_facts){.features = 9});
    assert_true(plan.networks);
    assert_false(plan.neighbours);
}

static void images_get_one_scale_and_an_autoencoder(void **state)
{
    (void)state;
    struct plan_facts facts = {
        .features = 784, .image = {1, 28, 28}, .labeled_anomalies = 3};
    struct plan plan = plan_of("default", facts);
    assert_int_equal(plan.scaler, SCALER_GLOBAL);
    assert_true(plan.networks && plan.autoencoder && !plan.neighbours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_recipe_is_the_paper),
        cmocka_unit_test(a_setting_is_set_from_text),
        cmocka_unit_test(an_unknown_setting_is_refused_by_name),
        cmocka_unit_test(an_unknown_recipe_names_the_ones_there_are),
        cmocka_unit_test(a_recipe_file_starts_from_its_base),
        cmocka_unit_test(the_help_names_every_setting),
        cmocka_unit_test(the_paper_has_a_network_for_each_number_of_features),
        cmocka_unit_test(steps_grow_once_a_hundred_anomalies_are_labelled),
        cmocka_unit_test(without_labelled_anomalies_the_default_is_unsupervised),
        cmocka_unit_test(images_get_one_scale_and_an_autoencoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
