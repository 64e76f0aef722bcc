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

#endif
