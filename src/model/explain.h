/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which features a row's score comes from: deepsad_explain() of deepsad.h. The score's
 * difference from the reference sample's (the training medians) is shared out, component
 * by component:
 *
 * - Networks: integrated gradients along the straight line between the two scaled rows,
 *
 *       c_j = (x_j - r_j) int_0^1 v'(raw(t)) d raw/d x_j (r + t (x - r)) dt
 *
 *   by the trapezoid rule at EXPLAIN_NODES points, v' being the mean slope of v between
 *   two points: then steep logarithms cost nothing, and what is left to correct comes
 *   from the kinks of leaky ReLUs between two points.
 * - Nearest neighbours: in proportion to the exact shares (nn/neighbours_shares.h), among
 *   the features that differ from the reference.
 *
 * What then is missing to the component's exact difference is added in proportion to the
 * parts' sizes, so that base and contributions sum to the score up to rounding.
 */
#ifndef MODEL_EXPLAIN_H
#define MODEL_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "deepsad.h"

/* Against 480 points, on models of 9 to 40 features, the contributions are off by 1 % of
 * the sum of their sizes (4 % for `reference`, whose networks are narrow). */
enum { EXPLAIN_NODES = 16 };

/* order (features): by falling |contribution|, equals by index. */
void explain_order(uint32_t *order, const float *contributions, size_t features);

#endif
