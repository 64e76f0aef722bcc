/* SPDX-License-Identifier: Apache-2.0 */
/* Networks on images with random weights and statistics, what scores them, and the
 * oracle: naive loops in double over the network's own layers, as torch defines them. */
#ifndef TESTS_IMAGE_NETWORKS_H
#define TESTS_IMAGE_NETWORKS_H

#include "testing.h"

#include <stdlib.h>

#include "nn/architecture_parse.h"
#include "nn/folded.h"
#include "nn/network.h"
#include "nn/rng.h"

struct image_case {
    const char *text; /* of the architecture */
    struct image_shape shape;
    bool batch_norm;
};

static const struct image_case lenets[] = {
    {"mnist-lenet", {1, 28, 28}, true},
    {"fashion-mnist-lenet", {1, 28, 28}, true},
    {"cifar-10-lenet", {3, 32, 32}, true},
};
static const struct image_case odd_cases[] = {
    {"conv3x3:3,pool,conv:5,pool,dense:7,rep:2", {1, 9, 7}, true},
    {"conv:11,pool,conv3x3:17,rep:4", {3, 11, 13}, true},
    {"conv:6,conv3x3:9,rep:3", {2, 6, 5}, false},
    {"pool,pool,conv3x3:7,rep:2", {2, 9, 10}, true},
    {"conv1x1:4,rep:3", {3, 1, 5}, false},
    {"conv7x7:10,pool,rep:5", {1, 5, 40}, true},
    {"conv3x3:2,pool,pool,dense:9,rep:4", {1, 21, 19}, false},
};
enum {
    LENETS = sizeof lenets / sizeof *lenets,
    ODD_CASES = sizeof odd_cases / sizeof *odd_cases,
};

struct image_network {
    struct network *network;
    struct folded *folded;
    float *x; /* (rows, inputs) */
    float *center;
    float *scratch;
};

static float *image_floats(size_t count)
{
    float *floats = aligned_alloc(64, (count + 15) / 16 * 64);
    assert_non_null(floats);
    memset(floats, 0xff, (count + 15) / 16 * 64); /* NaN */
    return floats;
}

static float *image_values(size_t count, float low, float high, struct rng *rng)
{
    float *values = image_floats(count);
    for (size_t i = 0; i < count; i++) {
        values[i] = low + (high - low) * rng_float(rng);
    }
    return values;
}

enum image_network_kind { IMAGE_ENCODER, IMAGE_AUTOENCODER, IMAGE_AUTOENCODER_SIGMOID };

static void image_network_make(struct image_network *f, const struct image_case *c,
                               enum image_network_kind kind, size_t rows)
{
    struct deepsad_error error = {0};
    struct architecture form;
    struct rng rng;
    rng_init(&rng, 11, image_size(c->shape));
    *f = (struct image_network){0};
    assert_int_equal(architecture_parse(&form, c->text, &error), DEEPSAD_OK);
    struct network_shape shape = {.input = c->shape,
                                  .architecture = &form,
                                  .bias = !c->batch_norm,
                                  .batch_norm = c->batch_norm};
    int status =
        kind == IMAGE_ENCODER
            ? network_new_encoder(&f->network, &shape, &rng, &error)
            : network_new_autoencoder(&f->network, &shape,
                                      kind == IMAGE_AUTOENCODER_SIGMOID, &rng, &error);
    assert_int_equal(status, DEEPSAD_OK);
    for (size_t i = 0; i < f->network->state_count; i++) {
        f->network->state[i] = 0.1F + rng_float(&rng);
    }
    assert_int_equal(folded_from_network(&f->folded, f->network, &error), DEEPSAD_OK);
    f->x = image_values(rows * f->network->inputs, -1, 1, &rng);
    f->center = image_values(f->network->outputs, -1, 1, &rng);
    f->scratch = image_floats(folded_scratch(f->folded));
}

static void image_network_done(struct image_network *f)
{
    folded_free(f->folded);
    network_free(f->network);
    free(f->x);
    free(f->center);
    free(f->scratch);
}

/* ---- The oracle ---- */

