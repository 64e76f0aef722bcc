/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fitting makes two passes in double, first sums, minima and maxima, then squares about
 * the mean, so that columns of timestamps or of 1e30 lose nothing; a third selects each
 * column's median. Applying is an affine loop per row and, for SCALER_ASINH, one flat
 * loop of arithmetic that compilers turn into vectors: each value's result depends on
 * that value alone, so it is the same in any batch.
 */
#include "data/scaler.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"

/* ---- Construction ---- */

int scaler_new(struct scaler *out, enum scaler_kind kind, size_t features,
               struct deepsad_error *error)
{
    if (features == 0 || features > SIZE_MAX / (5 * sizeof(double))) {
        return error_set(error, DEEPSAD_INVALID, "a scaler needs at least one feature");
    }
    float *block = calloc(3 * features, sizeof *block);
    if (block == NULL) {
        return error_no_memory(error, "a scaler");
    }
    *out = (struct scaler){.kind = kind,
                           .features = features,
                           .impute = block,
                           .offset = block + features,
                           .scale = block + 2 * features};
    return DEEPSAD_OK;
}

void scaler_done(struct scaler *scaler)
{
    if (scaler != NULL) {
        free(scaler->impute); /* the block that all three lie in */
        *scaler = (struct scaler){0};
    }
}

/* ---- Fitting ---- */

/* Per column; counts are doubles so that one vector loop serves all. */
struct moments {
    double *count, *mean, *squares; /* squares: sum of (x - mean)^2 */
    double *min, *max;
};

/* Infinities do not get past the readers; here they count as missing, like NaN. */
static inline bool present(float value)
{
    return fabsf(value) <= FLT_MAX;
}

SIMD_CLONES
static void add_row(struct moments m, const float *restrict row, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        bool is = present(row[j]);
        m.count[j] += is ? 1.0 : 0.0;
        double value = (double)row[j];
        m.mean[j] += is ? value : 0.0;
        m.min[j] = is && value < m.min[j] ? value : m.min[j];
        m.max[j] = is && value > m.max[j] ? value : m.max[j];
    }
}

SIMD_CLONES
static void add_squares(struct moments m, const float *restrict row, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        double deviation = present(row[j]) ? (double)row[j] - m.mean[j] : 0.0;
        m.squares[j] += deviation * deviation;
    }
}

static void measure(struct moments m, const float *x, size_t rows, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        m.count[j] = m.mean[j] = m.squares[j] = 0;
        m.min[j] = (double)FLT_MAX;
        m.max[j] = (double)-FLT_MAX;
    }
    for (size_t i = 0; i < rows; i++) {
        add_row(m, x + i * features, features);
    }
    for (size_t j = 0; j < features; j++) {
        m.mean[j] = m.count[j] > 0 ? m.mean[j] / m.count[j] : 0;
    }
    for (size_t i = 0; i < rows; i++) {
        add_squares(m, x + i * features, features);
    }
}

