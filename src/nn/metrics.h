/* SPDX-License-Identifier: Apache-2.0 */
/* Measures of a ranking. anomalous (count): 1 = anomalous, 0 = normal. */
#ifndef NN_METRICS_H
#define NN_METRICS_H

#include <stddef.h>

#include "base/error.h"

/* Area under the ROC curve; ties count one half. *auc = NaN where a class is empty. */
int metrics_auc_roc(double *auc, const float *scores, const unsigned char *anomalous,
                    size_t count, struct deepsad_error *error);

/* Average precision: sum over distinct scores of (recall step) x precision, ties as one
 * step, as sklearn.metrics.average_precision_score. */
int metrics_average_precision(double *ap, const float *scores,
                              const unsigned char *anomalous, size_t count,
                              struct deepsad_error *error);

/* Gaussian upper bound of the entropy of rows (count, dimensions), in nats:
 * 1/2 log det(2 pi e (Sigma + 1e-6 I)), Sigma with 1/count. NaN below 2 rows. */
int metrics_gaussian_entropy(double *entropy, const float *rows, size_t count,
                             size_t dimensions, struct deepsad_error *error);

#endif
