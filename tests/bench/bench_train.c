/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training speed: samples per second through a phase of a network, on random rows. The
 * networks are the paper's, and the default recipe's. Prints one line of "key value"
 * pairs: samples per second and GFLOP/s of the convolutions' and dense layers' products
 * at the best of many short stretches of a long fit, which is what the machine can do
 * when left alone, by CPU time with one thread and by the clock with several; the peak
 * memory of the process in MiB; with `default` also the time of a member of 300 steps.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "nn/architecture_parse.h"
#include "nn/center.h"
#include "nn/matrix.h"
#include "nn/trainer.h"

static const char manual[] =
    "usage: bench_train NET PHASE [SECONDS] [THREADS]\n"
    "  NET    shuttle (9-32-16-8), cardio (21-32-16-8), wide (784-512-256-64),\n"
    "         default (9-128-64; only with PHASE sad), the LeNets fmnist, mnist, cifar\n"
    "  PHASE  sad (Deep SAD), ae (autoencoder)\n";

struct bench {
    const char *name;
    struct image_shape input;
    size_t rows, width_count, widths[3];
    const char *architecture; /* instead of widths */
    bool default_recipe;
};

static const struct bench benches[] = {
    {"shuttle", {9, 1, 1}, 27627, 3, {32, 16, 8}, NULL, false},
    {"cardio", {21, 1, 1}, 1003, 3, {32, 16, 8}, NULL, false},
    {"wide", {784, 1, 1}, 20000, 3, {512, 256, 64}, NULL, false},
    {"default", {9, 1, 1}, 29458, 2, {128, 64}, NULL, true},
    {"fmnist", {1, 28, 28}, 6316, 0, {0}, "fashion-mnist-lenet", false},
    {"mnist", {1, 28, 28}, 6316, 0, {0}, "mnist-lenet", false},
    {"cifar", {3, 32, 32}, 5000, 0, {0}, "cifar-10-lenet", false},
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

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
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
    size_t count = bench->rows * image_size(bench->input);
    float *rows = need(calloc(count, sizeof *rows));
    signed char *labels = need(calloc(bench->rows, sizeof *labels));
    for (size_t i = 0; i < count; i++) {
        rows[i] = rng_float(rng);
    }
    memset(labels, -1, bench->rows / 100);
    return (struct trainer_data){.rows = rows,
                                 .features = image_size(bench->input),
                                 .labels = labels,
                                 .count = bench->rows};
}

struct run {
    struct network *network;
    float *center; /* NULL: the autoencoder's phase */
    struct trainer_data data;
    struct trainer_options options;
    struct rng rng;
    size_t stretch; /* batches */
    size_t batches; /* so far */
    double since;   /* the time at the stretch's first batch */
    double best;    /* seconds of a stretch */
    double end;     /* by the clock */
};

static double network_flops(const struct network *network)
{
    double flops = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        double products = i > 0 ? 6 : 4; /* forward, weights; inputs but of the first */
        if (layer->kind == LAYER_DENSE) {
            flops += products * (double)layer->inputs * (double)layer->outputs;
        }
        if (layer->kind == LAYER_CONV) {
            const struct image_shape *pixels =
                layer->transposed ? &layer->in : &layer->out;
            flops += products * (double)(pixels->height * pixels->width) *
                     (double)(layer->in.channels * layer->out.channels) *
                     (double)(layer->kernel * layer->kernel);
        }
    }
    return flops;
}

/* Of this process's CPUs for one thread, else by the clock. */
static double seconds_now(const struct run *run)
{
    return now(run->options.threads > 1 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID);
}

/* Called before each batch. */
static bool watch_stretch(void *closure)
{
    struct run *run = closure;
    if (run->batches++ % run->stretch == 0) {
        double time = seconds_now(run);
        if (run->batches > run->stretch) {
            run->best = fmin(run->best, time - run->since);
        }
        run->since = time;
    }
    return isfinite(run->best) && now(CLOCK_MONOTONIC) > run->end;
}

static void fit(struct run *run, const struct trainer_watch *watch)
{
    struct deepsad_error error = {0};
    int status = run->center == NULL
                     ? trainer_fit_autoencoder(run->network, &run->data, &run->options,
                                               &run->rng, watch, &error)
                     : trainer_fit_deepsad(run->network, run->center, &run->data,
                                           &run->options, &run->rng, watch, &error);
    check(status == DEEPSAD_CANCELLED ? DEEPSAD_OK : status, &error);
}

static void make_run(struct run *run, const struct bench *bench, bool autoencoder,
                     size_t threads)
{
    struct deepsad_error error = {0};
    struct architecture form;
    if (bench->architecture != NULL) {
        check(architecture_parse(&form, bench->architecture, &error), &error);
    } else {
        architecture_dense(&form, bench->widths, bench->width_count);
    }
    struct network_shape shape = {.input = bench->input,
                                  .architecture = &form,
                                  .batch_norm = !bench->default_recipe};
    rng_init(&run->rng, 1, 0);
    run->data = make_data(bench, &run->rng);
    run->options = bench->default_recipe ? ours : reference;
    run->options.steps = SIZE_MAX / 1024; /* until it is cancelled */
    run->stretch = bench->architecture != NULL ? 1 : 50;
    run->options.threads = threads;
    if (autoencoder) {
        check(network_new_autoencoder(&run->network, &shape, true, &run->rng, &error),
              &error);
        return;
    }
    check(network_new_encoder(&run->network, &shape, &run->rng, &error), &error);
    run->center = need(calloc(run->network->outputs, sizeof *run->center));
    check(center_fit(run->center, run->network, &run->data, &error), &error);
}

static void print_member(struct run *run, double seconds)
{
    double best = HUGE_VAL;
    run->options.steps = 300;
    for (double end = now(CLOCK_MONOTONIC) + seconds; now(CLOCK_MONOTONIC) < end;) {
        double start = seconds_now(run);
        fit(run, NULL);
        best = fmin(best, seconds_now(run) - start);
    }
    printf(" member_ms %.2f", best * 1e3);
}

static void measure(struct run *run, const struct bench *bench, const char *phase,
                    double seconds)
{
    run->best = HUGE_VAL;
    run->end = now(CLOCK_MONOTONIC) + seconds;
    fit(run, &(struct trainer_watch){.cancelled = watch_stretch, .closure = run});
    double rows = (double)(run->options.batch + run->options.anomaly_batch);
    double rate = (double)run->stretch * rows / run->best;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("net %s phase %s threads %zu samples_per_second %.0f gflops %.1f mib %.0f",
           bench->name, phase, run->options.threads, rate,
           1e-9 * rate * network_flops(run->network), (double)usage.ru_maxrss / 1024);
    if (bench->default_recipe) {
        print_member(run, seconds);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 1;
    size_t threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 1;
    for (size_t i = 0; argc > 2 && i < sizeof benches / sizeof *benches; i++) {
        if (strcmp(argv[1], benches[i].name) != 0) {
            continue;
        }
        struct deepsad_error error = {0};
        struct run run = {0};
        check(matrix_blas_init(&error), &error);
        make_run(&run, &benches[i], strcmp(argv[2], "ae") == 0, threads);
        measure(&run, &benches[i], argv[2], seconds);
        network_free(run.network);
        free(run.center);
        free((void *)(uintptr_t)run.data.rows);
        free((void *)(uintptr_t)run.data.labels);
        return 0;
    }
    fputs(manual, stderr);
    return 2;
}
