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

/* The message about a recipe file of this text. */
static struct deepsad_error fault_of(const char *text)
{
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe = NULL;
    char path[] = "/tmp/deepsad-recipe-XXXXXX";
    close(mkstemp(path));
    assert_int_equal(file_replace(path, text, strlen(text), &error), DEEPSAD_OK);
    assert_int_equal(deepsad_recipe_new(&recipe, path, &error), DEEPSAD_INVALID);
    unlink(path);
    return error;
}

static void a_network_is_described_in_a_file_step_by_step(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    char path[] = "/tmp/deepsad-recipe-XXXXXX";
    const char text[] = "network: [conv: 16, pool, conv3x3: 32, dense: 128, rep: 64]\n";
    close(mkstemp(path));
    assert_int_equal(file_replace(path, text, sizeof text - 1, &error), DEEPSAD_OK);
    struct deepsad_recipe *recipe = recipe_of(path);
    unlink(path);
    assert_string_equal(recipe->network, "conv:16,pool,conv3x3:32,dense:128,rep:64");
    deepsad_recipe_free(recipe);
}

static void a_network_that_is_none_is_refused_where_it_stands(void **state)
{
    (void)state;
    assert_error_says(fault_of("members: 1\nnetwork: lenet\n"),
                      ":2:10: network: \"lenet\"");
    assert_error_says(fault_of("network: [conv: 16, pool]\n"),
                      ":1:10: network: the last");
    assert_error_says(fault_of("network: [conv: x, rep: 2]\n"),
                      ":1:10: network: step 1, \"conv:x\"");
    assert_error_says(fault_of("network: [conv: 1, rep: [2]]\n"), ":1:25: expected");
    assert_error_says(fault_of("network:\n"), "network: has no value");
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

/* Of the default recipe with a setting. */
static struct plan plan_with(const char *key, const char *value, struct plan_facts facts)
{
    struct deepsad_error error = {0};
    struct plan plan;
    struct deepsad_recipe *recipe = recipe_of("default");
    assert_int_equal(deepsad_recipe_set(recipe, key, value, &error), DEEPSAD_OK);
    assert_int_equal(plan_make(&plan, recipe, &facts, &error), DEEPSAD_OK);
    deepsad_recipe_free(recipe);
    return plan;
}

static struct plan_facts facts_of(size_t channels, size_t height, size_t width)
{
    return (struct plan_facts){.features = channels * height * width,
                               .image = {channels, height, width},
                               .pixels = true,
                               .labeled_anomalies = 3};
}

static void images_get_a_network_by_their_shape(void **state)
{
    (void)state;
    assert_string_equal(plan_of("default", facts_of(1, 28, 28)).network.name,
                        "fashion-mnist-lenet");
    assert_string_equal(plan_of("reference", facts_of(3, 32, 32)).network.name,
                        "cifar-10-lenet");
    struct plan plan = plan_of("default", facts_of(2, 40, 4));
    assert_int_equal(plan.network.encoder_count, 6);
    assert_true(plan.convolutional);
    plan = plan_of("default", facts_of(1, 3, 500));
    assert_int_equal(plan.network.encoder_count, 2);
    assert_true(!plan.convolutional && plan.input.channels == 1500);
}

static void auto_is_for_images_what_the_measurements_say(void **state)
{
    (void)state;
    struct plan plan = plan_of("default", facts_of(1, 28, 28));
    assert_true(plan.batch_norm && plan.members == 1 && plan.warm == 10);
    assert_int_equal(plan.train_options.steps, 300);
    assert_near(plan.train_options.learning_rate, 0.001, 1e-6);
    plan = plan_of("default", (struct plan_facts){.features = 9, .labeled_anomalies = 1});
    assert_true(!plan.batch_norm && plan.members == 4);
    assert_int_equal(plan.train_options.steps, 100);
    assert_near(plan.train_options.learning_rate, 0.003, 1e-6);
    plan = plan_with("network", "dense", facts_of(1, 28, 28));
    assert_true(!plan.batch_norm && plan.train_options.steps == 100);
}

static void the_reference_takes_pixels_as_they_are_and_scales_the_rest(void **state)
{
    (void)state;
    struct plan_facts facts = facts_of(1, 28, 28);
    struct plan plan = plan_of("reference", facts);
    assert_true(plan.scaler == SCALER_NONE && plan.sigmoid && plan.pretrain);
    facts.pixels = false;
    plan = plan_of("reference", facts);
    assert_true(plan.scaler == SCALER_MINMAX && plan.sigmoid);
    plan = plan_with("scaler", "none", facts);
    assert_true(plan.scaler == SCALER_NONE && !plan.sigmoid);
    assert_false(plan_with("pretrain_epochs", "2", facts_of(1, 28, 28)).sigmoid);
}

static void other_methods_train_whatever_is_labelled(void **state)
{
    (void)state;
    struct plan_facts facts = {.features = 9};
    struct plan plan = plan_with("method", "autoencoder", facts);
    assert_true(plan.networks && plan.method == RECIPE_AUTOENCODER);
    assert_int_equal(plan.pretrain_options.steps, 400);
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe = recipe_of("reference");
    assert_int_equal(deepsad_recipe_set(recipe, "method", "classifier", &error), 0);
    assert_int_equal(plan_make(&plan, recipe, &facts, &error), DEEPSAD_INVALID);
    assert_error_says(error, "needs labelled anomalies");
    deepsad_recipe_free(recipe);
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
        cmocka_unit_test(a_network_is_described_in_a_file_step_by_step),
        cmocka_unit_test(a_network_that_is_none_is_refused_where_it_stands),
        cmocka_unit_test(images_get_a_network_by_their_shape),
        cmocka_unit_test(auto_is_for_images_what_the_measurements_say),
        cmocka_unit_test(the_reference_takes_pixels_as_they_are_and_scales_the_rest),
        cmocka_unit_test(other_methods_train_whatever_is_labelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
