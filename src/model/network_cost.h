/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network of an architecture takes, known before any memory is asked for: of files
 * that are not trusted, and of training whose end is to be foretold.
 */
#ifndef MODEL_NETWORK_COST_H
#define MODEL_NETWORK_COST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "nn/architecture.h"

/* Values that a row may have between two steps, and weights in all, at most: more is a
 * mistake, or an attack. */
enum { NETWORK_COST_VALUES_MAX = 1 << 24, NETWORK_COST_WEIGHTS_MAX = 1 << 28 };

struct network_cost {
    double weights;  /* without biases */
    double filters;  /* those of convolutions */
    double values;   /* that a row has between the steps, in all */
    double products; /* multiplications and additions of one row on its way forward */
};

/* Of the encoder, and with `decoder` of the autoencoder: an architecture that
 * architecture_check() took. DEEPSAD_INVALID where a step has too many values, or the
 * network too many weights. */
int network_cost_architecture(struct network_cost *out,
                              const struct architecture *architecture,
                              struct image_shape input, bool decoder,
                              struct deepsad_error *error);

/* Bytes that training takes, about, with batches of so many rows: the rows' values there
 * and back, weights with gradients and moments, and the convolutions' gradients by group
 * of rows (nn/lanes.h). */
double network_cost_memory(const struct network_cost *cost, size_t rows);

#endif
