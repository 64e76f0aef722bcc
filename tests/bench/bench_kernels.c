/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds of CPU per row of each scoring kernel, at batches of 1, 32, 256 and 1000
 * rows: the best of several runs. Random rows and weights; no arguments. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "data/scaler.h"
#include "nn/architecture_parse.h"
#include "nn/folded.h"
#include "nn/neighbours.h"
#include "nn/network.h"
#include "nn/rng.h"

enum { ROWS = 1000, FEATURES_MAX = 3072, FIT_ROWS = 29000, RUNS = 7 };

struct bench {
    const float *x; /* (ROWS, features) */
    size_t features;
    float *out;
    float *scratch;
    const struct scaler *scaler;
    const struct folded *folded;
    const float *center;
    const struct neighbours *neighbours;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_kernels: %s\n", what);
    exit(EXIT_FAILURE);
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void run_scaler(const struct bench *b, size_t rows)
{
    scaler_apply(b->scaler, b->out, b->x, rows);
}

static void run_folded(const struct bench *b, size_t rows)
{
    folded_distance(b->folded, b->center, b->out, b->x, rows, b->scratch);
}

static void run_reconstruction(const struct bench *b, size_t rows)
{
    folded_reconstruction(b->folded, b->out, b->x, rows, b->scratch);
}

static void run_neighbours(const struct bench *b, size_t rows)
{
    neighbours_score(b->neighbours, b->out, b->x, rows);
}

/* Best time of a row over RUNS runs of about 10 ms. */
static double measure(void (*kernel)(const struct bench *, size_t), const struct bench *b,
                      size_t rows)
{
    double start = cpu_seconds();
    size_t repeats = 0;
    while (cpu_seconds() - start < 0.01) {
        kernel(b, rows);
        repeats++;
    }
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        start = cpu_seconds();
        for (size_t i = 0; i < repeats; i++) {
            kernel(b, rows);
        }
        double seconds = (cpu_seconds() - start) / (double)(repeats * rows);
        best = seconds < best ? seconds : best;
    }
    return 1e9 * best;
}

static void report(const char *name, void (*kernel)(const struct bench *, size_t),
                   const struct bench *b)
{
    const size_t batches[] = {1, 32, 256, ROWS};
    printf("%-24s", name);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        printf(" %9.1f", measure(kernel, b, batches[i]));
    }
    printf("\n");
    fflush(stdout);
}

static void bench_scaler(struct bench b, const char *name, enum scaler_kind kind)
{
    struct scaler scaler;
    if (scaler_fit(&scaler, kind, b.x, ROWS, b.features, NULL) != DEEPSAD_OK) {
        die("cannot fit a scaler");
    }
    b.scaler = &scaler;
    report(name, run_scaler, &b);
    scaler_done(&scaler);
}

static void bench_network(struct bench b, const char *name, struct network *network,
                          void (*kernel)(const struct bench *, size_t))
{
    struct folded *folded = NULL;
    if (folded_from_network(&folded, network, NULL) != DEEPSAD_OK) {
        die("cannot fold a network");
    }
    float *center = calloc(folded_outputs(folded), sizeof *center);
    size_t bytes = folded_scratch(folded) * sizeof *b.scratch;
    b.scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (center == NULL || b.scratch == NULL) {
        die("out of memory");
    }
    b.folded = folded;
    b.center = center;
    report(name, kernel, &b);
    free(b.scratch);
    free(center);
    folded_free(folded);
    network_free(network);
}

static void bench_encoder(struct bench b, const char *name, const size_t *widths,
                          size_t count)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct architecture form;
    architecture_dense(&form, widths, count);
    struct network_shape shape = {
        .input = {b.features, 1, 1}, .architecture = &form, .batch_norm = true};
    struct network *network = NULL;
    if (network_new_encoder(&network, &shape, &rng, NULL) != DEEPSAD_OK) {
        die("cannot make a network");
    }
    bench_network(b, name, network, run_folded);
}

static void bench_autoencoder(struct bench b, const char *name, const size_t *widths,
                              size_t count)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct architecture form;
    architecture_dense(&form, widths, count);
    struct network_shape shape = {
        .input = {b.features, 1, 1}, .architecture = &form, .bias = true};
    struct network *network = NULL;
    if (network_new_autoencoder(&network, &shape, true, &rng, NULL) != DEEPSAD_OK) {
        die("cannot make a network");
    }
    bench_network(b, name, network, run_reconstruction);
}

