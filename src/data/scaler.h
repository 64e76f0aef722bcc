/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From raw features to what networks see: missing values imputed, then one affine map per
 * feature, then asinh where the kind says so. Fitted on the training rows, in double.
 */
#ifndef DATA_SCALER_H
#define DATA_SCALER_H

#include <stddef.h>

#include "base/error.h"

enum scaler_kind {
    SCALER_ASINH,  /* asinh((x - mean) / std), constant column: std = 1 (`default`) */
    SCALER_MINMAX, /* standardise, then min-max to [0, 1], constant column: 0
                      (`reference`) */
    SCALER_GLOBAL, /* (x - mean) / one std over all features (images, `default`) */
    SCALER_NONE,   /* x as it is (pixels in [0, 1], `reference`) */
};

/* Where (x - offset) * scale is clamped, so that every z is finite and so are the squares
 * that networks make of it: asinh(SCALER_ASINH_LIMIT) = 88. */
#define SCALER_ASINH_LIMIT 0x1p126F
#define SCALER_LINEAR_LIMIT 1e9F

/* Plain value, so that a model file can hold it. z = f(clamp((x - offset) * scale)). */
struct scaler {
    enum scaler_kind kind;
    size_t features;
    float *impute; /* (features): median of the training rows, stands for NaN; the block
                      that offset and scale lie in, too */
    float *offset; /* (features) */
    float *scale;  /* (features) */
};

/* x (rows, features), NaN = missing; a column without any value is imputed by 0 and
 * constant. std with 1/n. SCALER_GLOBAL: about the means of the features; 1 where all are
 * constant. */
int scaler_fit(struct scaler *out, enum scaler_kind kind, const float *x, size_t rows,
               size_t features, struct deepsad_error *error);
/* All zeroed, to be filled by a reader of model files. */
int scaler_new(struct scaler *out, enum scaler_kind kind, size_t features,
               struct deepsad_error *error);
void scaler_done(struct scaler *scaler);

/* z (rows, features); z may be x. Always finite, for any float x; a row's result does not
 * depend on the other rows. */
void scaler_apply(const struct scaler *scaler, float *z, const float *x, size_t rows);

#endif
