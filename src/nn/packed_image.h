/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to images between convolutions (nn/packed_conv.h): moved from one buffer
 * into another, pooled or upsampled on the way, and the same back for gradients. Images
 * are (channels, height, width), but rows and planes may be further apart.
 */
#ifndef NN_PACKED_IMAGE_H
#define NN_PACKED_IMAGE_H

#include <stddef.h>

#include "nn/architecture.h"

/* Pixel (c, v, u) lies at c * plane + v * pitch + u. */
struct packed_layout {
    size_t pitch, plane;
};

/* Of a row of image_size() floats. */
static inline struct packed_layout packed_dense_layout(struct image_shape shape)
{
    return (struct packed_layout){shape.width, shape.height * shape.width};
}

/* y = x */
void packed_copy(float *y, struct packed_layout to, const float *x,
                 struct packed_layout from, struct image_shape shape);

/* y (channels, height / 2, width / 2) = the maximum of each 2 x 2 of x (shape). */
void packed_pool(float *y, struct packed_layout to, const float *x,
                 struct packed_layout from, struct image_shape shape);

/* y (shape)[v][u] = x[min(v / 2, height - 1)][min(u / 2, width - 1)], x's height and
 * width being half of y's, rounded down. */
void packed_upsample(float *y, struct packed_layout to, const float *x,
                     struct packed_layout from, struct image_shape shape);

/* The ways back: dx of dy. */

/* dx (shape) = 0 but at the first maximum of each 2 x 2 of x. */
void packed_pool_back(float *dx, struct packed_layout to, const float *dy,
                      struct packed_layout dy_layout, const float *x,
                      struct packed_layout x_layout, struct image_shape shape);

/* dx = the sums of what each pixel was copied to; dy (shape). */
void packed_upsample_back(float *dx, struct packed_layout to, const float *dy,
                          struct packed_layout from, struct image_shape shape);

#endif