/* One of the paper's; with `decoder` its autoencoder. */
static void bench_lenet(struct bench b, const char *name, struct image_shape input,
                        bool decoder)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct architecture form;
    struct network_shape shape = {
        .input = input, .architecture = &form, .batch_norm = true};
    struct network *network = NULL;
    int status = architecture_parse(&form, name, NULL);
    if (status == DEEPSAD_OK) {
        status = decoder ? network_new_autoencoder(&network, &shape, true, &rng, NULL)
                         : network_new_encoder(&network, &shape, &rng, NULL);
    }
    if (status != DEEPSAD_OK) {
        die("cannot make a LeNet");
    }
    bench_network(b, decoder ? "  its autoencoder" : name, network,
                  decoder ? run_reconstruction : run_folded);
}

static void bench_neighbours(struct bench b, const char *name, const float *z)
{
    struct neighbours_options options = {
        .members = 100, .scale_rows = 2000, .trim = 0.1, .seed = 1};
    struct neighbours *neighbours = NULL;
    double start = cpu_seconds();
    float *out_of_bag = calloc(FIT_ROWS, sizeof *out_of_bag);
    if (out_of_bag == NULL || neighbours_fit(&neighbours, out_of_bag, z, FIT_ROWS,
                                             b.features, &options, NULL) != DEEPSAD_OK) {
        die("cannot fit nearest neighbours");
    }
    double seconds = cpu_seconds() - start;
    b.neighbours = neighbours;
    report(name, run_neighbours, &b);
    printf("  fitted on %d rows in %.1f ms\n", FIT_ROWS, 1e3 * seconds);
    free(out_of_bag);
    neighbours_free(neighbours);
}

int main(void)
{
    size_t count = (size_t)FIT_ROWS * 40 > (size_t)ROWS * FEATURES_MAX
                       ? (size_t)FIT_ROWS * 40
                       : (size_t)ROWS * FEATURES_MAX;
    float *x = calloc(count, sizeof *x);
    float *out = calloc((size_t)ROWS * FEATURES_MAX, sizeof *out);
    if (x == NULL || out == NULL) {
        die("out of memory");
    }
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (size_t i = 0; i < count; i++) {
        x[i] = 2 * (rng_float(&rng) + rng_float(&rng) - 1);
    }
    struct bench nine = {.x = x, .features = 9, .out = out};
    struct bench forty = {.x = x, .features = 40, .out = out};
    struct bench image = {.x = x, .features = 784, .out = out};
    printf("%-24s %9s %9s %9s %9s\n", "ns a row, rows:", "1", "32", "256", "1000");
    bench_scaler(nine, "scaler asinh 9", SCALER_ASINH);
    bench_scaler(nine, "scaler min-max 9", SCALER_MINMAX);
    bench_scaler(image, "scaler global 784", SCALER_GLOBAL);
    bench_encoder(nine, "network 9-32-16-8", (const size_t[]){32, 16, 8}, 3);
    bench_encoder(nine, "network 9-128-64", (const size_t[]){128, 64}, 2);
    bench_encoder(image, "network 784-128-64", (const size_t[]){128, 64}, 2);
    bench_encoder(image, "network 784-512-256-64", (const size_t[]){512, 256, 64}, 3);
    bench_autoencoder(image, "autoencoder 784-64-16", (const size_t[]){64, 16}, 2);
    const struct image_shape gray = {1, 28, 28}, color = {3, 32, 32};
    for (int decoder = 0; decoder <= 1; decoder++) {
        bench_lenet(image, "mnist-lenet", gray, decoder == 1);
    }
    for (int decoder = 0; decoder <= 1; decoder++) {
        bench_lenet(image, "fashion-mnist-lenet", gray, decoder == 1);
    }
    for (int decoder = 0; decoder <= 1; decoder++) {
        bench_lenet(image, "cifar-10-lenet", color, decoder == 1);
    }
    bench_neighbours(nine, "neighbours 100 x 9", x);
    bench_neighbours(forty, "neighbours 100 x 40", x);
    free(out);
    free(x);
    return EXIT_SUCCESS;
}
