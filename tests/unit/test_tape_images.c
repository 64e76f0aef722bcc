/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks on images on the tape, against a network of naive loops in double (whose own
 * gradient is checked against central differences), for batches of any number of rows and
 * any number of threads.
 */
#include "../testing.h"

#include <stdlib.h>

#include "base/crew.h"
#include "nn/architecture_parse.h"
#include "nn/conv.h"
#include "nn/image_layers.h"
#include "nn/layer.h"
#include "nn/matrix.h"
#include "nn/tape.h"

enum { ROWS_MAX = 40 };

/* ---- Naive: a layer at a time, rows as (channels, height, width) ---- */

struct naive {
    const struct network *network;
    size_t rows;
    bool train;
    double *params;
    double *grads;
    double **values; /* (layers + 1) each (rows, outputs) */
};

static double *zeros(size_t count)
{
    double *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static void naive_init(struct naive *naive, const struct network *network, size_t rows)
{
    *naive = (struct naive){.network = network, .rows = rows, .train = true};
    naive->params = zeros(network->param_count);
    naive->grads = zeros(network->param_count);
    for (size_t i = 0; i < network->param_count; i++) {
        naive->params[i] = (double)network->params[i];
    }
    naive->values = calloc(network->layer_count + 1, sizeof *naive->values);
    assert_non_null(naive->values);
    naive->values[0] = zeros(rows * network->inputs);
    for (size_t i = 0; i < network->layer_count; i++) {
        naive->values[i + 1] = zeros(rows * network->layers[i].outputs);
    }
}

static void naive_done(struct naive *naive)
{
    for (size_t i = 0; i <= naive->network->layer_count; i++) {
        free(naive->values[i]);
    }
    free(naive->values);
    free(naive->params);
    free(naive->grads);
}

static size_t at(struct image_shape image, size_t c, size_t v, size_t u)
{
    return (c * image.height + v) * image.width + u;
}

/* Calls use(y pixel, x pixel, weight) for each product of a convolution. */
static void each_product(const struct layer *layer,
                         void (*use)(void *closure, size_t y, size_t x, size_t w),
                         void *closure)
{
    size_t k = layer->kernel;
    struct image_shape out = layer->out;
    struct image_shape in = layer->in;
    for (size_t i = 0; i < out.channels * in.channels * k * k; i++) {
        size_t q = i % k;
        size_t p = i / k % k;
        size_t second = i / (k * k) % (layer->transposed ? out.channels : in.channels);
        size_t first = i / (k * k) / (layer->transposed ? out.channels : in.channels);
        size_t o = layer->transposed ? second : first;
        size_t c = layer->transposed ? first : second;
        for (size_t j = 0; j < out.height * out.width; j++) {
            size_t v = j / out.width;
            size_t u = j % out.width;
            size_t a =
                layer->transposed ? v + layer->padding - p : v + p - layer->padding;
            size_t b =
                layer->transposed ? u + layer->padding - q : u + q - layer->padding;
            if (a < in.height && b < in.width) { /* below 0: too large as well */
                use(closure, at(out, o, v, u), at(in, c, a, b), i);
            }
        }
    }
}

struct product {
    double *y;
    const double *x;
    const double *w;
    double *dx;
    double *dw;
    const double *dy;
};

static void add_product(void *closure, size_t y, size_t x, size_t w)
{
    const struct product *product = closure;
    product->y[y] += product->x[x] * product->w[w];
}

static void add_back(void *closure, size_t y, size_t x, size_t w)
{
    const struct product *product = closure;
    product->dx[x] += product->dy[y] * product->w[w];
    product->dw[w] += product->dy[y] * product->x[x];
}

/* mean and 1 / std of channel c */
static void naive_moments(const struct naive *naive, const struct layer *layer,
                          const double *x, size_t c, double moments[2])
{
    size_t pixels = layer->in.height * layer->in.width;
    double n = (double)(naive->rows * pixels);
    double mean = 0;
    double variance = 0;
    for (size_t i = 0; i < naive->rows * pixels; i++) {
        mean += x[i / pixels * layer->inputs + c * pixels + i % pixels] / n;
    }
    for (size_t i = 0; i < naive->rows * pixels; i++) {
        double d = x[i / pixels * layer->inputs + c * pixels + i % pixels] - mean;
        variance += d * d / n;
    }
    if (!naive->train) {
        mean = (double)naive->network->state[layer->mean + c];
        variance = (double)naive->network->state[layer->variance + c];
    }
    moments[0] = mean;
    moments[1] = 1 / sqrt(variance + 1e-4);
}

static void naive_norm(const struct naive *naive, const struct layer *layer, double *y,
                       const double *x)
{
    size_t pixels = layer->in.height * layer->in.width;
    for (size_t c = 0; c < layer->in.channels; c++) {
        double moments[2];
        naive_moments(naive, layer, x, c, moments);
        for (size_t i = 0; i < naive->rows * pixels; i++) {
            size_t j = i / pixels * layer->inputs + c * pixels + i % pixels;
            y[j] = (x[j] - moments[0]) * moments[1];
        }
    }
}

static void naive_norm_back(const struct naive *naive, const struct layer *layer,
                            double *dx, const double *dy, const double *y,
                            const double *x)
{
    size_t pixels = layer->in.height * layer->in.width;
    double n = (double)(naive->rows * pixels);
    for (size_t c = 0; c < layer->in.channels; c++) {
        double moments[2];
        double sum = 0;
        double product = 0;
        naive_moments(naive, layer, x, c, moments);
        for (size_t i = 0; i < naive->rows * pixels; i++) {
            size_t j = i / pixels * layer->inputs + c * pixels + i % pixels;
            sum += dy[j] / n;
            product += dy[j] * y[j] / n;
        }
        for (size_t i = 0; i < naive->rows * pixels; i++) {
            size_t j = i / pixels * layer->inputs + c * pixels + i % pixels;
            dx[j] = moments[1] * (dy[j] - sum - y[j] * product);
        }
    }
}

/* Which x of the row a pool or upsampling takes for its output pixel. */
static size_t source(const struct layer *layer, const double *x, size_t pixel)
{
    size_t u = pixel % layer->out.width;
    size_t v = pixel / layer->out.width % layer->out.height;
    size_t c = pixel / layer->out.width / layer->out.height;
    if (layer->kind == LAYER_UPSAMPLE) {
        size_t a = v / 2 < layer->in.height ? v / 2 : layer->in.height - 1;
        size_t b = u / 2 < layer->in.width ? u / 2 : layer->in.width - 1;
        return at(layer->in, c, a, b);
    }
    size_t best = at(layer->in, c, 2 * v, 2 * u);
    for (size_t i = 1; i < 4; i++) {
        size_t other = at(layer->in, c, 2 * v + i / 2, 2 * u + i % 2);
        best = x[other] > x[best] ? other : best;
    }
    return best;
}

static void naive_row(const struct naive *naive, const struct layer *layer, double *y,
                      const double *x)
{
    const double *w = naive->params + layer->weight;
    for (size_t j = 0; j < layer->outputs; j++) {
        switch (layer->kind) {
        case LAYER_DENSE:
            y[j] = layer->bias != SIZE_MAX ? naive->params[layer->bias + j] : 0;
            for (size_t i = 0; i < layer->inputs; i++) {
                y[j] += x[i] * w[i * layer->outputs + j];
            }
            break;
        case LAYER_LEAKY_RELU:
            y[j] = x[j] > 0 ? x[j] : (double)LAYER_LEAKY_SLOPE * x[j];
            break;
        case LAYER_SIGMOID:
            y[j] = 1 / (1 + exp(-x[j]));
            break;
        case LAYER_MAX_POOL:
        case LAYER_UPSAMPLE:
            y[j] = x[source(layer, x, j)];
            break;
        case LAYER_CONV:
            y[j] = 0;
            break;
        case LAYER_BATCH_NORM:
            break;
        }
    }
    if (layer->kind == LAYER_CONV) {
        each_product(layer, add_product, &(struct product){.y = y, .x = x, .w = w});
    }
}

static const double *naive_forward(struct naive *naive, const float *x)
{
    const struct network *network = naive->network;
    for (size_t i = 0; i < naive->rows * network->inputs; i++) {
        naive->values[0][i] = (double)x[i];
    }
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        for (size_t r = 0; r < naive->rows; r++) {
            naive_row(naive, layer, naive->values[i + 1] + r * layer->outputs,
                      naive->values[i] + r * layer->inputs);
        }
        if (layer->kind == LAYER_BATCH_NORM) {
            naive_norm(naive, layer, naive->values[i + 1], naive->values[i]);
        }
    }
    return naive->values[network->layer_count];
}

