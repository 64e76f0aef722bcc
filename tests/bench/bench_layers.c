/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GFLOP/s of each convolution and dense layer of the LeNets and their decoders, in
 * training: forward, backward to the input, backward to the weights; of a group of 16
 * samples in convolutions, of a batch of 128 in dense layers. Beside them what one core
 * can do at best: fused multiply-adds on registers, and OpenBLAS's sgemm of 1024 x 1024
 * matrices. OpenBLAS takes its narrowest kernels on CPUs that came after it: then set
 * OPENBLAS_CORETYPE, or its figure is no peak. CPU time, best of many repeats.
 *
 * usage: bench_layers [SECONDS PER FIGURE]
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/simd.h"
#include "nn/architecture_parse.h"
#include "nn/conv.h"
#include "nn/layer.h"
#include "nn/matrix.h"
#include "nn/network.h"

enum { BATCH = 128, SGEMM = 1024, CHAINS = 12, ROUNDS = 1 << 19 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void check(int status, const struct deepsad_error *error)
{
    if (status != DEEPSAD_OK) {
        fprintf(stderr, "bench_layers: %s\n", error->message);
        exit(1);
    }
}

static float *random_floats(size_t count)
{
    struct deepsad_error error = {0};
    float *values = NULL;
    check(matrix_new(&values, 1, count, "a layer", &error), &error);
    struct rng rng;
    rng_init(&rng, 1, count);
    for (size_t i = 0; i < count; i++) {
        values[i] = rng_float(&rng) - 0.5F;
    }
    return values;
}

/* Seconds of a call, at best. */
static double best_of(void (*call)(void *closure), void *closure, double seconds)
{
    double best = HUGE_VAL;
    for (double end = now() + seconds; now() < end;) {
        double start = now();
        call(closure);
        best = fmin(best, now() - start);
    }
    return best;
}

/* ---- Peaks ---- */

/* CHAINS sums that wait for nothing but themselves; returns a value so that they are
 * computed. */
#define DEFINE_CHAINS(NAME, TARGET, FLOATS)                              \
    TARGET static float NAME(void)                                       \
    {                                                                    \
        typedef float vector __attribute__((vector_size((FLOATS)*4)));   \
        vector sum[CHAINS];                                              \
        vector factor = (vector){0} + 0.999F;                            \
        for (size_t j = 0; j < CHAINS;                                   \
             j++) { /* all different: none is computed from another */   \
            sum[j] = (vector){0} + (float)j;                             \
        }                                                                \
        for (size_t i = 0; i < ROUNDS; i++) {                            \
            _Pragma("GCC unroll 12") for (size_t j = 0; j < CHAINS; j++) \
            {                                                            \
                sum[j] = sum[j] * factor + 0.001F;                       \
            }                                                            \
        }                                                                \
        float total = 0;                                                 \
        for (size_t j = 0; j < CHAINS; j++) {                            \
            total += sum[j][0];                                          \
        }                                                                \
        return total;                                                    \
    }

DEFINE_CHAINS(chains_baseline, , 4)
#if SIMD_X86
DEFINE_CHAINS(chains_avx2, SIMD_TARGET_AVX2, 8)
DEFINE_CHAINS(chains_avx512, SIMD_TARGET_AVX512, 16)
#else
#define chains_avx2 chains_baseline
#define chains_avx512 chains_baseline
#endif

static void call_chains(void *closure)
{
    float *sink = closure;
    *sink = simd_level() == SIMD_AVX512 ? chains_avx512()
            : simd_level() == SIMD_AVX2 ? chains_avx2()
                                        : chains_baseline();
}

static double peak_fma(double seconds)
{
    float sink = 0;
    double floats = simd_level() == SIMD_AVX512 ? 16 : simd_level() == SIMD_AVX2 ? 8 : 4;
    return 2e-9 * CHAINS * ROUNDS * floats / best_of(call_chains, &sink, seconds);
}

static void call_sgemm(void *closure)
{
    float **matrix = closure;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SGEMM, SGEMM, SGEMM, 1,
                matrix[0], SGEMM, matrix[1], SGEMM, 0, matrix[2], SGEMM);
}

static double peak_sgemm(double seconds)
{
    float *matrix[3];
    for (size_t i = 0; i < 3; i++) {
        matrix[i] = random_floats((size_t)SGEMM * SGEMM);
    }
    double time = best_of(call_sgemm, matrix, seconds);
    for (size_t i = 0; i < 3; i++) {
        free(matrix[i]);
    }
    return 2e-9 * SGEMM * SGEMM * SGEMM / time;
}

/* ---- Layers ---- */

enum { FORWARD, BACKWARD, WEIGHTS, WAYS };

struct job {
    struct conv conv; /* of a dense layer the numbers of channels */
    bool dense;
    int way;
    float *x, *y, *weight, *dweight, *packed, *scratch;
};

static void call_conv(const struct job *job)
{
    switch (job->way) {
    case FORWARD:
        conv_forward(&job->conv, job->y, job->x, job->packed, job->scratch);
        break;
    case BACKWARD:
        conv_backward(&job->conv, job->x, job->y, job->packed, job->scratch);
        break;
    default:
        conv_backward_weights(&job->conv, job->dweight, job->y, job->x, job->scratch);
        break;
    }
}