/* Bits of a float as an integer of the same order. */
static inline uint32_t ordered_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static inline float from_ordered_bits(uint32_t bits)
{
    bits = bits >> 31 ? bits & 0x7fffffffu : ~bits;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The key of rank `rank`: a histogram of 11 bits at a time says which keys remain. Three
 * passes whatever the values, where quickselect has bad cases. */
static uint32_t select_key(const uint32_t *keys, size_t count, size_t rank)
{
    static const struct {
        unsigned shift, bits;
    } digits[] = {{21, 11}, {10, 11}, {0, 10}};
    uint32_t prefix = 0;
    uint32_t mask = 0;
    for (size_t d = 0; d < sizeof digits / sizeof *digits; d++) {
        size_t histogram[1 << 11] = {0};
        uint32_t digit_mask = (1u << digits[d].bits) - 1;
        for (size_t i = 0; i < count; i++) {
            if ((keys[i] & mask) == prefix) {
                histogram[keys[i] >> digits[d].shift & digit_mask]++;
            }
        }
        uint32_t digit = 0;
        while (rank >= histogram[digit]) {
            rank -= histogram[digit++];
        }
        prefix |= digit << digits[d].shift;
        mask |= digit_mask << digits[d].shift;
    }
    return prefix;
}

/* The mean of the middle two where their number is even. */
static float median(const uint32_t *keys, size_t count)
{
    if (count == 0) {
        return 0;
    }
    uint32_t lower = select_key(keys, count, (count - 1) / 2);
    uint32_t upper = count % 2 == 0 ? select_key(keys, count, count / 2) : lower;
    double middle = (double)from_ordered_bits(lower);
    middle += ((double)from_ordered_bits(upper) - middle) / 2;
    return (float)middle;
}

/* Columns gathered at a time: as many as a cache line of a row holds. */
enum { MEDIAN_COLUMNS = 16 };

/* Medians of the values present; keys (MEDIAN_COLUMNS, rows) is scratch. */
static void set_medians(float *impute, const float *x, size_t rows, size_t features,
                        uint32_t *keys)
{
    for (size_t first = 0; first < features; first += MEDIAN_COLUMNS) {
        size_t left = features - first;
        size_t width = left < MEDIAN_COLUMNS ? left : MEDIAN_COLUMNS;
        size_t count[MEDIAN_COLUMNS] = {0};
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < width; j++) {
                float value = x[i * features + first + j];
                keys[j * rows + count[j]] = ordered_bits(value);
                count[j] += present(value);
            }
        }
        for (size_t j = 0; j < width; j++) {
            impute[first + j] = median(keys + j * rows, count[j]);
        }
    }
}

/* 1 / spread as a float, for any spread > 0. */
static float inverse(double spread)
{
    double scale = 1 / spread;
    return scale < (double)FLT_MAX ? (float)scale : FLT_MAX;
}

static double global_spread(struct moments m, size_t features)
{
    double squares = 0;
    double count = 0;
    for (size_t j = 0; j < features; j++) {
        squares += m.min[j] < m.max[j] ? m.squares[j] : 0;
        count += m.count[j];
    }
    return squares > 0 ? sqrt(squares / count) : 1;
}

/* A column is constant when minimum and maximum are equal; its rounded mean and variance
 * do not tell. */
static void set_maps(struct scaler *scaler, struct moments m)
{
    double global = global_spread(m, scaler->features);
    for (size_t j = 0; j < scaler->features; j++) {
        bool varies = m.min[j] < m.max[j];
        double center = varies || m.count[j] == 0 ? m.mean[j] : m.min[j];
        float scale = 1;
        switch (scaler->kind) {
        case SCALER_ASINH:
            scale = varies ? inverse(sqrt(m.squares[j] / m.count[j])) : 1;
            break;
        case SCALER_MINMAX:
            center = varies ? m.min[j] : center;
            scale = varies ? inverse(m.max[j] - m.min[j]) : 0;
            break;
        case SCALER_GLOBAL:
            scale = inverse(global);
            break;
        case SCALER_NONE:
            center = 0;
            break;
        }
        scaler->offset[j] = (float)center;
        scaler->scale[j] = scale;
    }
}

