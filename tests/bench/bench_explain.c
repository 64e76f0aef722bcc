/* SPDX-License-Identifier: Apache-2.0 */
/* What an explanation costs: CPU of deepsad_explain() over that of scoring a row, alone
 * and in a batch, the median of interleaved rounds. Random data; no arguments. Fails
 * where a model's explanation costs more than 50 scorings in a batch. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "deepsad.h"
#include "nn/rng.h"

enum { ROWS = 256, TRAINING_ROWS = 2000, ANOMALIES = 20, ROUNDS = 41 };
static const double limit = 50;

struct bench {
    const struct deepsad_model *model;
    struct deepsad_workspace *workspace;
    const float *x; /* (ROWS, features) */
    size_t features;
    float *contributions;
    float scores[ROWS], p_values[ROWS];
};

static void die(const char *what)
{
    fprintf(stderr, "bench_explain: %s\n", what);
    exit(EXIT_FAILURE);
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- What is measured: all rows once ---- */

static void score_batch(struct bench *b)
{
    deepsad_score(b->model, b->workspace, b->scores, b->p_values, b->x, ROWS, NULL);
}

static void score_alone(struct bench *b)
{
    for (size_t i = 0; i < ROWS; i++) {
        deepsad_score(b->model, b->workspace, b->scores + i, b->p_values + i,
                      b->x + i * b->features, 1, NULL);
    }
}

static void explain(struct bench *b)
{
    for (size_t i = 0; i < ROWS; i++) {
        float base;
        deepsad_explain(b->model, b->workspace, &base, b->contributions,
                        b->x + i * b->features, NULL);
    }
}

static double seconds_of(void (*run)(struct bench *), struct bench *b)
{
    double start = cpu_seconds();
    run(b);
    return cpu_seconds() - start;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static bool measure(const char *name, struct bench *b)
{
    double alone[ROUNDS], batch[ROUNDS], explained[ROUNDS], ratio[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        alone[i] = seconds_of(score_alone, b);
        batch[i] = seconds_of(score_batch, b);
        explained[i] = seconds_of(explain, b);
        ratio[i] = explained[i] / batch[i];
    }
    double one = 1e6 * median(explained, ROUNDS) / ROWS;
    double worst = median(ratio, ROUNDS);
    printf("%-34s %9.2f %9.2f %9.2f %9.1f %9.1f\n", name,
           1e6 * median(alone, ROUNDS) / ROWS, 1e6 * median(batch, ROUNDS) / ROWS, one,
           median(explained, ROUNDS) / median(alone, ROUNDS), worst);
    return worst <= limit;
}

/* ---- Models ---- */

struct setting {
    const char *key, *value;
};

static struct deepsad_dataset draw(size_t features)
{
    struct deepsad_dataset data = {.rows = TRAINING_ROWS, .features = features};
    data.x = calloc(data.rows * features, sizeof *data.x);
    data.labels = calloc(data.rows, 1);
    if (data.x == NULL || data.labels == NULL) {
        die("out of memory");
    }
    struct rng rng;
    rng_init(&rng, 11, 0);
    for (size_t i = 0; i < data.rows; i++) {
        bool anomalous = i < ANOMALIES;
        data.labels[i] = anomalous ? -1 : 0;
        for (size_t j = 0; j < features; j++) {
            float value = rng_float(&rng) + rng_float(&rng) + rng_float(&rng);
            data.x[i * features + j] = value + (anomalous && j % 3 == 0 ? 2 : 0);
        }
    }
    return data;
}

static bool run(const char *name, const char *recipe_name, size_t features,
                const struct setting *settings)
{
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe;
    struct deepsad_model *model;
    struct deepsad_train_options options = {.seed = 1};
    struct deepsad_dataset data = draw(features);
    int status = deepsad_recipe_new(&recipe, recipe_name, &error);
    for (; status == DEEPSAD_OK && settings->key != NULL; settings++) {
        status = deepsad_recipe_set(recipe, settings->key, settings->value, &error);
    }
    if (status != DEEPSAD_OK ||
        deepsad_train(&model, &data, recipe, &options, &error) != DEEPSAD_OK) {
        die(error.message);
    }
    struct bench bench = {.model = model,
                          .workspace = deepsad_workspace_new(),
                          .x = data.x,
                          .features = features,
                          .contributions = calloc(features, sizeof(float))};
    if (bench.workspace == NULL || bench.contributions == NULL) {
        die("out of memory");
    }
    bool good = measure(name, &bench);
    free(bench.contributions);
    deepsad_workspace_free(bench.workspace);
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    return good;
}

int main(void)
{
    const struct setting none[] = {{0}};
    const struct setting quick[] = {{"pretrain_epochs", "3"}, {"epochs", "5"}, {0}};
    const struct setting autoencoder[] = {
        {"autoencoder", "on"}, {"autoencoder_hidden", "64,16"}, {0}};
    printf("%-34s %9s %9s %9s %9s %9s\n", "model", "us alone", "us batch", "explain",
           "ratio", "to batch");
    bool good = run("default, 9 features", "default", 9, none);
    good &= run("default, 36 features", "default", 36, none);
    good &= run("reference, 9-32-16-8", "reference", 9, quick);
    good &= run("default + autoencoder, 784", "default", 784, autoencoder);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
