/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle is a naive loop in double over the network's own layers. */
#include "../testing.h"

#include <float.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "nn/folded.h"
#include "nn/rng.h"

enum { LAYERS_MAX = 16, WIDTH_MAX = 1024, ROWS_MAX = 600 };

/* A network with random weights, biases and statistics, and what scores it. */
struct fixture {
    struct network network;
    struct layer layers[LAYERS_MAX];
    struct folded *folded;
    float *scratch;
    float *x; /* (ROWS_MAX, inputs) */
    float center[WIDTH_MAX];
};

static size_t take(size_t *used, size_t count)
{
    size_t at = *used;
    *used += count;
    return at;
}

static void add_layer(struct fixture *f, enum layer_kind kind, size_t inputs,
                      size_t outputs)
{
    struct network *n = &f->network;
    struct layer *layer = &f->layers[n->layer_count++];
    *layer = (struct layer){.kind = kind,
                            .inputs = inputs,
                            .outputs = outputs,
                            .in = {inputs, 1, 1},
                            .out = {outputs, 1, 1},
                            .bias = SIZE_MAX};
    if (kind == LAYER_DENSE) {
        layer->weight = take(&n->param_count, inputs * outputs);
    } else if (kind == LAYER_BATCH_NORM) {
        layer->mean = take(&n->state_count, outputs);
        layer->variance = take(&n->state_count, outputs);
    }
    n->outputs = outputs;
}

static void add_biased_dense(struct fixture *f, size_t inputs, size_t outputs)
{
    add_layer(f, LAYER_DENSE, inputs, outputs);
    f->layers[f->network.layer_count - 1].bias = take(&f->network.param_count, outputs);
}

static void fill(float *values, size_t count, float low, float high, struct rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = low + (high - low) * rng_float(rng);
    }
}

static void draw(struct fixture *f)
{
    struct network *n = &f->network;
    struct rng rng;
    rng_init(&rng, 7, n->param_count);
    n->layers = f->layers;
    n->inputs = f->layers[0].inputs;
    n->params = calloc(n->param_count + 1, sizeof *n->params);
    n->state = calloc(n->state_count + 1, sizeof *n->state);
    f->x = calloc(ROWS_MAX * n->inputs, sizeof *f->x);
    assert_true(n->params != NULL && n->state != NULL && f->x != NULL);
    float bound = 2 / sqrtf((float)n->inputs);
    fill(n->params, n->param_count, -bound, bound, &rng);
    fill(n->state, n->state_count, 0.05F, 2, &rng);
    fill(f->x, ROWS_MAX * n->inputs, -3, 3, &rng);
    fill(f->center, n->outputs, -1, 1, &rng);
}

static void fold(struct fixture *f)
{
    struct deepsad_error error = {0};
    assert_int_equal(folded_from_network(&f->folded, &f->network, &error), DEEPSAD_OK);
    size_t bytes = folded_scratch(f->folded) * sizeof *f->scratch;
    f->scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(f->scratch);
    memset(f->scratch, 0xff, bytes); /* NaN: nothing may be read before it is written */
}

static void done(struct fixture *f)
{
    folded_free(f->folded);
    free(f->network.params);
    free(f->network.state);
    free(f->scratch);
    free(f->x);
}

/* dense [batch norm] leaky ReLU ... dense of the widths, which end with 0. */
static void make_encoder(struct fixture *f, const size_t *widths, bool norm)
{
    memset(f, 0, sizeof *f);
    for (size_t i = 0; widths[i + 1] != 0; i++) {
        add_layer(f, LAYER_DENSE, widths[i], widths[i + 1]);
        if (widths[i + 2] != 0) {
            if (norm) {
                add_layer(f, LAYER_BATCH_NORM, widths[i + 1], widths[i + 1]);
            }
            add_layer(f, LAYER_LEAKY_RELU, widths[i + 1], widths[i + 1]);
        }
    }
    draw(f);
    fold(f);
}

static void dense_naively(const struct network *n, const struct layer *layer, double *y,
                          const double *x)
{
    for (size_t o = 0; o < layer->outputs; o++) {
        double sum = layer->bias == SIZE_MAX ? 0 : (double)n->params[layer->bias + o];
        for (size_t i = 0; i < layer->inputs; i++) {
            sum += x[i] * (double)n->params[layer->weight + i * layer->outputs + o];
        }
        y[o] = sum;
    }
}

static double activate_naively(const struct network *n, const struct layer *layer,
                               size_t j, double x)
{
    switch (layer->kind) {
    case LAYER_BATCH_NORM:
        return (x - (double)n->state[layer->mean + j]) /
               sqrt((double)n->state[layer->variance + j] + 1e-4);
    case LAYER_LEAKY_RELU:
        return x > 0 ? x : 0.01 * x;
    case LAYER_SIGMOID:
        return 1 / (1 + exp(-x));
    case LAYER_DENSE:
    case LAYER_CONV:
    case LAYER_MAX_POOL:
    case LAYER_UPSAMPLE:
        break;
    }
    return x;
}