static void naive_row_back(struct naive *naive, const struct layer *layer, double *dx,
                           const double *dy, const double *y, const double *x)
{
    const double *w = naive->params + layer->weight;
    double *dw = naive->grads + layer->weight;
    for (size_t j = 0; j < layer->outputs; j++) {
        switch (layer->kind) {
        case LAYER_DENSE:
            if (layer->bias != SIZE_MAX) {
                naive->grads[layer->bias + j] += dy[j];
            }
            for (size_t i = 0; i < layer->inputs; i++) {
                dx[i] += dy[j] * w[i * layer->outputs + j];
                dw[i * layer->outputs + j] += dy[j] * x[i];
            }
            break;
        case LAYER_LEAKY_RELU:
            dx[j] = x[j] > 0 ? dy[j] : (double)LAYER_LEAKY_SLOPE * dy[j];
            break;
        case LAYER_SIGMOID:
            dx[j] = dy[j] * y[j] * (1 - y[j]);
            break;
        case LAYER_MAX_POOL:
        case LAYER_UPSAMPLE:
            dx[source(layer, x, j)] += dy[j];
            break;
        case LAYER_CONV:
        case LAYER_BATCH_NORM:
            break;
        }
    }
    if (layer->kind == LAYER_CONV) {
        struct product product = {.x = x, .w = w, .dx = dx, .dw = dw, .dy = dy};
        each_product(layer, add_back, &product);
    }
}

