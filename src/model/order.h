/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted order of floats, and quantiles from it. */
#ifndef MODEL_ORDER_H
#define MODEL_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* *order (count), malloced: indices of `values` in ascending order, equal values in the
 * order they stand. Values are finite; count < 2^32. Radix sort: a few ns a value. */
int order_ascending(uint32_t **order, const float *values, size_t count,
                    struct deepsad_error *error);

/* The q-quantile (0 <= q <= 1, linear between neighbours) of values in the given
 * ascending order; count > 0. */
double order_quantile(const float *values, const uint32_t *order, size_t count, double q);

#endif
