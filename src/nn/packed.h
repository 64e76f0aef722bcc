/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dense layer laid out for scoring: y = f(x W + b), W in panels of PACKED_LANES
 * outputs, zero-padded to whole panels, so that the outputs of a panel are the lanes of
 * one vector and its weights are read once, in order. Each output is one chain of
 * multiply-adds over the inputs, from its bias on, whatever the number of rows: a row's
 * result is the same bits alone and in any batch.
 */
#ifndef NN_PACKED_H
#define NN_PACKED_H

#include <stddef.h>

#include "base/error.h"
#include "base/simd.h"

enum { PACKED_LANES = 16 };

enum packed_activation { PACKED_LINEAR, PACKED_LEAKY_RELU, PACKED_SIGMOID };

struct packed {
    size_t inputs, outputs;
    size_t padded; /* outputs, rounded up to whole panels */
    enum packed_activation activation;
    float *weight; /* (padded / PACKED_LANES, inputs, PACKED_LANES) */
    float *bias;   /* (padded) */
};

/* Weights and bias all 0. */
int packed_init(struct packed *layer, size_t inputs, size_t outputs,
                enum packed_activation activation, struct deepsad_error *error);
void packed_done(struct packed *layer);

/* Index in layer->weight of the weight from `input` to `output`. */
static inline size_t packed_index(const struct packed *layer, size_t input, size_t output)
{
    size_t panel = output / PACKED_LANES;
    return (panel * layer->inputs + input) * PACKED_LANES + output % PACKED_LANES;
}

/* y (rows, padded), 64-byte aligned; columns from `outputs` on are 0. x: rows of `inputs`
 * floats, one every `stride`. */
void packed_forward(const struct packed *layer, float *y, const float *x, size_t stride,
                    size_t rows);

/* distance (rows): |y - center|^2 of y (rows, padded) and center (padded), both 64-byte
 * aligned. */
void packed_distances(float *distance, const float *y, const float *center, size_t rows,
                      size_t padded);

/* y = 1 / (1 + exp(-y)), count a multiple of PACKED_LANES. */
void packed_sigmoid(float *y, size_t count);

/* packed_forward by the kernel of one instruction set, which the machine must have. */
void packed_forward_level(const struct packed *layer, float *y, const float *x,
                          size_t stride, size_t rows, enum simd_level level);

#endif
