/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measured on one core with AVX-512, whose limit is about 175 GFLOP/s: 16 to 32 channels
 * on 14 x 14 pixels, 5 x 5: 148; 1 to 16 on 28 x 28: 103; 32 to 64 on 16 x 16: 173; 64 to
 * 128 on 8 x 8: 146; 16 to 1 on 28 x 28, where each multiply-add loads its pixels: 58.
 * With channels in the lanes, pixels last, layers of 1 to 8 channels would waste half of
 * the lanes and more, and images would have to be turned.
 */
#include "nn/packed_conv.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    GROUP = 8,   /* outputs at a time; what is left over is a group of 4, of 2 and of 1 */
    NARROW = 8,  /* images up to so wide: two rows to a vector of AVX-512 */
    VECTOR = 16, /* the longest vector, floats */
};

static const float leaky_slope = 0.01F;

int packed_conv_init(struct packed_conv *conv, const struct packed_conv *shape,
                     struct deepsad_error *error)
{
    size_t taps = 0, floats = 0, bytes = 0;
    if (image_size(shape->in) == 0 || image_size(shape->out) == 0 || shape->kernel == 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "a convolution needs images and a kernel");
    }
    if (__builtin_mul_overflow(shape->kernel, shape->kernel, &taps) ||
        __builtin_mul_overflow(taps, shape->in.channels, &taps) ||
        __builtin_mul_overflow(taps + 1, shape->out.channels, &floats) ||
        __builtin_mul_overflow(floats, sizeof(float), &bytes) ||
        bytes > SIZE_MAX - SIMD_ALIGN) {
        return error_no_memory(error, "a convolution");
    }
    float *block = aligned_alloc(SIMD_ALIGN, simd_round_up(floats) * sizeof(float));
    if (block == NULL) {
        return error_no_memory(error, "a convolution");
    }
    memset(block, 0, bytes);
    *conv = *shape;
    conv->taps = taps;
    conv->weight = block;
    conv->bias = block + taps * shape->out.channels;
    return DEEPSAD_OK;
}

void packed_conv_done(struct packed_conv *conv)
{
    free(conv->weight); /* the bias lies behind it */
    *conv = (struct packed_conv){0};
}

/* Outputs of the group that starts at `output`. */
static inline size_t group_size(const struct packed_conv *conv, size_t output)
{
    size_t left = conv->out.channels - output;
    size_t size = GROUP;
    while (size > left) {
        size /= 2;
    }
    return size;
}

size_t packed_conv_index(const struct packed_conv *conv, size_t output, size_t tap)
{
    size_t start = output - output % GROUP;
    size_t size = group_size(conv, start);
    while (output >= start + size) {
        start += size;
        size = group_size(conv, start);
    }
    return start * conv->taps + tap * size + (output - start);
}

/* ---- Where pixels lie ---- */

struct packed_layout packed_conv_frame(const struct packed_conv *conv)
{
    size_t pitch = conv->out.width + conv->kernel - 1;
    return (struct packed_layout){pitch, pitch * (conv->out.height + conv->kernel - 1)};
}

size_t packed_conv_frame_size(const struct packed_conv *conv)
{
    struct packed_layout frame = packed_conv_frame(conv);
    /* vectors that begin in the last rows end a row and a vector later at the most */
    return simd_round_up(conv->in.channels * frame.plane + frame.pitch + VECTOR);
}

size_t packed_conv_origin(const struct packed_conv *conv)
{
    return conv->padding * (packed_conv_frame(conv).pitch + 1);
}

struct packed_layout packed_conv_output(const struct packed_conv *conv)
{
    size_t width = conv->out.width;
    size_t pitch = width <= NARROW ? NARROW : simd_round_up(width);
    return (struct packed_layout){pitch, simd_round_up(pitch * conv->out.height)};
}

size_t packed_conv_output_size(const struct packed_conv *conv)
{
    return conv->out.channels * packed_conv_output(conv).plane;
}

/* ---- Kernels ---- */

/* What a call works on. */
struct pass {
    const struct packed_conv *conv;
    float *y;
    const float *x;
    struct packed_layout to, from;
    size_t vectors; /* of a row; 0 = rows in pairs */
};

typedef float half __attribute__((vector_size(8 * sizeof(float)), aligned(4)));

#define NAME(x) x##_baseline
#define TARGET
#define FLOATS 4
#define TILE_8 1
#define TILE_4 2
#define TILE_2 4
#define TILE_1 8
#include "nn/packed_conv_kernel.inc"

#if SIMD_X86
#define NAME(x) x##_avx2
#define TARGET SIMD_TARGET_AVX2
#define FLOATS 8
#define TILE_8 1
#define TILE_4 3
#define TILE_2 4
#define TILE_1 8
#include "nn/packed_conv_kernel.inc"

#define NAME(x) x##_avx512
#define TARGET SIMD_TARGET_AVX512
#define FLOATS 16
#define TILE_8 3
#define TILE_4 4
#define TILE_2 8
#define TILE_1 8
#include "nn/packed_conv_kernel.inc"
#endif

void packed_conv_forward_level(const struct packed_conv *conv, float *y,
                               const float *frame, enum simd_level level)
{
    struct pass pass = {.conv = conv,
                        .y = y,
                        .x = frame,
                        .to = packed_conv_output(conv),
                        .from = packed_conv_frame(conv)};
    SIMD_CALL(level, convolve, &pass);
    if (conv->activation == PACKED_SIGMOID) {
        packed_sigmoid(y, packed_conv_output_size(conv));
    }
}

void packed_conv_forward(const struct packed_conv *conv, float *y, const float *frame)
{
    packed_conv_forward_level(conv, y, frame, simd_level());
}
