/* SPDX-License-Identifier: Apache-2.0 */
/* Scoring rate of a LeNet of the paper, one thread: the best of several runs of SECONDS
 * in all, by CPU time. Prints words for score_images.py.
 *
 * usage: bench_score_images ARCHITECTURE CHANNELS SIDE ROWS SECONDS */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "nn/architecture_parse.h"
#include "nn/folded.h"
#include "nn/network.h"
#include "nn/rng.h"

enum { RUNS = 5 };

struct bench {
    struct folded *folded;
    float *x, *center, *distance, *scratch;
    size_t rows;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_score_images: %s\n", what);
    exit(EXIT_FAILURE);
}

static float *random_floats(size_t count, struct rng *rng)
{
    float *values = aligned_alloc(64, (count + 15) / 16 * 64);
    if (values == NULL) {
        die("out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = rng_float(rng);
    }
    return values;
}

static struct folded *make_folded(const char *name, struct image_shape input,
                                  struct rng *rng)
{
    struct deepsad_error error = {0};
    struct architecture form;
    struct network *network = NULL;
    struct folded *folded = NULL;
    struct network_shape shape = {
        .input = input, .architecture = &form, .batch_norm = true};
    if (architecture_parse(&form, name, &error) != DEEPSAD_OK ||
        network_new_encoder(&network, &shape, rng, &error) != DEEPSAD_OK ||
        folded_from_network(&folded, network, &error) != DEEPSAD_OK) {
        die(error.message);
    }
    network_free(network);
    return folded;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Seconds of a call, measured over about `seconds`. */
static double run(const struct bench *b, double seconds)
{
    double start = cpu_seconds(), spent = 0;
    size_t calls = 0;
    for (; spent < seconds; spent = cpu_seconds() - start, calls++) {
        folded_distance(b->folded, b->center, b->distance, b->x, b->rows, b->scratch);
    }
    return spent / (double)calls;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        die("usage: bench_score_images ARCHITECTURE CHANNELS SIDE ROWS SECONDS");
    }
    struct rng rng;
    rng_init(&rng, 1, 0);
    size_t side = strtoul(argv[3], NULL, 10);
    const struct image_shape input = {strtoul(argv[2], NULL, 10), side, side};
    struct bench b = {.folded = make_folded(argv[1], input, &rng),
                      .rows = strtoul(argv[4], NULL, 10)};
    double seconds = strtod(argv[5], NULL);
    b.x = random_floats(b.rows * image_size(input), &rng);
    b.center = random_floats(folded_outputs(b.folded), &rng);
    b.distance = random_floats(b.rows, &rng);
    b.scratch = random_floats(folded_scratch(b.folded), &rng);
    double best = run(&b, seconds / RUNS);
    for (int i = 0; i < RUNS; i++) {
        double call = run(&b, seconds / RUNS);
        best = call < best ? call : best;
    }
    printf("rows_per_second %.1f scratch_kib %zu\n", (double)b.rows / best,
           folded_scratch(b.folded) * sizeof(float) / 1024);
    free(b.x);
    free(b.center);
    free(b.distance);
    free(b.scratch);
    folded_free(b.folded);
    return EXIT_SUCCESS;
}
