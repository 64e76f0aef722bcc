/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/layer.h"

#include <math.h>

#include "base/simd.h"
#include "nn/matrix.h"

/* ---- Dense ---- */

void layer_dense_forward(float *y, const float *x, const float *w, const float *b,
                         size_t rows, size_t inputs, size_t outputs)
{
    matrix_multiply(y, x, w, rows, inputs, outputs);
    if (b != NULL) {
        matrix_add_row(y, b, rows, outputs);
    }
}

void layer_dense_backward(float *dx, float *dw, float *db, const float *dy,
                          const float *x, const float *w, size_t rows, size_t inputs,
                          size_t outputs, float *scratch)
{
    matrix_multiply_at(dw, x, dy, rows, inputs, outputs);
    if (db != NULL) {
        matrix_column_sums(db, dy, rows, outputs);
    }
    if (dx != NULL) {
        matrix_multiply_bt(dx, dy, w, rows, outputs, inputs, scratch);
    }
}

/* ---- Batch norm ---- */

/* Columns are worked off in strips that fit registers; sums over rows are in double. */
enum { STRIP = 16 };

SIMD_CLONES
void layer_batch_norm_train(float *y, float *inverse_std, float *running_mean,
                            float *running_variance, const float *x, size_t rows,
                            size_t width)
{
    for (size_t first = 0; first < width; first += STRIP) {
        size_t strip = width - first < STRIP ? width - first : STRIP;
        double sum[STRIP] = {0};
        double squares[STRIP] = {0};
        float mean[STRIP] = {0};
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < strip; j++) {
                sum[j] += (double)x[i * width + first + j];
            }
        }
        for (size_t j = 0; j < strip; j++) {
            mean[j] = (float)(sum[j] / (double)rows);
        }
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < strip; j++) {
                float centered = x[i * width + first + j] - mean[j];
                squares[j] += (double)centered * (double)centered;
            }
        }
        for (size_t j = 0; j < strip; j++) {
            size_t at = first + j;
            float variance = (float)(squares[j] / (double)rows);
            float unbiased = (float)(squares[j] / (double)(rows - 1));
            inverse_std[at] = 1 / sqrtf(variance + LAYER_BATCH_NORM_EPSILON);
            running_mean[at] += LAYER_BATCH_NORM_MOMENTUM * (mean[j] - running_mean[at]);
            running_variance[at] +=
                LAYER_BATCH_NORM_MOMENTUM * (unbiased - running_variance[at]);
        }
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < strip; j++) {
                size_t at = i * width + first + j;
                y[at] = (x[at] - mean[j]) * inverse_std[first + j];
            }
        }
    }
}

SIMD_CLONES
void layer_batch_norm_eval(float *y, const float *running_mean,
                           const float *running_variance, const float *x, size_t rows,
                           size_t width)
{
    for (size_t first = 0; first < width; first += STRIP) {
        size_t strip = width - first < STRIP ? width - first : STRIP;
        float inverse_std[STRIP];
        for (size_t j = 0; j < strip; j++) {
            inverse_std[j] =
                1 / sqrtf(running_variance[first + j] + LAYER_BATCH_NORM_EPSILON);
        }
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < strip; j++) {
                size_t at = i * width + first + j;
                y[at] = (x[at] - running_mean[first + j]) * inverse_std[j];
            }
        }
    }
}

SIMD_CLONES
void layer_batch_norm_backward(float *dx, const float *dy, const float *y,
                               const float *inverse_std, size_t rows, size_t width)
{
    for (size_t first = 0; first < width; first += STRIP) {
        size_t strip = width - first < STRIP ? width - first : STRIP;
        double sum[STRIP] = {0};
        double product[STRIP] = {0};
        float mean[STRIP] = {0};
        float slope[STRIP] = {0};
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < strip; j++) {
                size_t at = i * width + first + j;
                sum[j] += (double)dy[at];
                product[j] += (double)dy[at] * (double)y[at];
            }
        }
        for (size_t j = 0; j < strip; j++) {
            mean[j] = (float)(sum[j] / (double)rows);
            slope[j] = (float)(product[j] / (double)rows);
        }
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < strip; j++) {
                size_t at = i * width + first + j;
                dx[at] = (dy[at] - mean[j] - y[at] * slope[j]) * inverse_std[first + j];
            }
        }
    }
}

/* ---- Leaky ReLU ---- */

SIMD_CLONES
void layer_leaky_relu_forward(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        y[i] = x[i] > 0 ? x[i] : LAYER_LEAKY_SLOPE * x[i];
    }
}

SIMD_CLONES
void layer_leaky_relu_backward(float *dx, const float *dy, const float *y, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dx[i] = y[i] > 0 ? dy[i] : LAYER_LEAKY_SLOPE * dy[i];
    }
}

/* ---- Sigmoid ---- */

void layer_sigmoid_forward(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        y[i] = 1 / (1 + expf(-x[i]));
    }
}

SIMD_CLONES
void layer_sigmoid_backward(float *dx, const float *dy, const float *y, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dx[i] = dy[i] * y[i] * (1 - y[i]);
    }
}
