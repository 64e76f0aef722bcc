/* SPDX-License-Identifier: Apache-2.0 */
/* Training, model files, scoring, explaining and exporting when memory runs out. */
#include "../allocations.h"
#include "../sample_data.h"

#include <unistd.h>

#include "model/import.h"
#include "model/model_file.h"
#include "model/retrain.h"
#include "model/training_set_file.h"

enum { FEATURES = 3 };

struct scene {
    struct deepsad_dataset data;
    struct deepsad_recipe *recipe;
    struct deepsad_model *model;
    struct buffer file;
};

static struct deepsad_recipe *small_recipe(const char *name)
{
    struct deepsad_recipe *recipe = sample_recipe(name);
    sample_set(recipe, "hidden", "4,3");
    sample_set(recipe, "members", "2");
    sample_set(recipe, "steps", "6");
    sample_set(recipe, "epochs", "1");
    sample_set(recipe, "pretrain_epochs", "1");
    sample_set(recipe, "neighbours_members", "2");
    sample_set(recipe, "insurance", "on");
    sample_set(recipe, "autoencoder", "on");
    sample_set(recipe, "autoencoder_hidden", "4,2");
    sample_set(recipe, "autoencoder_steps", "4");
    return recipe;
}

static int set_up(void **state)
{
    static struct scene scene;
    struct deepsad_error error = {0};
    scene.data = sample_data(60, 6, 12, FEATURES);
    scene.recipe = small_recipe("default");
    scene.model = sample_model(&scene.data, scene.recipe, 1);
    *state = &scene;
    return model_file_format(&scene.file, scene.model, &error) | allocations_setup(state);
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    deepsad_model_unref(scene->model);
    deepsad_recipe_free(scene->recipe);
    deepsad_dataset_clear(&scene->data);
    buffer_done(&scene->file);
    return 0;
}

static int train(void *closure, struct deepsad_error *error)
{
    const struct scene *scene = closure;
    struct deepsad_model *model = NULL;
    const struct deepsad_train_options options = {.seed = 1, .threads = 1};
    int status = deepsad_train(&model, &scene->data, scene->recipe, &options, error);
    assert_true((status == DEEPSAD_OK) == (model != NULL));
    deepsad_model_unref(model);
    return status;
}

static void training_ends_in_an_error(void **state)
{
    allocations_fail_each(train, *state, 50, 2000);
}

static int parse(void *closure, struct deepsad_error *error)
{
    const struct scene *scene = closure;
    struct buffer copy = {.data = __real_malloc(scene->file.length)};
    struct deepsad_model *model = NULL;
    memcpy(copy.data, scene->file.data, scene->file.length);
    copy.length = copy.capacity = scene->file.length;
    int status = model_file_parse(&model, &copy, error);
    assert_true((status == DEEPSAD_OK) == (model != NULL));
    deepsad_model_unref(model);
    buffer_done(&copy);
    return status;
}

static void reading_a_model_ends_in_an_error(void **state)
{
    allocations_fail_each(parse, *state, 50, 2000);
}

static int format(void *closure, struct deepsad_error *error)
{
    const struct scene *scene = closure;
    struct buffer file = {0};
    int status = model_file_format(&file, scene->model, error);
    assert_true(status != DEEPSAD_OK || file.length == scene->file.length);
    buffer_done(&file);
    return status;
}

static void writing_a_model_ends_in_an_error(void **state)
{
    allocations_fail_each(format, *state, 10, 2000);
}

static int score(void *closure, struct deepsad_error *error)
{
    const struct scene *scene = closure;
    float scores[8], base, contributions[FEATURES];
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    if (workspace == NULL) {
        return error_no_memory(error, "a workspace");
    }
    int status =
        deepsad_score(scene->model, workspace, scores, NULL, scene->data.x, 8, error);
    if (status == DEEPSAD_OK) {
        status = deepsad_explain(scene->model, workspace, &base, contributions,
                                 scene->data.x, error);
    }
    deepsad_workspace_free(workspace);
    return status;
}

static void scoring_ends_in_an_error(void **state)
{
    allocations_fail_each(score, *state, 2, 2000);
}

static int encode(void *closure, struct deepsad_error *error)
{
    const struct scene *scene = closure;
    float codes[8 * 16];
    return deepsad_encode(scene->model, codes, scene->data.x, 8, error);
}

static void encoding_ends_in_an_error(void **state)
{
    allocations_fail_each(encode, *state, 2, 2000);
}

static int export(void *closure, struct deepsad_error *error)
{
    const struct scene *scene = closure;
    char path[] = "/tmp/deepsad-export-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    int status = deepsad_model_export_onnx(scene->model, path, error);
    unlink(path);
    return status;
}

static void exporting_ends_in_an_error(void **state)
{
    allocations_fail_each(export, *state, 20, 2000);
}

static int retrain_again(void *closure, struct deepsad_error *error)
{
    const struct scene *scene = closure;
    const struct retrain_options options = {.seed = 2, .threads = 1};
    struct deepsad_model *model = NULL;
    int status = retrain(&model, scene->model->set, scene->recipe, &options, error);
    if (status == DEEPSAD_OK) {
        status = retrain_recalibrate(model, scene->model->set, 1, error);
    }
    deepsad_model_unref(model);
    return status;
}

static void retraining_ends_in_an_error(void **state)
{
    allocations_fail_each(retrain_again, *state, 50, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_ends_in_an_error),
        cmocka_unit_test(reading_a_model_ends_in_an_error),
        cmocka_unit_test(writing_a_model_ends_in_an_error),
        cmocka_unit_test(scoring_ends_in_an_error),
        cmocka_unit_test(encoding_ends_in_an_error),
        cmocka_unit_test(exporting_ends_in_an_error),
        cmocka_unit_test(retraining_ends_in_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