/* grads, of dy (rows, outputs) */
static void naive_backward(struct naive *naive, const double *dy)
{
    const struct network *network = naive->network;
    double *back = zeros(naive->rows * network->outputs);
    memcpy(back, dy, naive->rows * network->outputs * sizeof *back);
    memset(naive->grads, 0, network->param_count * sizeof *naive->grads);
    for (size_t i = network->layer_count; i > 0; i--) {
        const struct layer *layer = &network->layers[i - 1];
        double *dx = zeros(naive->rows * layer->inputs);
        for (size_t r = 0; r < naive->rows; r++) {
            size_t in = r * layer->inputs;
            size_t out = r * layer->outputs;
            naive_row_back(naive, layer, dx + in, back + out, naive->values[i] + out,
                           naive->values[i - 1] + in);
        }
        if (layer->kind == LAYER_BATCH_NORM) {
            naive_norm_back(naive, layer, dx, back, naive->values[i],
                            naive->values[i - 1]);
        }
        free(back);
        back = dx;
    }
    free(back);
}

/* ---- Networks ---- */

struct example {
    struct network *network;
    float *x;  /* (ROWS_MAX, inputs) */
    float *dy; /* (ROWS_MAX, outputs): as if the loss were sum(dy * y) */
};

/* Input (channels, height, width); the decoder of an autoencoder is the mirror: odd sides
 * are pooled, and upsampled again. */
struct description {
    struct image_shape input;
    const char *steps;
    bool batch_norm, autoencoder;
};

static const struct description descriptions[] = {
    {{1, 7, 9}, "conv3x3:2,pool,conv3x3:3,pool,dense:6,rep:3", true, false},
    {{1, 7, 9}, "conv3x3:2,pool,conv3x3:3,pool,dense:6,rep:3", false, false},
    {{2, 7, 9}, "conv3x3:2,pool,conv:3,pool,dense:6,rep:3", true, true},
    {{2, 6, 5}, "conv3x3:3,pool,conv3x3:2,pool,dense:4,rep:3", false, true},
    {{3, 5, 5}, "conv3x3:3,conv3x3:2,rep:4", true, true}, /* none is resized */
    {{3, 8, 8}, "pool,conv3x3:2,pool,pool,rep:2", false, false},
    {{2, 6, 6}, "conv3x3:2,pool,pool,dense:5,rep:2", true, true},
    {{1, 4, 4}, "conv1x1:3,pool,rep:2", true, false},
    {{4, 12, 12}, "pool,dense:300,rep:3", true, false}, /* its dense layer is divided */
    {{1, 28, 28}, "mnist-lenet", true, true},
};
enum { DESCRIPTIONS = sizeof descriptions / sizeof *descriptions, SMALL = 8 };

