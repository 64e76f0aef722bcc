/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each feature has in a nearest-neighbour score, exactly: with c_i the nearest of
 * member i's rows and g_i = v_i / (1 + v_i) its part of the score,
 *
 *     a_j = mean_i g_i (x_j - c_ij)^2 / sum_k (x_k - c_ik)^2,   sum_j a_j = score(x)
 */
#ifndef NN_NEIGHBOURS_SHARES_H
#define NN_NEIGHBOURS_SHARES_H

#include "nn/neighbours.h"

/* shares (features) >= 0 of one row z (features). Of rows equally near the first counts.
 * A member whose distance is 0 or not finite has no shares. Allocates nothing. */
void neighbours_shares(const struct neighbours *neighbours, float *shares,
                       const float *z);

#endif
