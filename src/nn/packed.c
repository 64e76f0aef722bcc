/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tile is 6 rows x 2 panels: 12 sums held in registers, each weight vector loaded once
 * for 6 rows. Measured against OpenBLAS's sgemm (without bias and activation) on one core
 * with AVX-512, ns a row at 1 / 32 / 1000 rows: 9-128-64: 280 / 186 / 185 against 345 /
 * 164 / 186; 784-512-256-64: 24,600 / 10,100 / 10,100 against 26,800 / 13,000 / 11,000.
 * So there is no size at which BLAS would be worth its threads and its other rounding.
 */
#include "nn/packed.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"

#define INLINE static inline __attribute__((always_inline))

/* GCC and clang make of it one AVX-512 register, two of AVX2, four of SSE2. */
typedef float vector __attribute__((vector_size(PACKED_LANES * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(PACKED_LANES * sizeof(float))));

enum {
    TILE_ROWS = 6,
    /* Inputs per pass, so that a panel's part (16 KiB) stays in the first-level cache. */
    PASS_INPUTS = 256,
    PANELS_MAX = 8,
};

#define LEAKY_SLOPE 0.01F

int packed_init(struct packed *layer, size_t inputs, size_t outputs,
                enum packed_activation activation, struct deepsad_error *error)
{
    size_t padded = 0;
    size_t floats = 0;
    size_t bytes = 0;
    if (__builtin_add_overflow(outputs, (size_t)PACKED_LANES - 1, &padded)) {
        return error_no_memory(error, "a layer");
    }
    padded -= padded % PACKED_LANES;
    if (__builtin_mul_overflow(padded, inputs, &floats) ||
        __builtin_add_overflow(floats, padded, &floats) ||
        __builtin_mul_overflow(floats, sizeof(float), &bytes)) {
        return error_no_memory(error, "a layer");
    }
    float *block = bytes > 0 ? aligned_alloc(SIMD_ALIGN, bytes) : NULL;
    if (block == NULL) {
        return error_no_memory(error, "a layer");
    }
    memset(block, 0, bytes);
    *layer = (struct packed){.inputs = inputs,
                             .outputs = outputs,
                             .padded = padded,
                             .activation = activation,
                             .weight = block,
                             .bias = block + padded * inputs};
    return DEEPSAD_OK;
}

void packed_done(struct packed *layer)
{
    free(layer->weight); /* the bias lies behind it */
    *layer = (struct packed){0};
}

/* What a call works on: inputs [from, to) of rows of x. */
struct pass {
    const struct packed *layer;
    float *y;
    const float *x;
    size_t stride, rows;
    size_t from, to;
};

INLINE void store(const struct pass *pass, float *y, const vector *sum)
{
    vector value = *sum;
    if (pass->to == pass->layer->inputs && pass->layer->activation == PACKED_LEAKY_RELU) {
        vector leaked = value * LEAKY_SLOPE;
        mask positive = value > 0;
        value = (vector)(((mask)value & positive) | ((mask)leaked & ~positive));
    }
    *(vector *)y = value;
}

/* `rows` rows from `row` on times `panels` panels from `panel` on; both constant after
 * inlining, so the sums are registers. */
INLINE void tile(const struct pass *pass, size_t rows, size_t panels, size_t row,
                 size_t panel)
{
    const struct packed *layer = pass->layer;
    const float *x = pass->x + row * pass->stride;
    float *y = pass->y + row * layer->padded + panel * PACKED_LANES;
    const float *bias = layer->bias + panel * PACKED_LANES;
    const float *weight = layer->weight + panel * layer->inputs * PACKED_LANES;
    vector sum[TILE_ROWS * 2 > PANELS_MAX ? TILE_ROWS * 2 : PANELS_MAX];
    for (size_t r = 0; r < rows; r++) {
        for (size_t p = 0; p < panels; p++) {
            const float *start = pass->from == 0 ? bias : y + r * layer->padded;
            sum[r * panels + p] = *(const vector *)(start + p * PACKED_LANES);
        }
    }
    for (size_t k = pass->from; k < pass->to; k++) {
        for (size_t r = 0; r < rows; r++) {
            for (size_t p = 0; p < panels; p++) {
                const float *w = weight + (p * layer->inputs + k) * PACKED_LANES;
                sum[r * panels + p] += x[r * pass->stride + k] * *(const vector *)w;
            }
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t p = 0; p < panels; p++) {
            store(pass, y + r * layer->padded + p * PACKED_LANES, &sum[r * panels + p]);
        }
    }
}

/* All rows times `panels` panels. */
INLINE void strip(const struct pass *pass, size_t panels, size_t panel)
{
    size_t row = 0;
    for (; row + TILE_ROWS <= pass->rows; row += TILE_ROWS) {
        tile(pass, TILE_ROWS, panels, row, panel);
    }
    switch (pass->rows - row) {
    case 5:
        tile(pass, 5, panels, row, panel);
        break;
    case 4:
        tile(pass, 4, panels, row, panel);
        break;
    case 3:
        tile(pass, 3, panels, row, panel);
        break;
    case 2:
        tile(pass, 2, panels, row, panel);
        break;
    case 1:
        tile(pass, 1, panels, row, panel);
        break;
    default:
        break;
    }
}

/* One row alone: more panels at once, or the additions would wait for each other. */
INLINE size_t strips_of_one_row(const struct pass *pass, size_t panels)
{
    size_t panel = 0;
    for (; panel + PANELS_MAX <= panels; panel += PANELS_MAX) {
        tile(pass, 1, PANELS_MAX, 0, panel);
    }
    for (; panel + 4 <= panels; panel += 4) {
        tile(pass, 1, 4, 0, panel);
    }
    return panel;
}

SIMD_CLONES
static void multiply(const struct packed *layer, float *y, const float *x, size_t stride,
                     size_t rows)
{
    size_t panels = layer->padded / PACKED_LANES;
    size_t from = 0;
    do {
        size_t to =
            layer->inputs - from > PASS_INPUTS ? from + PASS_INPUTS : layer->inputs;
        const struct pass pass = {layer, y, x, stride, rows, from, to};
        size_t panel = rows == 1 ? strips_of_one_row(&pass, panels) : 0;
        for (; panel + 2 <= panels; panel += 2) {
            strip(&pass, 2, panel);
        }
        if (panel < panels) {
            strip(&pass, 1, panel);
        }
        from = to;
    } while (from < layer->inputs);
}

/* 1 / (1 + exp(-x)), of the true outputs only: the padding stays 0. */
static void sigmoid_rows(const struct packed *layer, float *y, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < layer->outputs; j++) {
            float *value = y + i * layer->padded + j;
            *value = 1 / (1 + expf(-*value));
        }
    }
}

void packed_forward(const struct packed *layer, float *y, const float *x, size_t stride,
                    size_t rows)
{
    multiply(layer, y, x, stride, rows);
    if (layer->activation == PACKED_SIGMOID) {
        sigmoid_rows(layer, y, rows);
    }
}
