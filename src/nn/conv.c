/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input is copied into planes with a border of zeros, so that the kernels know no edges.
 * A tile of a few output channels by a few pixels of a row is held in registers, a vector
 * of 16 samples a sum, while all inputs pass by: an input vector is loaded once for the
 * tile's channels, a weight once for its pixels. The gradient of the weights likewise
 * holds a few channels by a row of the kernel, while the pixels pass by; strips of rows
 * stay in the first-level cache for all of the kernel's places.
 */
#include "nn/conv.h"

#include <stdint.h>
#include <string.h>

#include "base/simd.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 24")

enum {
    BLOCK = 4,     /* channels whose weights lie side by side */
    SUMS_MAX = 24, /* of a tile */
};

/* Floats of rows of a and b that a strip may take up: half of a cache of 48 KiB is kept
 * for sums and what is to come. */
enum { STRIP_FLOATS = 8192 };

/* y (outputs, height, width) of padded x (inputs, height + kernel - 1, width + kernel -
 * 1), all in lanes; strides in floats. */
struct correlation {
    const float *x;
    size_t x_plane, x_row;
    size_t inputs, outputs, kernel;
    size_t height, width;
    size_t y_plane;
};

/* dweight (a_channels, b_channels, kernel, kernel) of a (a_channels, height, width) and
 * padded b (b_channels, height + kernel - 1, width + kernel - 1). */
struct gradient {
    float *dweight;
    float *sums;
    const float *a, *b;
    size_t a_channels, b_channels, kernel;
    size_t height, width;
    size_t a_plane, b_plane, b_row;
    size_t strip, from, to; /* rows */
};

typedef float quarter __attribute__((vector_size(LANES / 4 * sizeof(float)), may_alias));

#define NAME(x) x##_baseline
#define TARGET
#define FLOATS 4
#define PIXELS_1 8
#define PIXELS_2 4
#define PIXELS_3 3
#define PIXELS_4 2
#define GRADIENTS 2
#define COLUMNS 5
#include "nn/conv_kernel.inc"

#if SIMD_X86
#define NAME(x) x##_avx2
#define TARGET SIMD_TARGET_AVX2
#define FLOATS 8
#define PIXELS_1 12
#define PIXELS_2 6
#define PIXELS_3 4
#define PIXELS_4 3
#define GRADIENTS 2
#define COLUMNS 6
#include "nn/conv_kernel.inc"

#define NAME(x) x##_avx512
#define TARGET SIMD_TARGET_AVX512
#define FLOATS 16
#define PIXELS_1 12
#define PIXELS_2 12
#define PIXELS_3 8
#define PIXELS_4 6
#define GRADIENTS 4
#define COLUMNS 6
#include "nn/conv_kernel.inc"
#endif

/* ---- Weights ---- */

size_t conv_packed_size(const struct conv *conv)
{
    return simd_round_up(conv_weights(conv));
}

/* packed: blocks of up to BLOCK outputs of (inputs, kernel, kernel, block's outputs). Of
 * weight (outputs, inputs, kernel, kernel), or with the first two swapped. */
static void pack(float *packed, const float *weight, size_t outputs, size_t inputs,
                 size_t kernel, bool swapped, bool mirrored)
{
    const size_t area = kernel * kernel;
    for (size_t o = 0; o < outputs; o += BLOCK) {
        size_t block = outputs - o < BLOCK ? outputs - o : BLOCK;
        for (size_t i = 0; i < inputs; i++) {
            for (size_t j = 0; j < block; j++) {
                size_t plane = swapped ? i * outputs + o + j : (o + j) * inputs + i;
                const float *from = weight + plane * area;
                for (size_t p = 0; p < area; p++) {
                    packed[p * block + j] = from[mirrored ? area - 1 - p : p];
                }
            }
            packed += area * block;
        }
    }
}

void conv_pack_forward(const struct conv *conv, float *packed, const float *weight)
{
    pack(packed, weight, conv->out.channels, conv->in.channels, conv->kernel,
         conv->transposed, conv->transposed);
}

void conv_pack_backward(const struct conv *conv, float *packed, const float *weight)
{
    pack(packed, weight, conv->in.channels, conv->out.channels, conv->kernel,
         !conv->transposed, !conv->transposed);
}

/* ---- Scratch ---- */

/* a * b + c, or SIZE_MAX, which no allocation grants. */
static size_t multiply_add(size_t a, size_t b, size_t c)
{
    size_t product = 0;
    size_t sum = 0;
    return __builtin_mul_overflow(a, b, &product) ||
                   __builtin_add_overflow(product, c, &sum)
               ? SIZE_MAX
               : sum;
}

/* Floats of x with the border that correlation to `like` needs. */
static size_t padded_size(size_t channels, struct image_shape like, size_t kernel)
{
    size_t height = multiply_add(1, like.height, kernel - 1);
    size_t width = multiply_add(1, like.width, kernel - 1);
    size_t area = multiply_add(height, width, 0);
    return multiply_add(multiply_add(channels, area, 0), LANES, 0);
}

