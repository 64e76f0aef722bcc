/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/loss.h"

#include <math.h>
#include <stdbool.h>

#include "base/simd.h"

SIMD_CLONES
double loss_squared_error(float *dy, const float *y, const float *x, size_t count)
{
    float scale = 2 / (float)count;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++) {
        float difference = y[i] - x[i];
        sum += (double)difference * (double)difference;
        dy[i] = scale * difference;
    }
    return sum / (double)count;
}

/* dphi = phi - c, and d */
SIMD_CLONES
static void distances(float *dphi, float *d, const struct loss_batch *batch)
{
    const float *restrict center = batch->center;
    size_t width = batch->width;
    for (size_t i = 0; i < batch->rows; i++) {
        const float *restrict phi = batch->phi + i * width;
        float *restrict difference = dphi + i * width;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < width; j++) {
            difference[j] = phi[j] - center[j];
            sum += difference[j] * difference[j];
        }
        d[i] = sum;
    }
}

/* Row i of dphi = phi - c, becomes slope_i * dd/dphi = 2 slope_i (phi - c). */
SIMD_CLONES
static void scale_rows(float *dphi, const float *slope, size_t rows, size_t width)
{
    for (size_t i = 0; i < rows; i++) {
        float scale = 2 * slope[i];
        float *restrict row = dphi + i * width;
        for (size_t j = 0; j < width; j++) {
            row[j] *= scale;
        }
    }
}

double loss_paper(float *dphi, const struct loss_batch *batch, float eta)
{
    float *d = batch->scratch;
    float *slope = batch->scratch + batch->rows;
    float share = 1 / (float)batch->rows;
    double sum = 0;
    distances(dphi, d, batch);
    for (size_t i = 0; i < batch->rows; i++) {
        if (batch->labels[i] == 0) {
            sum += (double)d[i];
            slope[i] = share;
        } else if (batch->labels[i] > 0) {
            sum += (double)(eta * (d[i] + LOSS_EPSILON));
            slope[i] = eta * share;
        } else {
            float inverse = 1 / (d[i] + LOSS_EPSILON);
            sum += (double)(eta * inverse);
            slope[i] = -eta * share * inverse * inverse;
        }
    }
    scale_rows(dphi, slope, batch->rows, batch->width);
    return sum / (double)batch->rows;
}

/* The `count` largest d of the unlabeled rows, ascending, into top (count). */
static void largest_unlabeled(float *top, size_t count, const float *d,
                              const struct loss_batch *batch)
{
    size_t held = 0;
    for (size_t i = 0; i < batch->rows; i++) {
        if (batch->labels[i] != 0 || (held == count && !(d[i] > top[0]))) {
            continue;
        }
        size_t at = held < count ? held++ : 0;
        if (at > 0) { /* still filling: make room from the right */
            for (; at > 0 && top[at - 1] > d[i]; at--) {
                top[at] = top[at - 1];
            }
        } else {
            for (; at + 1 < held && top[at + 1] < d[i]; at++) {
                top[at] = top[at + 1];
            }
        }
        top[at] = d[i];
    }
}

/* kept (rows): 1 for the rows of the first mean, else 0. Returns how many. `top` may lie
 * where kept does. */
static size_t choose_kept(float *kept, const float *d, const struct loss_batch *batch,
                          float trim)
{
    size_t unlabeled = 0;
    for (size_t i = 0; i < batch->rows; i++) {
        unlabeled += batch->labels[i] == 0;
    }
    /* A share that is no float, such as .35, must not lose a row to its rounding. */
    size_t trimmed = (size_t)((double)trim * (1 + 1e-6) * (double)unlabeled);
    float threshold = INFINITY;
    size_t equal = 0; /* rows of d = threshold to leave out */
    if (trimmed > 0) {
        largest_unlabeled(kept, trimmed, d, batch);
        threshold = kept[0];
        while (equal < trimmed && kept[equal] == threshold) {
            equal++;
        }
    }
    size_t count = 0;
    for (size_t i = 0; i < batch->rows; i++) {
        bool leave = batch->labels[i] < 0;
        if (batch->labels[i] == 0 && trimmed > 0) {
            bool tie = d[i] == threshold && equal > 0;
            equal -= tie;
            leave = tie || d[i] > threshold;
        }
        kept[i] = leave ? 0 : 1;
        count += !leave;
    }
    return count;
}

double loss_log(float *dphi, const struct loss_batch *batch, float eta, float trim)
{
    float *d = batch->scratch;
    float *slope = batch->scratch + batch->rows;
    distances(dphi, d, batch);
    size_t kept = choose_kept(slope, d, batch, trim);
    size_t anomalies = 0;
    for (size_t i = 0; i < batch->rows; i++) {
        anomalies += batch->labels[i] < 0;
    }
    float kept_share = kept > 0 ? 1 / (float)kept : 0;
    float anomaly_share = anomalies > 0 ? eta / (float)anomalies : 0;
    double kept_sum = 0;
    double anomaly_sum = 0;
    for (size_t i = 0; i < batch->rows; i++) {
        if (batch->labels[i] < 0) {
            float inverse = 1 / (d[i] + LOSS_EPSILON);
            anomaly_sum += (double)inverse;
            slope[i] = -anomaly_share * inverse * inverse;
        } else if (slope[i] > 0) {
            kept_sum += log1p((double)d[i]);
            slope[i] = kept_share / (1 + d[i]);
        }
    }
    scale_rows(dphi, slope, batch->rows, batch->width);
    return kept_sum * (double)kept_share + anomaly_sum * (double)anomaly_share;
}

double loss_cross_entropy(float *dlogit, const float *logit, const signed char *labels,
                          size_t rows)
{
    double sum = 0;
    for (size_t i = 0; i < rows; i++) {
        double sign = labels[i] < 0 ? 1 : -1;
        double margin = sign * (double)logit[i];
        double small = exp(-fabs(margin)); /* at most 1: no overflow on either side */
        sum += fmax(-margin, 0) + log1p(small);
        double miss = (margin > 0 ? small : 1) / (1 + small); /* 1 / (1 + exp(margin)) */
        dlogit[i] = (float)(-sign * miss / (double)rows);
    }
    return sum / (double)rows;
}