int scaler_fit(struct scaler *out, enum scaler_kind kind, const float *x, size_t rows,
               size_t features, struct deepsad_error *error)
{
    struct scaler scaler;
    int status = scaler_new(&scaler, kind, features, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    double *sums = calloc(5 * features, sizeof *sums);
    uint32_t *keys = calloc(rows + 1, MEDIAN_COLUMNS * sizeof *keys);
    if (sums == NULL || keys == NULL) {
        status = error_no_memory(error, "fitting a scaler");
        scaler_done(&scaler);
        goto out;
    }
    struct moments m = {sums, sums + features, sums + 2 * features, sums + 3 * features,
                        sums + 4 * features};
    measure(m, x, rows, features);
    set_maps(&scaler, m);
    set_medians(scaler.impute, x, rows, features, keys);
    *out = scaler;
out:
    free(sums);
    free(keys);
    return status;
}

/* ---- Applying ---- */

static inline float clamp(float value, float limit)
{
    value = value < limit ? value : limit;
    return value > -limit ? value : -limit;
}

/* Both clamps matter: the first keeps an infinite difference times a scale of 0 from
 * being NaN, the second is the documented limit. */
static inline void affine_row(const struct scaler *scaler, float limit, float *z,
                              const float *x)
{
    const float *restrict impute = scaler->impute;
    const float *restrict offset = scaler->offset;
    const float *restrict scale = scaler->scale;
#pragma omp simd
    for (size_t j = 0; j < scaler->features; j++) {
        float value = isnan(x[j]) ? impute[j] : x[j];
        z[j] = clamp(clamp(value - offset[j], FLT_MAX) * scale[j], limit);
    }
}

SIMD_CLONES
static void affine_rows(const struct scaler *scaler, float limit, float *z,
                        const float *x, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        affine_row(scaler, limit, z + i * scaler->features, x + i * scaler->features);
    }
}

/* Natural logarithm of a normal y > 0: y = 2^e m, m in [sqrt 1/2, sqrt 2), and a
 * polynomial for log m (Chebyshev fit, error 2e-8). */
static inline float log_positive(float y)
{
    int32_t bits;
    memcpy(&bits, &y, sizeof bits);
    int32_t e = (bits - 0x3f3504f3) >> 23; /* 0x3f3504f3: sqrt 1/2 */
    bits -= e * (1 << 23);
    float m;
    memcpy(&m, &bits, sizeof m);
    float f = m - 1;
    float p = 0.09004202F;
    p = p * f - 0.14257795F;
    p = p * f + 0.14806460F;
    p = p * f - 0.16575048F;
    p = p * f + 0.19973106F;
    p = p * f - 0.25001610F;
    p = p * f + 0.33333660F;
    p = p * f - 0.49999995F;
    return ((float)e * 0.69314718F + f) + f * (f * p);
}

/* asinh of |z| <= SCALER_ASINH_LIMIT. Below 1/2 a polynomial in z^2 (Chebyshev fit of
 * asinh(z)/z, error 5e-9), as the logarithm would cancel there; above 4096, where
 * sqrt(z^2 + 1) = z in float and squares might overflow, log 2z. */
static inline float asinh_one(float z)
{
    float a = fabsf(z);
    float moderate = a < 4096 ? a : 4096;
    float sum = moderate + sqrtf(moderate * moderate + 1);
    float large = log_positive(a < 4096 ? sum : 2 * a);
    float t = a < 0.5F ? a * a : 0;
    float p = -0.01431654F;
    p = p * t + 0.02879770F;
    p = p * t - 0.04450873F;
    p = p * t + 0.07499594F;
    p = p * t - 0.16666665F;
    float small = a + a * (t * p);
    return copysignf(a < 0.5F ? small : large, z);
}

enum { LANES = 16 };

static inline void asinh_lanes(float z[static LANES])
{
    for (size_t i = 0; i < LANES; i++) {
        z[i] = asinh_one(z[i]);
    }
}

/* The last few values go through full lanes as well: a scalar remainder might contract
 * products and sums otherwise than the vectors do, and round otherwise. */
SIMD_CLONES
static void asinh_in_place(float *z, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        asinh_lanes(z + i);
    }
    if (i < count) {
        float rest[LANES] = {0};
        memcpy(rest, z + i, (count - i) * sizeof *rest);
        asinh_lanes(rest);
        memcpy(z + i, rest, (count - i) * sizeof *rest);
    }
}

void scaler_apply(const struct scaler *scaler, float *z, const float *x, size_t rows)
{
    bool bend = scaler->kind == SCALER_ASINH;
    affine_rows(scaler, bend ? SCALER_ASINH_LIMIT : SCALER_LINEAR_LIMIT, z, x, rows);
    if (bend) {
        asinh_in_place(z, rows * scaler->features);
    }
}
