/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense float matrices, row-major, and the one door to BLAS. Products of small matrices
 * run in a register-tiled kernel, larger ones, which training is made of, in one that
 * works by blocks (nn/blocked.h); only the largest, of 2^26 multiplications and more, in
 * OpenBLAS, and only where its kernels are as wide as this machine's vectors: of CPUs
 * that came after it OpenBLAS knows nothing and takes its narrowest. In each an element
 * of a product is summed in an order that does not depend on which other rows are in the
 * matrix, as long as the kernel is the same. One thread; any number of callers at once.
 */
#ifndef NN_MATRIX_H
#define NN_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/simd.h"

/* Pins OpenBLAS to one thread, so that results are bit-identical and concurrent callers
 * do not slow each other. DEEPSAD_UNSUPPORTED for the OpenMP variant unless
 * OMP_NUM_THREADS=1 is in the environment: it cannot be pinned from within. Idempotent,
 * thread-safe; call it before any product. */
int matrix_blas_init(struct deepsad_error *error);

/* "OpenBLAS 0.3.21 pthread, core SkylakeX, 16 lanes": results are bit-identical
 * between machines only where this is equal. Static text. */
const char *matrix_blas_description(void);

/* Whether OpenBLAS's kernels for a core of this name use the widest vectors of `level`:
 * the rule by which it is used. Names that are not known are taken for the narrowest. */
bool matrix_blas_is_wide(const char *core, enum simd_level level);

/* *out = (rows, columns) zeros, aligned to SIMD_ALIGN; free() it. At least one element
 * long, so that it is never NULL on success. */
int matrix_new(float **out, size_t rows, size_t columns, const char *what,
               struct deepsad_error *error);

/* c (m, n) = a (m, k) b (k, n). No two may overlap, here and below. */
void matrix_multiply(float *c, const float *a, const float *b, size_t m, size_t k,
                     size_t n);

/* c (k, n) = a^T b; a (m, k), b (m, n). */
void matrix_multiply_at(float *c, const float *a, const float *b, size_t m, size_t k,
                        size_t n);

/* c (m, k) = a b^T; a (m, n), b (k, n); scratch (n, k). */
void matrix_multiply_bt(float *c, const float *a, const float *b, size_t m, size_t n,
                        size_t k, float *scratch);

/* out (columns, rows) = a^T; a (rows, columns). */
void matrix_transpose(float *out, const float *a, size_t rows, size_t columns);

/* a (rows, columns): row (columns) added to each of its rows. */
void matrix_add_row(float *a, const float *row, size_t rows, size_t columns);

/* sums (columns) = sum over the rows of a (rows, columns), in double. */
void matrix_column_sums(float *sums, const float *a, size_t rows, size_t columns);

/* out (count, columns) = the rows of a (*, columns) that index (count) names. */
void matrix_gather(float *out, const float *a, const size_t *index, size_t count,
                   size_t columns);

#endif
