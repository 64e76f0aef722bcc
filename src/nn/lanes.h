/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images in training: 16 samples side by side, a sample to a lane of the vectors. A group
 * of up to 16 samples of an image (channels, height, width) is (channels, height, width,
 * LANES) floats, 64-byte aligned; lanes beyond the group's samples are 0 and stay 0. So
 * every operation on images is vertical: no size is too narrow for the vectors, no layout
 * is better for one layer than for the next. A batch is its groups one after the other.
 * Functions work on one group, from several threads on several groups.
 */
#ifndef NN_LANES_H
#define NN_LANES_H

#include <stddef.h>

#include "nn/architecture.h"

enum { LANES = 16 };

/* Groups of a batch. */
static inline size_t lanes_groups(size_t rows)
{
    return (rows + LANES - 1) / LANES;
}

/* lanes (width, LANES) of rows (count, width), count <= LANES. */
void lanes_from_rows(float *lanes, const float *rows, size_t count, size_t width);
/* rows (count, width) of lanes (width, LANES). */
void lanes_to_rows(float *rows, const float *lanes, size_t count, size_t width);

/* ---- Batch norm, leaky ReLU and a change of size, in one ----
 *
 * What comes between two convolutions, of one channel of one group: z (in) becomes
 *
 *     y (out) = resize(leaky((z - mean) inverse_std))
 *
 * where any of the three may be missing. All of them are monotone, so a pooled y tells
 * of its maximum all that the way back needs, and nothing of z's size is kept but z. */

enum lanes_resize {
    LANES_SAME,
    LANES_POOL,     /* maximum of 2 x 2, floor; of equal values the first, row by row */
    LANES_UPSAMPLE, /* nearest: a side becomes twice as long, or one more than that */
};

struct lanes_side {
    size_t height, width;
};

struct lanes_tail {
    enum lanes_resize resize;
    struct lanes_side in, out;
    float slope; /* of the leaky ReLU, > 0; 1 = none */
};

/* Of one channel; (0, 1) = no batch norm. */
struct lanes_norm {
    float mean, inverse_std;
};

/* mean of z (pixels, LANES) over the pixels and the first `count` lanes, and the sum of
 * the squared deviations from it. */
struct lanes_moments {
    double mean, squares;
};
void lanes_moments(struct lanes_moments *out, const float *z, size_t pixels,
                   size_t count);

void lanes_tail_forward(float *y, const float *z, const struct lanes_tail *tail,
                        struct lanes_norm norm, size_t count);

/* The way back has two parts, as batch norm needs sums over the batch in between. The
 * first makes g, the gradient by the leaky ReLU's input, of y and dy (out): (out), but of
 * an upsampling (in). g may lie over y, where it begins no later than that. sums: over
 * the first `count` lanes of g, and of g times the normalised value. */
struct lanes_sums {
    double g, product;
};
void lanes_tail_gradient(struct lanes_sums *sums, float *g, const float *y,
                         const float *dy, const struct lanes_tail *tail, size_t count);

/* The second makes dz (in) of g: dz = inverse_std (g - mean_g - n mean_product), n the
 * normalised z, g 0 where a pool took another value. Without batch norm both means are 0.
 */
struct lanes_means {
    float g, product;
};
void lanes_tail_backward(float *dz, const float *z, const float *g,
                         const struct lanes_tail *tail, struct lanes_norm norm,
                         struct lanes_means means, size_t count);

/* sum (count) += part (count) */
void lanes_add(float *sum, const float *part, size_t count);

#endif