/* Of the gradient's sums. */
static size_t sums_size(size_t channels, size_t kernel)
{
    size_t sums = multiply_add(channels, multiply_add(kernel, kernel, 0), 0);
    return multiply_add(sums, (size_t)BLOCK * LANES, 0);
}

size_t conv_scratch(const struct conv *conv)
{
    const struct image_shape *plain = conv->transposed ? &conv->in : &conv->out;
    const struct image_shape *padded = conv->transposed ? &conv->out : &conv->in;
    size_t gradient = multiply_add(1, padded_size(padded->channels, *plain, conv->kernel),
                                   sums_size(padded->channels, conv->kernel));
    size_t back = padded_size(plain->channels, *padded, conv->kernel);
    return gradient > back ? gradient : back;
}

/* padded (channels, height + 2 padding, width + 2 padding, LANES) of x. */
static void add_border(float *padded, const float *x, struct image_shape shape,
                       size_t padding)
{
    const size_t row = shape.width * LANES;
    const size_t side = padding * LANES;
    const size_t ends = padding * (row + 2 * side); /* above and below */
    for (size_t c = 0; c < shape.channels; c++) {
        memset(padded, 0, (ends + side) * sizeof *padded);
        padded += ends + side;
        for (size_t v = 0; v < shape.height; v++) {
            memcpy(padded, x, row * sizeof *padded);
            memset(padded + row, 0, 2 * side * sizeof *padded);
            padded += row + 2 * side;
            x += row;
        }
        memset(padded, 0, (ends - side) * sizeof *padded);
        padded += ends - side;
    }
}

/* ---- Entry points ---- */

/* y (to) = x (from), with `padding` around it, times packed weights */
static void convolve(float *y, const float *x, const float *packed, struct image_shape to,
                     struct image_shape from, size_t kernel, size_t padding,
                     float *scratch, enum simd_level level)
{
    add_border(scratch, x, from, padding);
    const size_t row = (to.width + kernel - 1) * LANES;
    struct correlation job = {.x = scratch,
                              .x_plane = (to.height + kernel - 1) * row,
                              .x_row = row,
                              .inputs = from.channels,
                              .outputs = to.channels,
                              .kernel = kernel,
                              .height = to.height,
                              .width = to.width,
                              .y_plane = to.height * to.width * LANES};
    SIMD_CALL(level, correlate, &job, y, packed);
}

void conv_forward_level(const struct conv *conv, float *y, const float *x,
                        const float *packed, float *scratch, enum simd_level level)
{
    size_t padding = conv->transposed ? conv->kernel - 1 - conv->padding : conv->padding;
    convolve(y, x, packed, conv->out, conv->in, conv->kernel, padding, scratch, level);
}

void conv_backward_level(const struct conv *conv, float *dx, const float *dy,
                         const float *packed, float *scratch, enum simd_level level)
{
    size_t padding = conv->transposed ? conv->padding : conv->kernel - 1 - conv->padding;
    convolve(dx, dy, packed, conv->in, conv->out, conv->kernel, padding, scratch, level);
}

/* Rows of a strip: BLOCK channels of a and one of padded b. */
static size_t strip_rows(size_t width, size_t kernel)
{
    size_t border = (kernel - 1) * (width + kernel - 1) * LANES;
    size_t row = (BLOCK * width + width + kernel - 1) * LANES;
    size_t rows = border < STRIP_FLOATS ? (STRIP_FLOATS - border) / row : 0;
    return rows > 0 ? rows : 1;
}

void conv_backward_weights_level(const struct conv *conv, float *dweight, const float *dy,
                                 const float *x, float *scratch, enum simd_level level)
{
    const struct image_shape a = conv->transposed ? conv->in : conv->out;
    const struct image_shape b = conv->transposed ? conv->out : conv->in;
    add_border(scratch, conv->transposed ? dy : x, b, conv->padding);
    const size_t row = (a.width + conv->kernel - 1) * LANES;
    const size_t plane = (a.height + conv->kernel - 1) * row;
    struct gradient job = {.dweight = dweight,
                           .sums = scratch + b.channels * plane,
                           .a = conv->transposed ? x : dy,
                           .b = scratch,
                           .a_channels = a.channels,
                           .b_channels = b.channels,
                           .kernel = conv->kernel,
                           .height = a.height,
                           .width = a.width,
                           .a_plane = a.height * a.width * LANES,
                           .b_plane = plane,
                           .b_row = row,
                           .strip = strip_rows(a.width, conv->kernel)};
    SIMD_CALL(level, gradient, job);
}

void conv_forward(const struct conv *conv, float *y, const float *x, const float *packed,
                  float *scratch)
{
    conv_forward_level(conv, y, x, packed, scratch, simd_level());
}

void conv_backward(const struct conv *conv, float *dx, const float *dy,
                   const float *packed, float *scratch)
{
    conv_backward_level(conv, dx, dy, packed, scratch, simd_level());
}

void conv_backward_weights(const struct conv *conv, float *dweight, const float *dy,
                           const float *x, float *scratch)
{
    conv_backward_weights_level(conv, dweight, dy, x, scratch, simd_level());
}
