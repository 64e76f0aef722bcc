/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For nn/folded_gradient.h: the way back through a chain of image steps, for one row. A
 * convolution's is the convolution `back` of its step; of a pool the gradient goes to the
 * first maximum.
 */
#ifndef NN_FOLDED_CHAIN_GRADIENT_H
#define NN_FOLDED_CHAIN_GRADIENT_H

#include "nn/folded_steps.h"

/* Floats of scratch that a call needs. */
size_t folded_chain_back_scratch(const struct folded *folded);

/* dx, the derivative by the row x that went through the chain [from, to), of dy, that by
 * the chain's outputs; `kept` are the outputs that folded_chain_run() kept. scratch is
 * 64-byte aligned. */
void folded_chain_back(const struct folded *folded, size_t from, size_t to, float *dx,
                       const float *dy, const float *x, const float *kept,
                       float *scratch);

#endif
