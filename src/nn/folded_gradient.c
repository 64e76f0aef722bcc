/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward, keeping every step's outputs, then back: with delta_l the derivative by dense
 * layer l's sums, delta_(l-1) = f'(y_(l-1)) (W_l delta_l). A delta is stored (outputs,
 * rows): one vector per output, which a weight multiplies as a whole. Chains of steps on
 * images go back row by row, as they go forward.
 */
#include "nn/folded_gradient.h"

#include <string.h>

#include "base/simd.h"
#include "nn/folded_chain_gradient.h"
#include "nn/folded_steps.h"

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
    const struct folded *folded;
    const float *x;   /* (ROWS, inputs) */
    float *outputs;   /* of all steps that leave rows, one after the other, (ROWS, padded)
                         each */
    lanes *deltas[2]; /* (width()) each, written in turn */
    float *row[2]; /* (width()) derivatives of one row: by a chain's outputs, its inputs
                    */
    float *frames, *kept; /* of images: (folded->frames), (ROWS, folded->kept) */
    float *scratch;       /* folded_chain_back()'s */
};

/* Floats of a row of all that leaves rows before step `end`. */
static size_t outputs_before(const struct folded *folded, size_t end)
{
    size_t sum = 0;
    for (size_t i = 0; i < end; i++) {
        if (folded_leaves_rows(folded, i)) {
            sum += folded_step_padded(&folded->steps[i]);
        }
    }
    return sum;
}

/* Of the inputs and of all outputs. */
static size_t width_of(const struct folded *folded)
{
    size_t inputs = simd_round_up(folded->inputs);
    return inputs > folded->widest ? inputs : folded->widest;
}

size_t folded_gradient_scratch(const struct folded *folded)
{
    size_t width = width_of(folded);
    return ROWS *
               (outputs_before(folded, folded->step_count) + 2 * width + folded->kept) +
           2 * width + folded->frames + folded_chain_back_scratch(folded);
}

static struct pass lay_out(const struct folded *folded, const float *x, float *scratch)
{
    size_t width = width_of(folded);
    struct pass pass = {.folded = folded, .x = x};
    pass.deltas[0] = (lanes *)scratch;
    pass.deltas[1] = pass.deltas[0] + width;
    pass.outputs = (float *)(pass.deltas[1] + width);
    pass.row[0] = pass.outputs + ROWS * outputs_before(folded, folded->step_count);
    pass.row[1] = pass.row[0] + width;
    pass.frames = pass.row[1] + width;
    pass.kept = pass.frames + folded->frames;
    pass.scratch = pass.kept + ROWS * folded->kept;
    memset(pass.frames, 0, folded->frames * sizeof *pass.frames);
    return pass;
}

/* Rows, `stride` floats apart. */
struct rows {
    float *values;
    size_t stride;
};

/* What the dense step or chain that ends with step `index` writes. */
static struct rows outputs_of(const struct pass *pass, size_t index)
{
    return (struct rows){pass->outputs + ROWS * outputs_before(pass->folded, index),
                         folded_step_padded(&pass->folded->steps[index])};
}

static struct folded_images images_of(const struct pass *pass, size_t row)
{
    return (struct folded_images){.frames = pass->frames,
                                  .outputs = pass->kept + row * pass->folded->kept,
                                  .keep = true};
}

/* Returns the last step's outputs. */
static struct rows forward(const struct pass *pass)
{
    const struct folded *folded = pass->folded;
    const float *x = pass->x;
    size_t stride = folded->inputs;
    for (size_t i = 0, next; i < folded->step_count; i = next) {
        const struct folded_step *step = &folded->steps[i];
        next = step->kind == FOLDED_DENSE ? i + 1 : folded_chain_end(folded, i);
        const struct rows y = outputs_of(pass, next - 1);
        if (step->kind == FOLDED_DENSE) {
            packed_forward(&step->dense, y.values, x, stride, ROWS);
        }
        for (size_t r = 0; step->kind != FOLDED_DENSE && r < ROWS; r++) {
            const struct folded_images images = images_of(pass, r);
            folded_chain_run(folded, i, next, y.values + r * y.stride, x + r * stride,
                             &images);
        }
        x = y.values;
        stride = y.stride;
    }
    return outputs_of(pass, folded->step_count - 1);
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
SIMD_INLINE void back_some(const struct packed *layer, lanes *to, const lanes *delta,
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

/* Back through the chain [from, to), whose inputs are rows of x. */
static void back_chain(const struct pass *pass, lanes *dx, const lanes *dy, size_t from,
                       size_t to, const float *x, size_t stride)
{
    const struct folded *folded = pass->folded;
    const size_t inputs = image_size(folded->steps[from].in);
    const size_t outputs = image_size(folded->steps[to - 1].out);
    for (size_t r = 0; r < ROWS; r++) {
        const struct folded_images images = images_of(pass, r);
        for (size_t o = 0; o < outputs; o++) {
            pass->row[0][o] = dy[o][r];
        }
        folded_chain_back(folded, from, to, pass->row[1], pass->row[0], x + r * stride,
                          images.outputs, pass->scratch);
        for (size_t i = 0; i < inputs; i++) {
            dx[i][r] = pass->row[1][i];
        }
    }
}

/* deltas[0] holds the derivative by the network's outputs. Returns that by its inputs. */
static const lanes *backward(const struct pass *pass)
{
    const struct folded *folded = pass->folded;
    lanes *delta = pass->deltas[0];
    lanes *other = pass->deltas[1];
    for (size_t end = folded->step_count, from; end > 0; end = from) {
        const struct folded_step *step = &folded->steps[end - 1];
        for (from = end - 1; from > 0 && !folded_leaves_rows(folded, from - 1);) {
            from--;
        }
        if (step->kind == FOLDED_DENSE) {
            through_activation(&step->dense, delta, outputs_of(pass, from).values);
            back(&step->dense, other, delta);
        } else if (from == 0) {
            back_chain(pass, other, delta, from, end, pass->x, folded->inputs);
        } else {
            struct rows x = outputs_of(pass, from - 1);
            back_chain(pass, other, delta, from, end, x.values, x.stride);
        }
        lanes *next = other;
        other = delta;
        delta = next;
    }
    return delta;
}

/* Makes deltas[0] the derivative of factor * |y - target|^2, whose values it adds: of row
 * r the target starts at target + r * stride. */
static void start_back(const struct pass *pass, float *value, struct rows y,
                       const float *target, size_t stride, float factor)
{
    lanes sum = {0};
    for (size_t o = 0; o < pass->folded->outputs; o++) {
        lanes difference = {0};
        for (size_t r = 0; r < ROWS; r++) {
            difference[r] = y.values[r * y.stride + o] - target[r * stride + o];
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
    const struct pass pass = lay_out(folded, x, scratch);
    start_back(&pass, out->value, forward(&pass), center, 0, factor);
    add_lanes((lanes *)out->gradient, backward(&pass), folded->inputs);
}

/* By the outputs, and with the other sign by the inputs that they are compared with. */
void folded_reconstruction_gradient(const struct folded *folded,
                                    const struct folded_gradient *out, float factor,
                                    const float *x, float *scratch)
{
    const struct pass pass = lay_out(folded, x, scratch);
    size_t width = folded->inputs;
    lanes *gradient = (lanes *)out->gradient;
    start_back(&pass, out->value, forward(&pass), x, width, factor / (float)width);
    for (size_t o = 0; o < width; o++) {
        gradient[o] -= pass.deltas[0][o];
    }
    add_lanes(gradient, backward(&pass), width);
}
