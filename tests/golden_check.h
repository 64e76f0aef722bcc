/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The golden values of tests/golden/golden_images.h: the inputs and weights they were
 * made of, by the formulas of tests/golden/make_golden_images.py, and how results are
 * held against them: values within a tolerance of the root mean square of their block,
 * large blocks by their beginning and by projections onto fixed vectors.
 */
#ifndef TESTS_GOLDEN_CHECK_H
#define TESTS_GOLDEN_CHECK_H

#include "testing.h"

#include <stdlib.h>

#include "golden/golden_images.h"
#include "nn/network.h"

enum { PROJECTED = GOLDEN_PROJECTIONS + 1 }; /* and the norm */

/* ---- Inputs by formula ---- */

static inline uint32_t hash(uint32_t seed, size_t i)
{
    uint32_t x = (uint32_t)i + seed * 0x9e3779b9U;
    x = (x ^ (x >> 16)) * 0x7feb352dU;
    x = (x ^ (x >> 15)) * 0x846ca68bU;
    return x ^ (x >> 16);
}

/* Uniform in [-1, 1); exact */
static inline float value(uint32_t seed, size_t i)
{
    return (float)((double)(hash(seed, i) >> 8) * 0x1p-23 - 1);
}

static inline void fill_values(float *out, uint32_t seed, size_t first, size_t count,
                               float scale)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = value(seed, first + i) * scale;
    }
}

static inline float stripe(uint32_t plane, size_t v, size_t u)
{
    size_t phase =
        ((plane >> 3) % 8 * v + (plane >> 9) % 8 * u + (plane >> 15) % 64) % 64;
    return (float)(phase < 32 ? phase : 64 - phase) / 64;
}

/* x (rows, image) */
static inline void fill_images(float *x, uint32_t seed, size_t rows,
                               struct image_shape image)
{
    size_t at = 0;
    for (size_t i = 0; i < rows * image.channels; i++) {
        uint32_t plane = hash(seed + 1, i);
        for (size_t v = 0; v < image.height; v++) {
            for (size_t u = 0; u < image.width; u++, at++) {
                x[at] = stripe(plane, v, u) + (float)(hash(seed, at) >> 20) * 0x1p-13F;
            }
        }
    }
}

static inline size_t weights_of(const struct layer *layer)
{
    if (layer->kind == LAYER_DENSE) {
        return layer->inputs * layer->outputs;
    }
    return layer->kind == LAYER_CONV
               ? layer->in.channels * layer->out.channels * layer->kernel * layer->kernel
               : 0;
}

static inline void fill_network(struct network *network, uint32_t seed)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        size_t taps = layer->kernel * layer->kernel;
        size_t channels = layer->transposed ? layer->out.channels : layer->in.channels;
        size_t fan_in = layer->kind == LAYER_CONV ? channels * taps : layer->inputs;
        if (layer->weight != SIZE_MAX) {
            fill_values(network->params + layer->weight, seed, layer->weight,
                        weights_of(layer), 1 / sqrtf((float)fan_in));
        }
        for (size_t j = 0; layer->mean != SIZE_MAX && j < layer->out.channels; j++) {
            size_t mean = layer->mean + j, variance = layer->variance + j;
            network->state[mean] = value(seed + 1, mean) * 0.25F;
            network->state[variance] = 1 + value(seed + 1, variance) * 0.5F;
        }
    }
}

/* ---- Comparing ---- */

static inline double root_mean_square(const float *values, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        squares += (double)values[i] * (double)values[i];
    }
    return sqrt(squares / (double)count);
}

static inline void report(const char *what, double worst)
{
    if (getenv("GOLDEN_SHOW") != NULL) {
        printf("%s: worst error %.3f of the tolerance\n", what, worst);
    }
    if (!(worst <= 1)) {
        fail_msg("%s: worst error %.3g times the tolerance", what, worst);
    }
}

static inline double larger(double worst, double error)
{
    return error > worst || isnan(error) ? error : worst;
}

/* Worst error of `count` values as a share of what is allowed: `tolerance` of the value
 * or, near zero, of `scale`. */
static inline double compare_values(const float *actual, const float *expected,
                                    size_t count, double scale, double tolerance)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double allowed = tolerance * fmax(fabs((double)expected[i]), scale);
        worst = larger(worst, fabs((double)actual[i] - (double)expected[i]) / allowed);
    }
    return worst;
}

static inline void compare(const char *what, const float *actual, const float *expected,
                           size_t count, double tolerance)
{
    double scale = root_mean_square(expected, count);
    report(what, compare_values(actual, expected, count, scale, tolerance));
}

/* A block of which the golden values are the beginning (or NULL) and the projections. */
static inline double compare_block(const float *actual, size_t count, const float *head,
                                   const float *projections, double tolerance)
{
    double norm = (double)projections[GOLDEN_PROJECTIONS];
    size_t shown = head == NULL ? 0 : count < GOLDEN_HEAD ? count : GOLDEN_HEAD;
    double worst =
        compare_values(actual, head, shown, norm / sqrt((double)count), tolerance);
    for (size_t p = 0; p < GOLDEN_PROJECTIONS; p++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += (double)actual[i] * (double)value(99, p * count + i);
        }
        worst = larger(worst, fabs(sum - (double)projections[p]) / (tolerance * norm));
    }
    double actual_norm = root_mean_square(actual, count) * sqrt((double)count);
    return larger(worst, fabs(actual_norm - norm) / (tolerance * norm));
}

static inline void compare_rows(const char *what, const float *rows, size_t count,
                                size_t width, const float *heads,
                                const float *projections, double tolerance)
{
    double worst = 0;
    size_t shown = width < GOLDEN_HEAD ? width : GOLDEN_HEAD;
    for (size_t i = 0; i < count; i++) {
        worst = larger(worst, compare_block(rows + i * width, width, heads + i * shown,
                                            projections + i * PROJECTED, tolerance));
    }
    report(what, worst);
}

/* `values` are of all the network's parameters. */
static inline void compare_weights(const char *what, const struct network *network,
                                   const float *values, const float *heads,
                                   const float *projections, double tolerance)
{
    size_t at = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->weight == SIZE_MAX) {
            continue;
        }
        char text[80];
        snprintf(text, sizeof text, "%s, layer %zu", what, i);
        report(text, compare_block(values + layer->weight, weights_of(layer),
                                   heads + at * GOLDEN_HEAD, projections + at * PROJECTED,
                                   tolerance));
        at++;
    }
}

#endif
