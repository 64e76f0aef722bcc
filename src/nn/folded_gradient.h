/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gradients of a folded network's scores by the rows themselves, for explanations. So
 * many rows at a time, as the rows are the lanes of the backward pass: it reads the
 * weights as they lie there for scoring, each once for all rows.
 */
#ifndef NN_FOLDED_GRADIENT_H
#define NN_FOLDED_GRADIENT_H

#include <stddef.h>

#include "nn/folded.h"

enum { FOLDED_GRADIENT_ROWS = 16 };

/* Floats of scratch that a call needs. */
size_t folded_gradient_scratch(const struct folded *folded);

/* gradient (inputs, FOLDED_GRADIENT_ROWS) += factor * d/dx |phi(x) - center|^2 at each of
 * the rows x (FOLDED_GRADIENT_ROWS, inputs). Gradient and scratch are 64-byte aligned.
 * Where a leaky ReLU's input is 0 its slope is that of the negative side. Not finite
 * where the network's outputs overflow. */
void folded_distance_gradient(const struct folded *folded, const float *center,
                              float *gradient, float factor, const float *x,
                              float *scratch);

/* The same of folded_reconstruction(): the row is the target too. */
void folded_reconstruction_gradient(const struct folded *folded, float *gradient,
                                    float factor, const float *x, float *scratch);

#endif