static void naive_dense(const struct network *n, const struct layer *layer, double *y,
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

/* y[o] += the part of input channel i; transposed: each input pixel is spread. */
static void naive_channel(const struct layer *layer, double *y, const double *x,
                          const float *weight)
{
    const ptrdiff_t k = (ptrdiff_t)layer->kernel, pad = (ptrdiff_t)layer->padding;
    struct image_shape from = layer->transposed ? layer->in : layer->out;
    struct image_shape to = layer->transposed ? layer->out : layer->in;
    for (ptrdiff_t v = 0; v < (ptrdiff_t)from.height; v++) {
        for (ptrdiff_t u = 0; u < (ptrdiff_t)from.width; u++) {
            for (ptrdiff_t t = 0; t < k * k; t++) {
                ptrdiff_t row = v + t / k - pad, column = u + t % k - pad;
                if (row < 0 || row >= (ptrdiff_t)to.height || column < 0 ||
                    column >= (ptrdiff_t)to.width) {
                    continue;
                }
                size_t near = (size_t)(v * (ptrdiff_t)from.width + u);
                size_t far = (size_t)(row * (ptrdiff_t)to.width + column);
                y[layer->transposed ? far : near] +=
                    (double)weight[t] * x[layer->transposed ? near : far];
            }
        }
    }
}

static void naive_conv(const struct network *n, const struct layer *layer, double *y,
                       const double *x)
{
    const size_t in = layer->in.height * layer->in.width;
    const size_t out = layer->out.height * layer->out.width;
    const size_t taps = layer->kernel * layer->kernel;
    memset(y, 0, layer->outputs * sizeof *y);
    for (size_t o = 0; o < layer->out.channels; o++) {
        for (size_t i = 0; i < layer->in.channels; i++) {
            size_t at = layer->transposed ? i * layer->out.channels + o
                                          : o * layer->in.channels + i;
            naive_channel(layer, y + o * out, x + i * in,
                          n->params + layer->weight + at * taps);
        }
    }
}

/* The pixel of x that pixel j of y takes: of an upsampling, or of a pool's largest. */
static double naive_resampled(const struct layer *layer, size_t j, const double *x)
{
    struct image_shape in = layer->in, out = layer->out;
    size_t u = j % out.width, v = j / out.width % out.height;
    const double *plane = x + j / (out.width * out.height) * in.height * in.width;
    if (layer->kind == LAYER_UPSAMPLE) {
        size_t row = v / 2 < in.height ? v / 2 : in.height - 1;
        return plane[row * in.width + (u / 2 < in.width ? u / 2 : in.width - 1)];
    }
    const double *corner = plane + 2 * v * in.width + 2 * u;
    return fmax(fmax(corner[0], corner[1]), fmax(corner[in.width], corner[in.width + 1]));
}

static double naive_element(const struct network *n, const struct layer *layer, size_t j,
                            const double *x)
{
    size_t channel = j / (layer->outputs / layer->out.channels);
    switch (layer->kind) {
    case LAYER_BATCH_NORM:
        return (x[j] - (double)n->state[layer->mean + channel]) /
               sqrt((double)n->state[layer->variance + channel] + 1e-4);
    case LAYER_LEAKY_RELU:
        return x[j] > 0 ? x[j] : 0.01 * x[j];
    case LAYER_SIGMOID:
        return 1 / (1 + exp(-x[j]));
    case LAYER_MAX_POOL:
    case LAYER_UPSAMPLE:
        return naive_resampled(layer, j, x);
    case LAYER_DENSE:
    case LAYER_CONV:
        break;
    }
    return 0;
}

static size_t naive_width(const struct network *n)
{
    size_t width = n->inputs;
    for (size_t l = 0; l < n->layer_count; l++) {
        width = n->layers[l].outputs > width ? n->layers[l].outputs : width;
    }
    return width;
}

/* The outputs; to be freed. */
static double *naive_forward(const struct network *n, const double *row)
{
    double *x = calloc(naive_width(n), sizeof *x);
    double *y = calloc(naive_width(n), sizeof *y);
    assert_true(x != NULL && y != NULL);
    memcpy(x, row, n->inputs * sizeof *x);
    for (size_t l = 0; l < n->layer_count; l++) {
        const struct layer *layer = &n->layers[l];
        if (layer->kind == LAYER_DENSE) {
            naive_dense(n, layer, y, x);
        } else if (layer->kind == LAYER_CONV) {
            naive_conv(n, layer, y, x);
        } else {
            for (size_t j = 0; j < layer->outputs; j++) {
                y[j] = naive_element(n, layer, j, x);
            }
        }
        double *swap = x;
        x = y;
        y = swap;
    }
    free(y);
    return x;
}

/* Of a row with `shift` added to one input: |phi - center|^2, or the mean squared error
 * where the center is NULL. */
static double naive_value(const struct image_network *f, const float *center,
                          const float *row, size_t input, double shift)
{
    const struct network *n = f->network;
    double *x = calloc(n->inputs, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n->inputs; i++) {
        x[i] = (double)row[i] + (i == input ? shift : 0);
    }
    double *y = naive_forward(n, x);
    double sum = 0;
    for (size_t o = 0; o < n->outputs; o++) {
        double d = y[o] - (center != NULL ? (double)center[o] : x[o]);
        sum += d * d;
    }
    free(x);
    free(y);
    return center != NULL ? sum : sum / (double)n->outputs;
}

#endif
