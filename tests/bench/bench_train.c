/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training speed of one thread: samples per second through a phase of a network, on
 * random rows. The networks are the paper's for shuttle and cardio, and the default
 * recipe's. usage: bench_train NET PHASE [SECONDS] NET    shuttle (9-32-16-8), cardio
 * (21-32-16-8), wide (784-512-256-64), default (9-128-64; only with PHASE sad) PHASE  sad
 * (Deep SAD), ae (autoencoder) Prints one line of "key value" pairs; with `default` also
 * the time of a member of 300 steps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/matrix.h"
#include "nn/trainer.h"

struct bench {
    const char *name;
    size_t features, rows, width_count, widths[3];
    bool default_recipe;
};

static const struct bench benches[] = {
    {"shuttle", 9, 27627, 3, {32, 16, 8}, false},
    {"cardio", 21, 1003, 3, {32, 16, 8}, false},
    {"wide", 784, 20000, 3, {512, 256, 64}, false},
    {"default", 9, 29458, 2, {128, 64}, true},
};

static const struct trainer_options reference = {
    .batch = 128, .learning_rate = 1e-4F, .weight_decay = 1e-6F, .eta = 1};

static const struct trainer_options ours = {.batch = 128,
                                            .anomaly_batch = 32,
                                            .learning_rate = 3e-3F,
                                            .weight_decay = 1e-4F,
                                            .decoupled_decay = true,
                                            .schedule = TRAINER_SCHEDULE_COSINE,
                                            .loss = TRAINER_LOSS_LOG,
                                            .eta = 1,
                                            .trim = 0.05F};

/* CPU seconds of this process. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void check(int status, const struct deepsad_error *error)
{
    if (status != DEEPSAD_OK) {
        fprintf(stderr, "bench_train: %s\n", error->message);
        exit(1);
    }
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "bench_train: out of memory\n");
        exit(1);
    }
    return memory;
}

/* Random rows, one in a hundred labelled anomalous. */
static struct trainer_data make_data(const struct bench *bench, struct rng *rng)
{
    size_t count = bench->rows * bench->features;
    float *rows = need(calloc(count, sizeof *rows));
    signed char *labels = need(calloc(bench->rows, sizeof *labels));
    for (size_t i = 0; i < count; i++) {
        rows[i] = rng_float(rng);
    }
    memset(labels, -1, bench->rows / 100);
    return (struct trainer_data){.rows = rows,
                                 .features = bench->features,
                                 .labels = labels,
                                 .count = bench->rows};
}

struct run {
    struct network *network;
    float *center; /* NULL: the autoencoder's phase */
    struct trainer_data data;
    struct trainer_options options;
    struct rng rng;
};

/* Seconds of one fit. */
static double fit(struct run *run)
{
    struct deepsad_error error = {0};
    double start = now();
    int status = run->center == NULL
                     ? trainer_fit_autoencoder(run->network, &run->data, &run->options,
                                               &run->rng, NULL, &error)
                     : trainer_fit_deepsad(run->network, run->center, &run->data,
                                           &run->options, &run->rng, NULL, &error);
    double seconds = now() - start;
    check(status, &error);
    return seconds;
}

static void make_run(struct run *run, const struct bench *bench, bool autoencoder)
{
    struct deepsad_error error = {0};
    struct architecture form;
    architecture_dense(&form, bench->widths, bench->width_count);
    struct network_shape shape = {.input = {bench->features, 1, 1},
                                  .architecture = &form,
                                  .batch_norm = !bench->default_recipe};
    rng_init(&run->rng, 1, 0);
    run->data = make_data(bench, &run->rng);
    run->options = bench->default_recipe ? ours : reference;
    run->options.steps = 300;
    if (autoencoder) {
        check(network_new_autoencoder(&run->network, &shape, true, &run->rng, &error),
              &error);
        return;
    }
    check(network_new_encoder(&run->network, &shape, &run->rng, &error), &error);
    run->center = need(calloc(run->network->outputs, sizeof *run->center));
    check(trainer_center(run->center, run->network, &run->data, &error), &error);
}

/* The best of repeated fits: what the machine can do when left alone. */
static void measure(struct run *run, const struct bench *bench, const char *phase,
                    double seconds)
{
    double best = fit(run);
    for (double end = now() + seconds; now() < end;) {
        double time = fit(run);
        best = time < best ? time : best;
    }
    double rows = (double)(run->options.batch + run->options.anomaly_batch);
    printf("net %s phase %s samples_per_second %.0f", bench->name, phase,
           (double)run->options.steps * rows / best);
    if (bench->default_recipe) {
        printf(" member_ms %.2f", best * 1e3);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 1;
    for (size_t i = 0; argc > 2 && i < sizeof benches / sizeof *benches; i++) {
        if (strcmp(argv[1], benches[i].name) != 0) {
            continue;
        }
        struct deepsad_error error = {0};
        struct run run = {0};
        check(matrix_blas_init(&error), &error);
        make_run(&run, &benches[i], strcmp(argv[2], "ae") == 0);
        measure(&run, &benches[i], argv[2], seconds);
        network_free(run.network);
        free(run.center);
        free((void *)(uintptr_t)run.data.rows);
        free((void *)(uintptr_t)run.data.labels);
        return 0;
    }
    fprintf(stderr, "usage: bench_train shuttle|cardio|wide|default sad|ae [SECONDS]\n");
    return 2;
}
