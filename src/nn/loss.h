/* SPDX-License-Identifier: Apache-2.0 */
/* The losses of a batch and their gradients by the network's output. */
#ifndef NN_LOSS_H
#define NN_LOSS_H

#include <stddef.h>

/* mean over all `count` elements of (y - x)^2; dy (count) */
double loss_squared_error(float *dy, const float *y, const float *x, size_t count);

/* Deep SAD's batch: d_i = |phi_i - c|^2. */
struct loss_batch {
    const float *phi;          /* (rows, width) */
    const float *center;       /* (width) */
    const signed char *labels; /* (rows): 0, +1, -1 */
    size_t rows, width;
    float *scratch; /* (2 * rows) */
};

/* The epsilon of the inverse distance. */
#define LOSS_EPSILON 1e-6F

/* Equation 7 of the paper in the form of its code:
 * 1/rows sum_i (y_i = 0 ? d_i : eta (d_i + epsilon)^y_i); dphi (rows, width) */
double loss_paper(float *dphi, const struct loss_batch *batch, float eta);

/* mean over kept rows of log(1 + d) + eta * mean over anomalies of 1 / (d + epsilon). The
 * kept rows are those not labelled anomalous, but for floor(trim * unlabeled) of the
 * unlabeled ones with the largest d (contamination trim; of equal d the first rows go).
 * A mean over no rows is 0. */
double loss_log(float *dphi, const struct loss_batch *batch, float eta, float trim);

/* mean of log(1 + exp(-t z)), t = -1 for unlabeled and normal rows, +1 for anomalies, of
 * the logits z (rows); dlogit (rows) */
double loss_cross_entropy(float *dlogit, const float *logit, const signed char *labels,
                          size_t rows);

#endif
