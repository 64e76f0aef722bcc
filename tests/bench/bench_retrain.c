/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Milliseconds of a retraining and of what the gate asks of two models, phase by phase:
 * the best of several runs.
 *
 *     bench_retrain MODEL.safetensors [THREADS]
 *
 * The model must hold its training rows; it is retrained by its recipe and seed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "deepsad.h"
#include "model/model.h"
#include "model/model_file.h"
#include "model/retrain.h"
#include "model/training_set_file.h"

enum { RUNS = 9 };

struct bench {
    const char *path;
    struct deepsad_model *champion, *challenger;
    struct deepsad_recipe *recipe;
    struct training_set set;
    struct retrain_options options;
    float *scores, *ranks;
};

static void check(int status, const struct deepsad_error *error)
{
    if (status != DEEPSAD_OK) {
        fprintf(stderr, "bench_retrain: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
}

static void read_set(struct bench *bench, struct deepsad_error *error)
{
    training_set_done(&bench->set);
    check(training_set_read(&bench->set, bench->path, error), error);
}

static void load_model(struct bench *bench, struct deepsad_error *error)
{
    deepsad_model_unref(bench->champion);
    check(model_file_read(&bench->champion, bench->path, error), error);
}

static void train_again(struct bench *bench, struct deepsad_error *error)
{
    deepsad_model_unref(bench->challenger);
    check(retrain(&bench->challenger, &bench->set, bench->recipe, &bench->options, error),
          error);
}

static void score(struct bench *bench, struct deepsad_error *error)
{
    check(retrain_unlabeled_scores(bench->scores, bench->challenger, &bench->set, error),
          error);
}

static void rank(struct bench *bench, struct deepsad_error *error)
{
    bool out_of_fold;
    check(retrain_label_ranks(bench->ranks, &out_of_fold, bench->challenger, &bench->set,
                              error),
          error);
}

static void recalibrate(struct bench *bench, struct deepsad_error *error)
{
    check(retrain_recalibrate(bench->champion, &bench->set, 1, error), error);
}

static void format(struct bench *bench, struct deepsad_error *error)
{
    struct buffer bytes = {0};
    check(model_file_format(&bytes, bench->challenger, error), error);
    buffer_done(&bytes);
}

static void run(struct bench *bench, const char *what,
                void (*phase)(struct bench *bench, struct deepsad_error *error))
{
    double best = 1e9;
    for (int i = 0; i < RUNS; i++) {
        struct deepsad_error error = {0};
        double start = clock_monotonic();
        phase(bench, &error);
        double seconds = clock_monotonic() - start;
        best = seconds < best ? seconds : best;
    }
    printf("%-28s %8.2f ms\n", what, 1e3 * best);
}

int main(int argc, char **argv)
{
    struct deepsad_error error = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: bench_retrain MODEL.safetensors [THREADS]\n");
        return EXIT_FAILURE;
    }
    struct bench bench = {.path = argv[1]};
    bench.options.threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    run(&bench, "read the training rows", read_set);
    run(&bench, "load the model", load_model);
    check(retrain_recipe(&bench.recipe, &bench.options.seed, bench.champion, &error),
          &error);
    bench.options.scaler = &bench.champion->scaler;
    size_t rows = bench.set.base + bench.set.traffic;
    bench.scores = calloc(rows + 1, sizeof *bench.scores);
    bench.ranks = calloc(bench.set.labels + 1, sizeof *bench.ranks);
    printf("%zu unlabeled rows, %zu labels, %zu features, %zu threads\n", rows,
           bench.set.labels, bench.set.features, bench.options.threads);
    run(&bench, "retrain", train_again);
    run(&bench, "scores of unlabeled rows", score);
    run(&bench, "ranks of labels", rank);
    run(&bench, "format the file", format);
    bench.options.scaler = NULL; /* it goes with the champion */
    run(&bench, "recalibrate", recalibrate);
    free(bench.scores);
    free(bench.ranks);
    training_set_done(&bench.set);
    deepsad_recipe_free(bench.recipe);
    deepsad_model_unref(bench.champion);
    deepsad_model_unref(bench.challenger);
    return EXIT_SUCCESS;
}