static void call_dense(const struct job *job)
{
    size_t inputs = job->conv.in.channels;
    size_t outputs = job->conv.out.channels;
    switch (job->way) {
    case FORWARD:
        matrix_multiply(job->y, job->x, job->weight, BATCH, inputs, outputs);
        break;
    case BACKWARD:
        matrix_multiply_bt(job->x, job->y, job->weight, BATCH, outputs, inputs,
                           job->scratch);
        break;
    default:
        matrix_multiply_at(job->dweight, job->x, job->y, BATCH, inputs, outputs);
        break;
    }
}

static void call_layer(void *closure)
{
    const struct job *job = closure;
    for (size_t i = 0; i < 4; i++) {
        if (job->dense) {
            call_dense(job);
        } else {
            call_conv(job);
        }
    }
}

static struct job make_job(const struct layer *layer)
{
    bool dense = layer->kind == LAYER_DENSE;
    size_t samples = dense ? BATCH : LANES;
    struct job job = {.dense = dense,
                      .conv = {.in = layer->in,
                               .out = layer->out,
                               .kernel = dense ? 1 : layer->kernel,
                               .padding = layer->padding,
                               .transposed = layer->transposed}};
    size_t weights = dense ? layer->inputs * layer->outputs : conv_weights(&job.conv);
    job.x = random_floats(layer->inputs * samples);
    job.y = random_floats(layer->outputs * samples);
    job.weight = random_floats(weights);
    job.dweight = random_floats(weights);
    job.packed = random_floats(weights + SIMD_ALIGN);
    job.scratch = random_floats(dense ? weights : conv_scratch(&job.conv));
    return job;
}

static void free_job(struct job *job)
{
    free(job->x);
    free(job->y);
    free(job->weight);
    free(job->dweight);
    free(job->packed);
    free(job->scratch);
}

/* Of a call. A convolution's by its smaller side: pixels of the larger one that padding
 * cuts off take no part in most products. */
static double flops(const struct job *job)
{
    const struct conv *conv = &job->conv;
    const struct image_shape *pixels =
        conv->in.height < conv->out.height ? &conv->in : &conv->out;
    double products = (double)(conv->in.channels * conv->out.channels);
    return job->dense ? 2 * 4.0 * BATCH * products
                      : 2 * 4.0 * LANES * products *
                            (double)(pixels->height * pixels->width * conv->kernel *
                                     conv->kernel);
}

/* Over the layers of a kind. */
struct total {
    const char *name;
    double flops, seconds;
};

static void print_layer(const struct layer *layer, struct total *total, double sgemm,
                        double seconds)
{
    struct job job = make_job(layer);
    printf("  %-6s %4zu -> %-4zu %3zu x %-3zu", total->name, layer->in.channels,
           layer->out.channels, layer->in.height, layer->in.width);
    for (job.way = 0; job.way < WAYS; job.way++) {
        if (!job.dense && job.way == FORWARD) {
            conv_pack_forward(&job.conv, job.packed, job.weight);
        } else if (!job.dense && job.way == BACKWARD) {
            conv_pack_backward(&job.conv, job.packed, job.weight);
        }
        double time = best_of(call_layer, &job, seconds);
        total->flops += flops(&job);
        total->seconds += time;
        double rate = 1e-9 * flops(&job) / time;
        printf("   %6.1f (%3.0f %%)", rate, 100 * rate / sgemm);
    }
    printf("\n");
    fflush(stdout);
    free_job(&job);
}

static void print_net(const char *name, struct image_shape input, struct total total[3],
                      double sgemm, double seconds)
{
    struct deepsad_error error = {0};
    struct architecture form;
    check(architecture_parse(&form, name, &error), &error);
    struct network_shape shape = {
        .input = input, .architecture = &form, .batch_norm = true};
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 1, 0);
    check(network_new_autoencoder(&network, &shape, true, &rng, &error), &error);
    printf("%s\n", name);
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->kind == LAYER_CONV) {
            print_layer(layer, &total[layer->transposed], sgemm, seconds);
        } else if (layer->kind == LAYER_DENSE) {
            print_layer(layer, &total[2], sgemm, seconds);
        }
    }
    network_free(network);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.1;
    struct deepsad_error error = {0};
    check(matrix_blas_init(&error), &error);
    double sgemm = peak_sgemm(5 * seconds);
    printf("GFLOP/s of a core: fused multiply-adds %.0f, sgemm %.0f (%s)\n",
           peak_fma(5 * seconds), sgemm, matrix_blas_description());
    printf("layer (in brackets the share of sgemm)  forward         to the input    "
           "to the weights\n");
    struct total total[] = {{"conv", 0, 0}, {"deconv", 0, 0}, {"dense", 0, 0}};
    print_net("fashion-mnist-lenet", (struct image_shape){1, 28, 28}, total, sgemm,
              seconds);
    print_net("mnist-lenet", (struct image_shape){1, 28, 28}, total, sgemm, seconds);
    print_net("cifar-10-lenet", (struct image_shape){3, 32, 32}, total, sgemm, seconds);
    for (size_t i = 0; i < sizeof total / sizeof *total; i++) {
        double rate = 1e-9 * total[i].flops / total[i].seconds;
        printf("all of kind %-6s %6.1f GFLOP/s, %3.0f %% of sgemm\n", total[i].name, rate,
               100 * rate / sgemm);
    }
    return 0;
}
