/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A convolution (stride 1) laid out for scoring one image at a time:
 *
 *     y[o][v][u] = f(bias[o] + sum_{i, p, q} w[o][i][p][q] x[i][v + p][u + q])
 *
 * with x in a frame of zeros, so that no pixel is a special case. The lanes of a vector
 * are neighbouring pixels of a row, of images up to 8 wide those of two rows; each weight
 * multiplies some vectors of pixels. So a layer of 1 channel is as good as one of 128, an
 * image lies as in torch, and any image can be alone. Each output is one chain of
 * multiply-adds from its bias on, over i, p, q in this order.
 */
#ifndef NN_PACKED_CONV_H
#define NN_PACKED_CONV_H

#include <stddef.h>

#include "base/error.h"
#include "nn/architecture.h"
#include "nn/packed.h"
#include "nn/packed_image.h"

struct packed_conv {
    struct image_shape in, out;
    size_t kernel;
    size_t padding; /* rows above and columns left of the image: as torch's argument; of a
                       transposed convolution kernel - 1 - torch's */
    size_t taps;    /* of an output: in.channels * kernel * kernel */
    enum packed_activation activation;
    float *weight; /* groups of outputs, packed_conv_index() */
    float *bias;   /* (out.channels) */
};

/* Weights and bias all 0. out = in + 2 padding - kernel + 1 on each side. */
int packed_conv_init(struct packed_conv *conv, const struct packed_conv *shape,
                     struct deepsad_error *error);
void packed_conv_done(struct packed_conv *conv);

/* Index in conv->weight of the weight of `output` for `tap`, (i * kernel + p) * kernel +
 * q
 */
size_t packed_conv_index(const struct packed_conv *conv, size_t output, size_t tap);

/* How x lies in its frame: floats in all, the index of pixel (0, 0, 0), rows and planes.
 * What is outside the image has to be 0. */
size_t packed_conv_frame_size(const struct packed_conv *conv);
size_t packed_conv_origin(const struct packed_conv *conv);
struct packed_layout packed_conv_frame(const struct packed_conv *conv);

/* How y lies: rows have some floats more than pixels, which mean nothing. */
size_t packed_conv_output_size(const struct packed_conv *conv);
struct packed_layout packed_conv_output(const struct packed_conv *conv);

/* y of one image x in its frame; y is 64-byte aligned. */
void packed_conv_forward(const struct packed_conv *conv, float *y, const float *frame);

/* packed_conv_forward by the kernel of one instruction set, which the machine must have.
 */
void packed_conv_forward_level(const struct packed_conv *conv, float *y,
                               const float *frame, enum simd_level level);

#endif