static void forward_naively(const struct network *n, double *out, const float *row)
{
    double x[WIDTH_MAX] = {0};
    for (size_t i = 0; i < n->inputs; i++) {
        x[i] = (double)row[i];
    }
    for (size_t l = 0; l < n->layer_count; l++) {
        const struct layer *layer = &n->layers[l];
        for (size_t j = 0; j < layer->outputs; j++) {
            out[j] = activate_naively(n, layer, j, x[j]);
        }
        if (layer->kind == LAYER_DENSE) {
            dense_naively(n, layer, out, x);
        }
        memcpy(x, out, layer->outputs * sizeof *x);
    }
}

static double distance_naively(const struct fixture *f, const float *row)
{
    double out[WIDTH_MAX];
    double sum = 0;
    forward_naively(&f->network, out, row);
    for (size_t j = 0; j < f->network.outputs; j++) {
        sum += (out[j] - (double)f->center[j]) * (out[j] - (double)f->center[j]);
    }
    return sum;
}

static const size_t shapes[][6] = {
    {9, 32, 16, 8},     {6, 32, 16, 4}, {9, 128, 64},  {1, 1},       {3, 5, 7, 2, 1},
    {274, 128, 64, 32}, {784, 128, 64}, {520, 33, 17}, {17, 300, 9}, {784, 512, 64},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void check_forward(struct fixture *f, size_t rows)
{
    size_t outputs = f->network.outputs;
    float *out = calloc(rows * outputs, sizeof *out);
    assert_non_null(out);
    folded_forward(f->folded, out, f->x, rows, f->scratch);
    for (size_t i = 0; i < rows; i += rows < 50 ? 1 : 37) {
        double expected[WIDTH_MAX];
        forward_naively(&f->network, expected, f->x + i * f->network.inputs);
        for (size_t j = 0; j < outputs; j++) {
            assert_near_floor(out[i * outputs + j], expected[j], 5e-6, 1);
        }
    }
    free(out);
}

static void encoders_agree_with_a_naive_loop(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        for (int norm = 0; norm <= 1; norm++) {
            struct fixture f;
            make_encoder(&f, shapes[s], norm == 1);
            check_forward(&f, 1);
            check_forward(&f, 13);
            check_forward(&f, FOLDED_BLOCK);
            done(&f);
        }
    }
}

static void distances_agree_with_a_naive_loop(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        struct fixture f;
        float distance[FOLDED_BLOCK];
        make_encoder(&f, shapes[s], true);
        folded_distance(f.folded, f.center, distance, f.x, FOLDED_BLOCK, f.scratch);
        for (size_t i = 0; i < FOLDED_BLOCK; i += 11) {
            const float *row = f.x + i * f.network.inputs;
            assert_near_floor(distance[i], distance_naively(&f, row), 1e-4, 0.01);
        }
        done(&f);
    }
}

static void a_row_scores_the_same_bits_in_any_batch(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        struct fixture f;
        float all[ROWS_MAX], some[ROWS_MAX];
        make_encoder(&f, shapes[s], true);
        folded_distance(f.folded, f.center, all, f.x, ROWS_MAX, f.scratch);
        const size_t batches[] = {1, 2, 3, 4, 5, 6, 7, 32, 47, 48, 49, 256};
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
            size_t from = 5 * b;
            folded_distance(f.folded, f.center, some, f.x + from * f.network.inputs,
                            batches[b], f.scratch);
            assert_memory_equal(some, all + from, batches[b] * sizeof *some);
        }
        done(&f);
    }
}

static void biases_and_sigmoids_are_folded(void **state)
{
    (void)state;
    struct fixture f = {0};
    add_biased_dense(&f, 20, 12);
    add_layer(&f, LAYER_BATCH_NORM, 12, 12);
    add_layer(&f, LAYER_SIGMOID, 12, 12);
    add_biased_dense(&f, 12, 30);
    add_biased_dense(&f, 30, 20);
    add_layer(&f, LAYER_SIGMOID, 20, 20);
    draw(&f);
    fold(&f);
    check_forward(&f, 1);
    check_forward(&f, 45);
    float distance = 0;
    folded_distance(f.folded, f.center, &distance, f.x, 1, f.scratch);
    assert_near(distance, distance_naively(&f, f.x), 1e-5);
    done(&f);
}

static void reconstruction_is_the_mean_squared_error(void **state)
{
    (void)state;
    const size_t widths[] = {21, 8, 3, 8, 21, 0};
    struct fixture f;
    float error[100];
    make_encoder(&f, widths, true);
    folded_reconstruction(f.folded, error, f.x, 100, f.scratch);
    for (size_t i = 0; i < 100; i++) {
        const float *row = f.x + i * 21;
        double out[WIDTH_MAX];
        double sum = 0;
        forward_naively(&f.network, out, row);
        for (size_t j = 0; j < 21; j++) {
            sum += (out[j] - (double)row[j]) * (out[j] - (double)row[j]) / 21;
        }
        assert_near(error[i], sum, 1e-5);
    }
    f.x[0] = FLT_MAX;
    folded_reconstruction(f.folded, error, f.x, 1, f.scratch);
    assert_true(error[0] == FLT_MAX);
    done(&f);
}