static void fill(float *values, size_t count, struct rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = 2 * rng_float(rng) - 1;
    }
}

static void init_example(struct example *example, const struct description *description)
{
    struct architecture form;
    struct deepsad_error error = {0};
    struct rng rng;
    rng_init(&rng, 5, 0);
    if (architecture_parse(&form, description->steps, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    struct network_shape shape = {description->input, &form, true,
                                  description->batch_norm};
    int status =
        description->autoencoder
            ? network_new_autoencoder(&example->network, &shape, true, &rng, &error)
            : network_new_encoder(&example->network, &shape, &rng, &error);
    assert_int_equal(status, DEEPSAD_OK);
    struct network *network = example->network;
    assert_int_equal(matrix_new(&example->x, ROWS_MAX, network->inputs, "", NULL), 0);
    assert_int_equal(matrix_new(&example->dy, ROWS_MAX, network->outputs, "", NULL), 0);
    fill(example->x, ROWS_MAX * network->inputs, &rng);
    fill(example->dy, ROWS_MAX * network->outputs, &rng);
}

static void done_example(struct example *example)
{
    network_free(example->network);
    free(example->x);
    free(example->dy);
}

/* y (rows, outputs) and grads of a training step without a step. */
static void run_tape(struct example *example, struct tape *tape, size_t rows, float *y)
{
    struct network *network = example->network;
    memcpy(y, tape_forward_train(tape, network, example->x, rows),
           rows * network->outputs * sizeof *y);
    memcpy(tape_output_gradient(tape), example->dy, rows * network->outputs * sizeof *y);
    tape_backward(tape, network);
}

static double largest(const double *values, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs(values[i]));
    }
    return most;
}

/* |a - b| <= allowed */
static void assert_all_near(const float *a, const double *b, size_t count, double allowed)
{
    double apart = 0;
    for (size_t i = 0; i < count; i++) {
        apart = fmax(apart, fabs((double)a[i] - b[i]));
    }
    if (!(apart <= allowed)) {
        fail_msg("apart by %g, allowed is %g", apart, allowed);
    }
}

/* Each layer to a part of its largest gradient; what cancels before a batch norm is
 * compared with the whole network's. */
static void check_gradients(const struct network *network, const struct naive *naive)
{
    double whole = largest(naive->grads, network->param_count);
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        size_t at_most = network->param_count;
        for (size_t j = i + 1; j < network->layer_count; j++) {
            size_t next = network->layers[j].weight;
            at_most = next != SIZE_MAX && next < at_most ? next : at_most;
        }
        if (layer->weight != SIZE_MAX) {
            size_t count = at_most - layer->weight;
            double most = largest(naive->grads + layer->weight, count);
            assert_all_near(network->grads + layer->weight, naive->grads + layer->weight,
                            count, 5e-5 * fmax(most, 0.2 * whole));
        }
    }
}

static void check_against_naive(struct example *example, struct tape *tape, size_t rows)
{
    struct network *network = example->network;
    struct naive naive;
    naive_init(&naive, network, rows);
    float *y = NULL;
    assert_int_equal(matrix_new(&y, rows, network->outputs, "", NULL), 0);
    double *dy = zeros(rows * network->outputs);
    for (size_t i = 0; i < rows * network->outputs; i++) {
        dy[i] = (double)example->dy[i];
    }
    run_tape(example, tape, rows, y);
    const double *expected = naive_forward(&naive, example->x);
    assert_all_near(y, expected, rows * network->outputs, 1e-5);
    naive_backward(&naive, dy);
    check_gradients(network, &naive);
    free(dy);
    free(y);
    naive_done(&naive);
}

/* ---- Tests ---- */

