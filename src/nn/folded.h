/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network made ready for scoring: BatchNorm's running statistics folded into the
 * weights before it, dense layers and activations only, immutable. Small layers run in a
 * kernel of our own, large ones in BLAS; which, by the measured sizes in folded.c.
 */
#ifndef NN_FOLDED_H
#define NN_FOLDED_H

#include <stddef.h>

#include "base/error.h"
#include "nn/network.h"

struct folded;

/* Eval-mode equivalent of the network. */
int folded_from_network(struct folded **out, const struct network *network,
                        struct deepsad_error *error);
void folded_free(struct folded *folded);

size_t folded_inputs(const struct folded *folded);
size_t folded_outputs(const struct folded *folded);

/* Rows are scored in blocks of at most this many. */
enum { FOLDED_BLOCK = 256 };
/* Floats of scratch that a call needs for up to FOLDED_BLOCK rows. */
size_t folded_scratch(const struct folded *folded);

/* out (rows, outputs) = network(x (rows, inputs)); rows <= FOLDED_BLOCK; scratch is
 * 64-byte aligned. */
void folded_forward(const struct folded *folded, float *out, const float *x, size_t rows,
                    float *scratch);

/* distance (rows): |phi(x) - center|^2; center (outputs). */
void folded_distance(const struct folded *folded, const float *center, float *distance,
                     const float *x, size_t rows, float *scratch);

/* error (rows): mean over the features of (network(x) - x)^2, for autoencoders. */
void folded_reconstruction(const struct folded *folded, float *error, const float *x,
                           size_t rows, float *scratch);

#endif
