/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions (stride 1) of groups of images in lanes (nn/lanes.h), forward and the two
 * ways back. A transposed convolution is one with mirrored weights and other padding, and
 * the way back to the input of one is the other: all are one correlation kernel
 *
 *     y[o][v][u] = sum_{i, p, q} w[o][i][p][q] x[i][v + p - pad][u + q - pad]
 *
 * over registers of 16 samples, and one kernel that sums w's gradient. Sums are in a
 * fixed order, whatever the number of threads.
 */
#ifndef NN_CONV_H
#define NN_CONV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/simd.h"
#include "nn/lanes.h"

struct conv {
    struct image_shape in, out;
    size_t kernel;   /* odd side */
    size_t padding;  /* as torch's argument; <= kernel - 1 */
    bool transposed; /* torch.nn.ConvTranspose2d; else Conv2d */
};

/* Weights as torch has them: (out.channels, in.channels, kernel, kernel), transposed
 * (in.channels, out.channels, kernel, kernel). */
static inline size_t conv_weights(const struct conv *conv)
{
    return conv->out.channels * conv->in.channels * conv->kernel * conv->kernel;
}

/* Weights laid out for the kernel, once per step for all groups; 64-byte aligned floats,
 * as many as conv_packed_size(). */
size_t conv_packed_size(const struct conv *conv);
void conv_pack_forward(const struct conv *conv, float *packed, const float *weight);
void conv_pack_backward(const struct conv *conv, float *packed, const float *weight);

/* Floats of scratch of any call below; 64-byte aligned, one per thread. SIZE_MAX where
 * the number is too large for a size. */
size_t conv_scratch(const struct conv *conv);

/* y (out, LANES) of x (in, LANES): one group. */
void conv_forward(const struct conv *conv, float *y, const float *x, const float *packed,
                  float *scratch);
/* dx (in, LANES) of dy (out, LANES). */
void conv_backward(const struct conv *conv, float *dx, const float *dy,
                   const float *packed, float *scratch);
/* dweight (conv_weights(), torch's layout) = the sum over the group's lanes. */
void conv_backward_weights(const struct conv *conv, float *dweight, const float *dy,
                           const float *x, float *scratch);

/* The same by the kernels of one instruction set, which the machine must have. */
void conv_forward_level(const struct conv *conv, float *y, const float *x,
                        const float *packed, float *scratch, enum simd_level level);
void conv_backward_level(const struct conv *conv, float *dx, const float *dy,
                         const float *packed, float *scratch, enum simd_level level);
void conv_backward_weights_level(const struct conv *conv, float *dweight, const float *dy,
                                 const float *x, float *scratch, enum simd_level level);

#endif
