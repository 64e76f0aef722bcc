/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward, keeping every layer's outputs, then back: with delta_l the derivative by layer
 * l's sums, delta_(l-1) = f'(y_(l-1)) (W_l delta_l). A delta is stored (outputs, rows):
 * one vector per output, which a weight multiplies as a whole.
 */
#include "nn/folded_gradient.h"

#include "base/simd.h"
#include "nn/packed.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    ROWS = FOLDED_GRADIENT_ROWS,
    /* Inputs at a time, so many independent sums: with 16 rows as two vectors of AVX2
     * they just fit its registers. */
    ABREAST = 6,
};

typedef float lanes __attribute__((vector_size(ROWS * sizeof(float))));

static const float leaky_slope = 0.01F;

/* Views into scratch. */
struct pass {
    const struct packed *layers;
    size_t layer_count;
    float *outputs;   /* of all layers, one after the other, (ROWS, padded) each */
    lanes *deltas[2]; /* (widest) each, written in turn */
};

static size_t padded_sum(const struct packed *layers, size_t count)
{
    size_t sum = 0;
    for (size_t l = 0; l < count; l++) {
        sum += layers[l].padded;
    }
    return sum;
}

/* Of the inputs and of all layers' outputs. */
static size_t widest(const struct packed *layers, size_t count)
{
    size_t width = layers[0].inputs;
    for (size_t l = 0; l < count; l++) {
        width = layers[l].padded > width ? layers[l].padded : width;
    }
    return width;
}

size_t folded_gradient_scratch(const struct folded *folded)
{
    size_t count;
    const struct packed *layers = folded_layers(folded, &count);
    return ROWS * (padded_sum(layers, count) + 2 * widest(layers, count));
}

static void lay_out(struct pass *pass, const struct folded *folded, float *scratch)
{
    pass->layers = folded_layers(folded, &pass->layer_count);
    size_t width = widest(pass->layers, pass->layer_count);
    pass->deltas[0] = (lanes *)scratch;
    pass->deltas[1] = pass->deltas[0] + width;
    pass->outputs = (float *)(pass->deltas[1] + width);
}

static const float *outputs_of(const struct pass *pass, size_t layer)
{
    return pass->outputs + ROWS * padded_sum(pass->layers, layer);
}

/* Returns the last layer's outputs. */
static const float *forward(const struct pass *pass, const float *x)
{
    size_t stride = pass->layers[0].inputs;
    float *y = pass->outputs;
    for (size_t l = 0; l < pass->layer_count; l++) {
        packed_forward(&pass->layers[l], y, x, stride, ROWS);
        x = y;
        stride = pass->layers[l].padded;
        y += ROWS * stride;
    }
    return x;
}

static inline float slope(enum packed_activation activation, float y)
{
    if (activation == PACKED_LEAKY_RELU) {
        return y > 0 ? 1 : leaky_slope;
    }
    return activation == PACKED_SIGMOID ? y * (1 - y) : 1;
}

/* From the derivative by a layer's outputs y (ROWS, padded) to that by its sums. */
static void through_activation(const struct packed *layer, lanes *delta, const float *y)
{
    if (layer->activation == PACKED_LINEAR) {
        return;
    }
    for (size_t o = 0; o < layer->outputs; o++) {
        for (size_t r = 0; r < ROWS; r++) {
            delta[o][r] *= slope(layer->activation, y[r * layer->padded + o]);
        }
    }
}

/* Inputs [first, first + count) of to = W delta; count is constant after inlining. */
INLINE void back_some(const struct packed *layer, lanes *to, const lanes *delta,
                      size_t first, size_t count)
{
    lanes sums[ABREAST] = {{0}};
    for (size_t o = 0; o < layer->outputs; o += PACKED_LANES) {
        const float *weight = layer->weight + packed_index(layer, first, o);
        size_t left = layer->outputs - o;
        for (size_t lane = 0; lane < (left < PACKED_LANES ? left : PACKED_LANES);
             lane++) {
            lanes d = delta[o + lane];
#pragma GCC unroll 6
            for (size_t a = 0; a < count; a++) {
                sums[a] += weight[a * PACKED_LANES + lane] * d;
            }
        }
    }
#pragma GCC unroll 6
    for (size_t a = 0; a < count; a++) {
        to[first + a] = sums[a];
    }
}

SIMD_CLONES
static void back(const struct packed *layer, lanes *to, const lanes *delta)
{
    size_t i = 0;
    for (; i + ABREAST <= layer->inputs; i += ABREAST) {
        back_some(layer, to, delta, i, ABREAST);
    }
    for (; i < layer->inputs; i++) {
        back_some(layer, to, delta, i, 1);
    }
}

/* deltas[0] holds the derivative by the network's outputs. Returns that by its inputs. */
static const lanes *backward(const struct pass *pass)
{
    lanes *delta = pass->deltas[0];
    lanes *other = pass->deltas[1];
    for (size_t l = pass->layer_count; l-- > 0;) {
        through_activation(&pass->layers[l], delta, outputs_of(pass, l));
        back(&pass->layers[l], other, delta);
        lanes *next = other;
        other = delta;
        delta = next;
    }
    return delta;
}

/* Makes deltas[0] the derivative of factor * |y - target|^2, whose values it adds: of row
 * r the target starts at target + r * stride. */
static void start_back(const struct pass *pass, float *value, const float *y,
                       const float *target, size_t stride, float factor)
{
    const struct packed *last = &pass->layers[pass->layer_count - 1];
    lanes sum = {0};
    for (size_t o = 0; o < last->outputs; o++) {
        lanes difference = {0};
        for (size_t r = 0; r < ROWS; r++) {
            difference[r] = y[r * last->padded + o] - target[r * stride + o];
        }
        sum += difference * difference;
        pass->deltas[0][o] = 2 * factor * difference;
    }
    *(lanes *)value += factor * sum;
}

static void add_lanes(lanes *out, const lanes *delta, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] += delta[i];
    }
}

void folded_distance_gradient(const struct folded *folded, const float *center,
                              const struct folded_gradient *out, float factor,
                              const float *x, float *scratch)
{
    struct pass pass;
    lay_out(&pass, folded, scratch);
    const float *y = forward(&pass, x);
    start_back(&pass, out->value, y, center, 0, factor);
    add_lanes((lanes *)out->gradient, backward(&pass), folded_inputs(folded));
}

/* By the outputs, and with the other sign by the inputs that they are compared with. */
void folded_reconstruction_gradient(const struct folded *folded,
                                    const struct folded_gradient *out, float factor,
                                    const float *x, float *scratch)
{
    struct pass pass;
    lay_out(&pass, folded, scratch);
    size_t width = folded_inputs(folded);
    lanes *gradient = (lanes *)out->gradient;
    const float *y = forward(&pass, x);
    start_back(&pass, out->value, y, x, width, factor / (float)width);
    for (size_t o = 0; o < width; o++) {
        gradient[o] -= pass.deltas[0][o];
    }
    add_lanes(gradient, backward(&pass), width);
}