static void the_naive_gradient_is_the_slope(void **state)
{
    (void)state;
    struct example example;
    init_example(&example, &descriptions[2]);
    struct network *network = example.network;
    struct naive naive;
    naive_init(&naive, network, 5);
    double dy[5 * 126];
    assert_int_equal(network->outputs, 126);
    double losses[2];
    for (size_t i = 0; i < 5 * 126; i++) {
        dy[i] = (double)example.dy[i];
    }
    naive_forward(&naive, example.x);
    naive_backward(&naive, dy);
    size_t apart = 0;
    for (size_t p = 0; p < network->param_count; p++) {
        for (int side = 0; side < 2; side++) {
            naive.params[p] += side == 0 ? 1e-6 : -2e-6;
            const double *y = naive_forward(&naive, example.x);
            losses[side] = 0;
            for (size_t i = 0; i < 5 * 126; i++) {
                losses[side] += y[i] * dy[i];
            }
        }
        naive.params[p] += 1e-6;
        double slope = (losses[0] - losses[1]) / 2e-6;
        apart += fabs(slope - naive.grads[p]) > 1e-4 * fmax(fabs(slope), 0.1);
    }
    assert_true(apart * 100 <= network->param_count); /* a kink within a step */
    naive_done(&naive);
    done_example(&example);
}

static void outputs_and_gradients_are_those_of_naive_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < DESCRIPTIONS; i++) {
        struct example example;
        struct tape *tape = NULL;
        init_example(&example, &descriptions[i]);
        assert_int_equal(tape_new(&tape, example.network, 39, NULL, NULL), DEEPSAD_OK);
        check_against_naive(&example, tape, 39);
        tape_free(tape);
        done_example(&example);
    }
}

static void a_batch_has_any_number_of_rows_up_to_the_tapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SMALL; i++) {
        struct example example;
        struct tape *tape = NULL;
        init_example(&example, &descriptions[i]);
        assert_int_equal(tape_new(&tape, example.network, ROWS_MAX, NULL, NULL), 0);
        for (size_t rows = 2; rows <= ROWS_MAX; rows += rows < 18 || rows > 30 ? 1 : 4) {
            check_against_naive(&example, tape, rows);
        }
        if (!descriptions[i].batch_norm) {
            check_against_naive(&example, tape, 1);
        }
        tape_free(tape);
        done_example(&example);
    }
}

/* y, gradients and running statistics of some steps, on one tape of `threads` threads */
static void run_in_threads(const struct description *description, size_t threads,
                           float *y, float *grads, float *running)
{
    struct example example;
    struct crew *crew = NULL;
    struct tape *tape = NULL;
    init_example(&example, description);
    struct network *network = example.network;
    assert_int_equal(crew_new(&crew, threads, NULL), DEEPSAD_OK);
    assert_int_equal(tape_new(&tape, network, ROWS_MAX, crew, NULL), DEEPSAD_OK);
    run_tape(&example, tape, ROWS_MAX, y);
    run_tape(&example, tape, 3, y);
    run_tape(&example, tape, ROWS_MAX - 1, y);
    memcpy(grads, network->grads, network->param_count * sizeof *grads);
    memcpy(running, network->state, network->state_count * sizeof *running);
    tape_free(tape);
    crew_free(crew);
    done_example(&example);
}

static void the_number_of_threads_changes_no_bit(void **state)
{
    (void)state;
    enum { MOST = 1 << 16 };
    float *blocks = calloc(6 * MOST, sizeof *blocks);
    assert_non_null(blocks);
    for (size_t i = 0; i < DESCRIPTIONS; i++) {
        float *one = blocks;
        float *other = blocks + 3 * MOST;
        memset(blocks, 0, 6 * MOST * sizeof *blocks);
        run_in_threads(&descriptions[i], 1, one, one + MOST, one + 2 * MOST);
        for (size_t threads = 2; threads <= 3; threads++) {
            run_in_threads(&descriptions[i], threads, other, other + MOST,
                           other + 2 * MOST);
            assert_memory_equal(one, other, 3 * MOST * sizeof *one);
        }
    }
    free(blocks);
}

