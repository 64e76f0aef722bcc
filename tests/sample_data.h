/* SPDX-License-Identifier: Apache-2.0 */
/* A data set for tests of training: a normal blob, anomalies far from it. */
#ifndef TESTS_SAMPLE_DATA_H
#define TESTS_SAMPLE_DATA_H

#include <stdlib.h>

#include "deepsad.h"
#include "nn/rng.h"
#include "testing.h"

/* Sum of uniforms: near enough to a normal distribution. */
static inline float sample_noise(struct rng *rng)
{
    float sum = 0;
    for (int i = 0; i < 6; i++) {
        sum += rng_float(rng) - 0.5F;
    }
    return sum;
}

/* Rows in this order: unlabeled, labelled normal, labelled anomalous (shifted by 4). */
static inline struct deepsad_dataset sample_data(size_t unlabeled, size_t normals,
                                                 size_t anomalies, size_t features)
{
    struct deepsad_dataset data = {.rows = unlabeled + normals + anomalies,
                                   .features = features};
    data.x = calloc(data.rows * features + 1, sizeof *data.x);
    data.labels = calloc(data.rows + 1, 1);
    struct rng rng;
    rng_init(&rng, 42, 0);
    for (size_t i = 0; i < data.rows; i++) {
        bool anomalous = i >= unlabeled + normals;
        data.labels[i] = (signed char)(i < unlabeled ? 0 : anomalous ? -1 : 1);
        for (size_t j = 0; j < features; j++) {
            data.x[i * features + j] = sample_noise(&rng) + (anomalous ? 4 : 0);
        }
    }
    return data;
}

/* Images of `side` x `side` pixels in [0, 1] in the same order: a bright upper half in
 * noise; anomalous: a bright left half. */
static inline struct deepsad_dataset sample_images(size_t unlabeled, size_t normals,
                                                   size_t anomalies, size_t side)
{
    struct deepsad_dataset data = sample_data(unlabeled, normals, anomalies, side * side);
    struct rng rng;
    rng_init(&rng, 43, 0);
    data.channels = 1;
    data.height = data.width = side;
    for (size_t i = 0; i < data.rows; i++) {
        for (size_t j = 0; j < side * side; j++) {
            size_t along = data.labels[i] < 0 ? j % side : j / side;
            data.x[i * side * side + j] =
                0.5F * rng_float(&rng) + (along < side / 2 ? 0.5F : 0);
        }
    }
    return data;
}

static inline struct deepsad_recipe *sample_recipe(const char *name)
{
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe = NULL;
    if (deepsad_recipe_new(&recipe, name, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return recipe;
}

static inline void sample_set(struct deepsad_recipe *recipe, const char *key,
                              const char *value)
{
    struct deepsad_error error = {0};
    if (deepsad_recipe_set(recipe, key, value, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
}

/* `reference` cut to so few epochs that tests are quick. */
static inline struct deepsad_recipe *sample_reference(void)
{
    struct deepsad_recipe *recipe = sample_recipe("reference");
    sample_set(recipe, "pretrain_epochs", "3");
    sample_set(recipe, "epochs", "5");
    return recipe;
}

static inline struct deepsad_model *sample_model(const struct deepsad_dataset *data,
                                                 const struct deepsad_recipe *recipe,
                                                 size_t threads)
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    struct deepsad_train_options options = {.seed = 3, .threads = threads};
    if (deepsad_train(&model, data, recipe, &options, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return model;
}

/* scores and p_values (rows) of the data's own rows; every one finite and in range. */
static inline void sample_scores(const struct deepsad_model *model, float *scores,
                                 float *p_values, const struct deepsad_dataset *data)
{
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    struct deepsad_error error = {0};
    assert_int_equal(
        deepsad_score(model, workspace, scores, p_values, data->x, data->rows, &error),
        DEEPSAD_OK);
    deepsad_workspace_free(workspace);
    for (size_t i = 0; i < data->rows; i++) {
        assert_true(isfinite(scores[i]));
        assert_true(p_values[i] > 0 && p_values[i] <= 1);
    }
}

#endif
