/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranking measures sort once and walk over groups of equal scores; counts are exact
 * integers, so the only rounding is in the last division.
 */
#include "nn/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/simd.h"

/* ---- Ranking ---- */

struct ranked {
    float score;
    unsigned char anomalous;
};

/* Highest score first; NaN, which no scorer gives, counts as the lowest. */
static int by_falling_score(const void *a, const void *b)
{
    float x = ((const struct ranked *)a)->score;
    float y = ((const struct ranked *)b)->score;
    if (isnan(x) || isnan(y)) {
        return (isnan(x) != 0) - (isnan(y) != 0);
    }
    return (x < y) - (x > y);
}

static int rank(struct ranked **out, const float *scores, const unsigned char *anomalous,
                size_t count, struct deepsad_error *error)
{
    struct ranked *ranked = calloc(count + 1, sizeof *ranked);
    if (ranked == NULL) {
        return error_no_memory(error, "ranking scores");
    }
    for (size_t i = 0; i < count; i++) {
        ranked[i] = (struct ranked){scores[i], anomalous[i]};
    }
    qsort(ranked, count, sizeof *ranked, by_falling_score);
    *out = ranked;
    return DEEPSAD_OK;
}

/* Rows of one score, from *at on. */
struct group {
    size_t anomalies, normals;
};

static struct group next_group(const struct ranked *ranked, size_t count, size_t *at)
{
    struct group group = {0};
    size_t first = *at;
    while (*at < count && by_falling_score(&ranked[first], &ranked[*at]) == 0) {
        group.anomalies += ranked[*at].anomalous != 0;
        group.normals += ranked[*at].anomalous == 0;
        ++*at;
    }
    return group;
}

int metrics_auc_roc(double *auc, const float *scores, const unsigned char *anomalous,
                    size_t count, struct deepsad_error *error)
{
    struct ranked *ranked = NULL;
    int status = rank(&ranked, scores, anomalous, count, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    double half_pairs = 0; /* 2 x pairs in the right order, ties 1: exact to 2^53 */
    size_t anomalies = 0;
    size_t normals = 0;
    for (size_t at = 0; at < count;) {
        struct group group = next_group(ranked, count, &at);
        half_pairs += (double)group.normals * (double)(2 * anomalies + group.anomalies);
        anomalies += group.anomalies;
        normals += group.normals;
    }
    *auc = anomalies > 0 && normals > 0
               ? half_pairs / (2 * (double)anomalies * (double)normals)
               : (double)NAN;
    free(ranked);
    return DEEPSAD_OK;
}

int metrics_average_precision(double *ap, const float *scores,
                              const unsigned char *anomalous, size_t count,
                              struct deepsad_error *error)
{
    struct ranked *ranked = NULL;
    int status = rank(&ranked, scores, anomalous, count, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    double sum = 0; /* of precision x anomalies of the group */
    size_t found = 0;
    for (size_t at = 0; at < count;) {
        struct group group = next_group(ranked, count, &at);
        found += group.anomalies;
        sum += (double)group.anomalies * (double)found / (double)at;
    }
    *ap = found > 0 ? sum / (double)found : (double)NAN;
    free(ranked);
    return DEEPSAD_OK;
}

/* ---- Entropy ---- */

#define ENTROPY_RIDGE 1e-6
#define LOG_TWO_PI_E 2.8378770664093454836 /* log(2 pi e) */

/* sigma's lower triangle += d d^T */
SIMD_CLONES
static void add_outer(double *sigma, const double *restrict d, size_t dimensions)
{
    for (size_t j = 0; j < dimensions; j++) {
        double *restrict row = sigma + j * dimensions;
        for (size_t k = 0; k <= j; k++) {
            row[k] += d[j] * d[k];
        }
    }
}

/* Lower triangle of Sigma + ridge I; mean and deviation (dimensions) are scratch, all
 * zeroed. */
static void covariance(double *sigma, double *mean, double *deviation, const float *rows,
                       size_t count, size_t dimensions)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < dimensions; j++) {
            mean[j] += (double)rows[i * dimensions + j];
        }
    }
    for (size_t j = 0; j < dimensions; j++) {
        mean[j] /= (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < dimensions; j++) {
            deviation[j] = (double)rows[i * dimensions + j] - mean[j];
        }
        add_outer(sigma, deviation, dimensions);
    }
    for (size_t j = 0; j < dimensions; j++) {
        for (size_t k = 0; k <= j; k++) {
            sigma[j * dimensions + k] /= (double)count;
        }
        sigma[j * dimensions + j] += ENTROPY_RIDGE;
    }
}

/* log det by Cholesky, in place of the lower triangle, of a matrix whose eigenvalues are
 * at least `floor`. No pivot is below the least eigenvalue; where rounding says
 * otherwise, `floor` stands in. */
static double log_determinant(double *a, size_t dimensions, double floor)
{
    double log_det = 0;
    for (size_t j = 0; j < dimensions; j++) {
        double *row = a + j * dimensions;
        for (size_t k = 0; k < j; k++) {
            const double *pivot_row = a + k * dimensions;
            double sum = row[k];
            for (size_t i = 0; i < k; i++) {
                sum -= row[i] * pivot_row[i];
            }
            row[k] = sum / pivot_row[k];
        }
        double pivot = row[j];
        for (size_t i = 0; i < j; i++) {
            pivot -= row[i] * row[i];
        }
        pivot = pivot > floor ? pivot : floor;
        row[j] = sqrt(pivot);
        log_det += log(pivot);
    }
    return log_det;
}

int metrics_gaussian_entropy(double *entropy, const float *rows, size_t count,
                             size_t dimensions, struct deepsad_error *error)
{
    if (count < 2 || dimensions == 0) {
        *entropy = (double)NAN;
        return DEEPSAD_OK;
    }
    size_t cells = 0;
    if (__builtin_mul_overflow(dimensions, dimensions, &cells) ||
        __builtin_add_overflow(cells, 2 * dimensions, &cells)) {
        return error_no_memory(error, "a covariance matrix");
    }
    double *sigma = calloc(cells, sizeof *sigma);
    if (sigma == NULL) {
        return error_no_memory(error, "a covariance matrix");
    }
    double *mean = sigma + dimensions * dimensions;
    covariance(sigma, mean, mean + dimensions, rows, count, dimensions);
    *entropy = 0.5 * ((double)dimensions * LOG_TWO_PI_E +
                      log_determinant(sigma, dimensions, ENTROPY_RIDGE));
    free(sigma);
    return DEEPSAD_OK;
}