static void a_tape_used_before_gives_the_bits_of_a_new_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < SMALL; i++) {
        struct example example;
        struct tape *used = NULL;
        struct tape *new = NULL;
        float y[2][ROWS_MAX * 150];
        init_example(&example, &descriptions[i]);
        assert_int_equal(tape_new(&used, example.network, ROWS_MAX, NULL, NULL), 0);
        assert_int_equal(tape_new(&new, example.network, 5, NULL, NULL), 0);
        assert_true(example.network->outputs <= 150);
        run_tape(&example, used, ROWS_MAX, y[0]);
        run_tape(&example, used, 5, y[0]);
        float *grads = example.network->grads;
        float before = grads[0];
        run_tape(&example, new, 5, y[1]);
        assert_memory_equal(y[0], y[1], 5 * example.network->outputs * sizeof **y);
        assert_true(grads[0] == before);
        tape_free(used);
        tape_free(new);
        done_example(&example);
    }
}

static void eval_mode_takes_running_statistics_and_rows_one_by_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < SMALL; i++) {
        struct example example;
        struct tape *tape = NULL;
        struct naive naive;
        float y[ROWS_MAX * 150];
        init_example(&example, &descriptions[i]);
        size_t width = example.network->outputs;
        assert_int_equal(tape_new(&tape, example.network, ROWS_MAX, NULL, NULL), 0);
        run_tape(&example, tape, ROWS_MAX, y); /* moves the statistics */
        naive_init(&naive, example.network, ROWS_MAX);
        naive.train = false;
        memcpy(y, tape_forward_eval(tape, example.network, example.x, ROWS_MAX),
               ROWS_MAX * width * sizeof *y);
        assert_all_near(y, naive_forward(&naive, example.x), ROWS_MAX * width, 1e-5);
        for (size_t r = 0; r < ROWS_MAX; r++) {
            const float *x = example.x + r * example.network->inputs;
            const float *one = tape_forward_eval(tape, example.network, x, 1);
            assert_memory_equal(one, y + r * width, width * sizeof *y);
        }
        naive_done(&naive);
        tape_free(tape);
        done_example(&example);
    }
}

static void running_statistics_move_as_torchs(void **state)
{
    (void)state;
    struct example example;
    struct tape *tape = NULL;
    struct naive naive;
    init_example(&example, &descriptions[0]);
    struct network *network = example.network;
    float y[ROWS_MAX * 3];
    assert_int_equal(tape_new(&tape, network, 21, NULL, NULL), DEEPSAD_OK);
    naive_init(&naive, network, 21);
    naive_forward(&naive, example.x);
    run_tape(&example, tape, 21, y);
    assert_int_equal(network->layers[1].kind, LAYER_BATCH_NORM);
    for (size_t c = 0; c < 2; c++) {
        double moments[2];
        naive_moments(&naive, &network->layers[1], naive.values[1], c, moments);
        double n = 21 * 63;
        double unbiased = (1 / (moments[1] * moments[1]) - 1e-4) * n / (n - 1);
        assert_near(network->state[network->layers[1].mean + c], 0.1 * moments[0], 1e-5);
        assert_near(network->state[network->layers[1].variance + c], 0.9 + 0.1 * unbiased,
                    1e-6);
    }
    naive_done(&naive);
    tape_free(tape);
    done_example(&example);
}

static void images_too_large_to_hold_are_an_error(void **state)
{
    (void)state;
    struct example example;
    struct image_layers *images = NULL;
    struct deepsad_error error = {0};
    init_example(&example, &descriptions[0]);
    for (size_t bits = 58; bits < 63; bits++) {
        assert_int_equal(image_layers_new(&images, example.network, 0, (size_t)1 << bits,
                                          NULL, &error),
                         DEEPSAD_NO_MEMORY);
        assert_error_says(error, "out of memory for the images of a batch");
        assert_null(images);
    }
    image_layers_free(NULL);
    done_example(&example);
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_naive_gradient_is_the_slope),
        cmocka_unit_test(outputs_and_gradients_are_those_of_naive_loops),
        cmocka_unit_test(a_batch_has_any_number_of_rows_up_to_the_tapes),
        cmocka_unit_test(the_number_of_threads_changes_no_bit),
        cmocka_unit_test(a_tape_used_before_gives_the_bits_of_a_new_one),
        cmocka_unit_test(eval_mode_takes_running_statistics_and_rows_one_by_one),
        cmocka_unit_test(running_statistics_move_as_torchs),
        cmocka_unit_test(images_too_large_to_hold_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
