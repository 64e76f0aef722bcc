/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gradients of a folded network's scores by the rows themselves, for explanations. So
 * many rows at a time, as the rows are the lanes of the backward pass: it reads the
 * weights as they lie there for scoring, each once for all rows. Images go back row by
 * row; of a pool the gradient goes to the first maximum.
 */
#ifndef NN_FOLDED_GRADIENT_H
#define NN_FOLDED_GRADIENT_H

#include <stddef.h>

#include "nn/folded.h"

enum { FOLDED_GRADIENT_ROWS = 16 };

/* Floats of scratch that a call needs. */
size_t folded_gradient_scratch(const struct folded *folded);

/* Where to add, 64-byte aligned. */
struct folded_gradient {
    float *value;    /* (FOLDED_GRADIENT_ROWS) */
    float *gradient; /* (inputs, FOLDED_GRADIENT_ROWS) */
};

/* Adds factor * |phi(x) - center|^2 and its derivative by x at each of the rows x
 * (FOLDED_GRADIENT_ROWS, inputs); scratch is 64-byte aligned. Where a leaky ReLU's input
 * is 0 its slope is that of the negative side. Not finite where the network's outputs
 * overflow. */
void folded_distance_gradient(const struct folded *folded, const float *center,
                              const struct folded_gradient *out, float factor,
                              const float *x, float *scratch);

/* The same of folded_reconstruction(): the row is the target too. */
void folded_reconstruction_gradient(const struct folded *folded,
                                    const struct folded_gradient *out, float factor,
                                    const float *x, float *scratch);

#endif
