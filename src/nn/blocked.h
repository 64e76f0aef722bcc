/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices that are too large for the first-level cache, by blocks that fit
 * it. The sum of an element goes over p = 0, 1, ... one after the other, whatever the
 * shape, as in the kernel for small matrices (nn/matrix.c).
 */
#ifndef NN_BLOCKED_H
#define NN_BLOCKED_H

#include <stddef.h>

#include "base/simd.h"

/* at(i, p) = at[i * row + p * step]: a matrix or its transpose, one of the two is 1. */
struct strided {
    const float *at;
    size_t row, step;
};

enum { BLOCKED_ROWS = 8 }; /* m is at least that */

/* c (m, n) = a (m, k) b (k, n), k at least 1. Takes 33 KiB of stack. */
void blocked_multiply(float *c, struct strided a, struct strided b, size_t m, size_t k,
                      size_t n);

/* The same by the kernel of one instruction set, which the machine must have. */
void blocked_multiply_level(float *c, struct strided a, struct strided b, size_t m,
                            size_t k, size_t n, enum simd_level level);

#endif
