/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tile's sums, of up to 6 rows x 2 panels, are held in registers, and each vector of
 * weights is loaded once for all its rows. Measured against OpenBLAS's sgemm (without
 * bias and activation) on one core with AVX-512, ns a row at 1 / 32 / 1000 rows:
 * 9-128-64: 280 / 186 / 185 against 345 / 164 / 186; 784-512-256-64: 24,600 / 10,100 /
 * 10,100 against 26,800 / 13,000 / 11,000. So there is no size at which BLAS would be
 * worth its threads and its other rounding.
 */
#include "nn/packed.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"

/* Inputs per pass, so that a panel's part (16 KiB) stays in the first-level cache. */
enum { PASS_INPUTS = 256 };

/* A row alone reads each weight once, from wherever it is: so many inputs ahead, since
 * the processor's own prefetching ends with each page. */
enum { AHEAD = 12 };

#define LEAKY_SLOPE 0.01F

int packed_init(struct packed *layer, size_t inputs, size_t outputs,
                enum packed_activation activation, struct deepsad_error *error)
{
    size_t padded = 0;
    size_t floats = 0;
    size_t bytes = 0;
    if (inputs == 0 || outputs == 0) {
        return error_set(error, DEEPSAD_INVALID, "a layer needs inputs and outputs");
    }
    if (__builtin_add_overflow(outputs, (size_t)PACKED_LANES - 1, &padded)) {
        return error_no_memory(error, "a layer");
    }
    padded -= padded % PACKED_LANES;
    if (__builtin_mul_overflow(padded, inputs, &floats) ||
        __builtin_add_overflow(floats, padded, &floats) ||
        __builtin_mul_overflow(floats, sizeof(float), &bytes)) {
        return error_no_memory(error, "a layer");
    }
    float *block = aligned_alloc(SIMD_ALIGN, bytes);
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

typedef float half __attribute__((vector_size(PACKED_LANES / 2 * sizeof(float))));
typedef float quarter __attribute__((vector_size(PACKED_LANES / 4 * sizeof(float))));

#define NAME(x) x##_baseline
#define TARGET
#define FLOATS 4
#define TILE_ROWS 3
#define TILE_PANELS 1
#define ROW_PANELS 2
#define LAST_CHAINS 1
#include "nn/packed_kernel.inc"

#if SIMD_X86
#define NAME(x) x##_avx2
#define TARGET SIMD_TARGET_AVX2
#define FLOATS 8
#define TILE_ROWS 6
#define TILE_PANELS 1
#define ROW_PANELS 4
#define LAST_CHAINS 1
#include "nn/packed_kernel.inc"

#define NAME(x) x##_avx512
#define TARGET SIMD_TARGET_AVX512
#define FLOATS 16
#define TILE_ROWS 6
#define TILE_PANELS 2
#define ROW_PANELS 8
#define LAST_CHAINS 2
#include "nn/packed_kernel.inc"
#endif

void packed_distances(float *distance, const float *y, const float *center, size_t rows,
                      size_t padded)
{
    SIMD_CALL(simd_level(), distances, distance, y, center, rows, padded);
}

/* 1 / (1 + exp(-x)); exp by 2^n times a polynomial (Chebyshev fit, error 1e-8). Beyond
 * +-87, where exp would leave the range of float, as at +-87. */
static inline float sigmoid(float x)
{
    float minus = x < 87 ? -x : -87;
    minus = minus < 87 ? minus : 87;
    const float round = 0x1.8p23F; /* adding it leaves no bits behind the point */
    float n = (minus * 1.44269504F + round) - round;
    float r = minus - n * 0.693359375F; /* ln 2 in two parts, the first exact in n * it */
    r = r + n * 2.12194440e-4F;
    float p = 1.39337332e-3F;
    p = p * r + 8.36323538e-3F;
    p = p * r + 4.16664642e-2F;
    p = p * r + 0.166665766F;
    p = p * r + 0.5F;
    float exponential = 1 + (r + r * (r * p));
    int32_t bits = ((int32_t)n + 127) * (1 << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return 1 / (1 + exponential * power);
}

/* By whole panels, so that there is no scalar remainder that might round otherwise. */
SIMD_CLONES
void packed_sigmoid(float *y, size_t count)
{
    for (size_t j = 0; j < count; j += PACKED_LANES) {
#pragma omp simd
        for (size_t lane = 0; lane < PACKED_LANES; lane++) {
            y[j + lane] = sigmoid(y[j + lane]);
        }
    }
}

/* The padding becomes 0 again. */
static void sigmoid_rows(const struct packed *layer, float *y, size_t rows)
{
    packed_sigmoid(y, rows * layer->padded);
    size_t padding = layer->padded - layer->outputs;
    for (size_t i = 0; padding > 0 && i < rows; i++) {
        memset(y + i * layer->padded + layer->outputs, 0, padding * sizeof *y);
    }
}

void packed_forward_level(const struct packed *layer, float *y, const float *x,
                          size_t stride, size_t rows, enum simd_level level)
{
    struct pass pass = {layer, y, x, stride, rows, 0, 0};
    SIMD_CALL(level, multiply, pass);
    if (layer->activation == PACKED_SIGMOID) {
        sigmoid_rows(layer, y, rows);
    }
}

void packed_forward(const struct packed *layer, float *y, const float *x, size_t stride,
                    size_t rows)
{
    packed_forward_level(layer, y, x, stride, rows, simd_level());
}