static void sigmoids_are_accurate_and_saturate_without_nan(void **state)
{
    (void)state;
    enum { STEPS = 400 };
    struct fixture f = {0};
    add_layer(&f, LAYER_DENSE, 1, 1);
    add_layer(&f, LAYER_SIGMOID, 1, 1);
    draw(&f);
    f.network.params[0] = 1;
    fold(&f);
    float x[STEPS], y[STEPS];
    for (size_t i = 0; i < STEPS; i++) {
        x[i] = ((float)i - STEPS / 2) * 0.43F; /* to -86 and 86 */
    }
    folded_forward(f.folded, y, x, STEPS, f.scratch);
    for (size_t i = 0; i < STEPS; i++) {
        assert_near(y[i], 1 / (1 + exp(-(double)x[i])), 5e-7);
    }
    const float extreme[] = {-FLT_MAX, -200, 200, FLT_MAX, INFINITY, -INFINITY};
    folded_forward(f.folded, y, extreme, 6, f.scratch);
    for (size_t i = 0; i < 6; i++) {
        assert_near_floor(y[i], extreme[i] > 0, 1e-7, 1);
    }
    done(&f);
}

static void overflow_is_the_largest_distance(void **state)
{
    (void)state;
    struct fixture f;
    float distance[3];
    make_encoder(&f, shapes[2], false);
    for (size_t i = 0; i < 9; i++) {
        f.x[i] = (i % 2 == 0 ? 1 : -1) * FLT_MAX;
        f.x[9 + i] = 1e25F;
    }
    folded_distance(f.folded, f.center, distance, f.x, 3, f.scratch);
    assert_true(distance[0] == FLT_MAX && distance[1] == FLT_MAX);
    assert_near(distance[2], distance_naively(&f, f.x + 18), 1e-4);
    done(&f);
}

enum { THREADS = 4, THREAD_ROWS = 100 };
struct concurrent {
    const struct fixture *f;
    float distance[THREADS][THREAD_ROWS];
    float *scratch[THREADS];
};

static void score_concurrently(void *closure, size_t i)
{
    struct concurrent *c = closure;
    for (int repeat = 0; repeat < 50; repeat++) {
        folded_distance(c->f->folded, c->f->center, c->distance[i], c->f->x, THREAD_ROWS,
                        c->scratch[i]);
    }
}

static void threads_share_a_folded_network(void **state)
{
    (void)state;
    struct fixture f;
    struct concurrent c = {.f = &f};
    make_encoder(&f, shapes[2], true);
    for (size_t i = 0; i < THREADS; i++) {
        size_t bytes = folded_scratch(f.folded) * sizeof(float);
        c.scratch[i] = aligned_alloc(64, (bytes + 63) / 64 * 64);
        assert_non_null(c.scratch[i]);
    }
    parallel_for(THREADS, THREADS, score_concurrently, &c);
    for (size_t i = 0; i < THREADS; i++) {
        assert_memory_equal(c.distance[i], c.distance[0], sizeof c.distance[0]);
        free(c.scratch[i]);
    }
    assert_near(c.distance[0][9], distance_naively(&f, f.x + 9 * 9), 1e-5);
    done(&f);
}

static void a_layer_that_no_dense_one_precedes_is_refused(void **state)
{
    (void)state;
    struct fixture f = {0};
    add_layer(&f, LAYER_DENSE, 4, 4);
    add_layer(&f, LAYER_LEAKY_RELU, 4, 4);
    add_layer(&f, LAYER_BATCH_NORM, 4, 4);
    draw(&f);
    struct deepsad_error error = {0};
    assert_int_equal(folded_from_network(&f.folded, &f.network, &error),
                     DEEPSAD_UNSUPPORTED);
    assert_error_says(error, "layer 2");
    assert_null(f.folded);
    done(&f);
}

static void an_empty_network_is_refused(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct deepsad_error error = {0};
    assert_int_equal(folded_from_network(&f.folded, &f.network, &error), DEEPSAD_INVALID);
    assert_error_says(error, "no layers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoders_agree_with_a_naive_loop),
        cmocka_unit_test(distances_agree_with_a_naive_loop),
        cmocka_unit_test(a_row_scores_the_same_bits_in_any_batch),
        cmocka_unit_test(biases_and_sigmoids_are_folded),
        cmocka_unit_test(reconstruction_is_the_mean_squared_error),
        cmocka_unit_test(sigmoids_are_accurate_and_saturate_without_nan),
        cmocka_unit_test(overflow_is_the_largest_distance),
        cmocka_unit_test(threads_share_a_folded_network),
        cmocka_unit_test(a_layer_that_no_dense_one_precedes_is_refused),
        cmocka_unit_test(an_empty_network_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
