/* SPDX-License-Identifier: Apache-2.0 */
/* Measures of a model on labelled rows. */
#ifndef MODEL_EVALUATE_H
#define MODEL_EVALUATE_H

#include "model/model.h"

/* Latent entropy of those rows of x (*, features), raw, whose label is `label`; at most
 * EVALUATE_ENTROPY_ROWS of them, evenly spread. NaN where the model has no network or
 * there are fewer than 2 rows. labels may be NULL: all 0. */
enum { EVALUATE_ENTROPY_ROWS = 4096 };
int evaluate_entropy(double *entropy, const struct deepsad_model *model, const float *x,
                     const signed char *labels, size_t rows, signed char label,
                     struct deepsad_error *error);

#endif
