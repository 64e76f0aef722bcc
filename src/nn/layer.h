/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each kind of layer computes, forward and backward side by side. Pure functions on
 * float blocks; x and dx are (rows, inputs), y and dy (rows, outputs), row-major. Forward
 * and backward may work in place where it says so.
 */
#ifndef NN_LAYER_H
#define NN_LAYER_H

#include <stddef.h>

#define LAYER_BATCH_NORM_EPSILON 1e-4F
#define LAYER_BATCH_NORM_MOMENTUM 0.1F
#define LAYER_LEAKY_SLOPE 0.01F

/* y = x w + b; w (inputs, outputs), b (outputs) or NULL */
void layer_dense_forward(float *y, const float *x, const float *w, const float *b,
                         size_t rows, size_t inputs, size_t outputs);
/* dw = x^T dy, db = sum over rows of dy, dx = dy w^T. db and dx may be NULL: not wanted.
 * scratch (inputs * outputs). */
void layer_dense_backward(float *dx, float *dw, float *db, const float *dy,
                          const float *x, const float *w, size_t rows, size_t inputs,
                          size_t outputs, float *scratch);

/* y = (x - mean) / sqrt(variance + 1e-4) over the batch, variance biased;
 * running = 0.9 running + 0.1 (mean, unbiased variance). inverse_std (width) is kept for
 * the way back. At least 2 rows. */
void layer_batch_norm_train(float *y, float *inverse_std, float *running_mean,
                            float *running_variance, const float *x, size_t rows,
                            size_t width);
/* The same by the running statistics. */
void layer_batch_norm_eval(float *y, const float *running_mean,
                           const float *running_variance, const float *x, size_t rows,
                           size_t width);
/* dx = inverse_std (dy - mean(dy) - y mean(dy y)); y is the forward's output. dx may be
 * dy. */
void layer_batch_norm_backward(float *dx, const float *dy, const float *y,
                               const float *inverse_std, size_t rows, size_t width);

/* y = x > 0 ? x : 0.01 x; y may be x */
void layer_leaky_relu_forward(float *y, const float *x, size_t count);
/* dx = y > 0 ? dy : 0.01 dy (y has the sign of x); dx may be dy */
void layer_leaky_relu_backward(float *dx, const float *dy, const float *y, size_t count);

/* y = 1 / (1 + exp(-x)); y may be x */
void layer_sigmoid_forward(float *y, const float *x, size_t count);
/* dx = dy y (1 - y); dx may be dy */
void layer_sigmoid_backward(float *dx, const float *dy, const float *y, size_t count);

#endif
