/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subspace nearest-neighbour ensemble: the unsupervised component, deterministic. Member
 * i draws m distinct features (m = {1, ceil sqrt d, ceil d/2, d}[i mod 4], constant
 * columns left out) and 16 distinct rows; dist_i(x) is the Euclidean distance to the
 * nearest of its rows in its features; u_i = mean dist_i over at most 2,000 training
 * rows; v_i = dist_i / (u_i + 1e-4); score = mean_i v_i / (1 + v_i), in [0, 1). Fit
 * twice: score all rows, leave out the `trim` highest, draw all members again from the
 * rest. A relative of iNNE / aNNE and subspace bagging.
 */
#ifndef NN_NEIGHBOURS_H
#define NN_NEIGHBOURS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/simd.h"

enum { NEIGHBOURS_SAMPLES = 16 };

struct neighbours_options {
    size_t members;    /* T */
    size_t scale_rows; /* rows for u_i */
    double trim;       /* share of highest-scored rows left out of the second draw */
    uint64_t seed;
};

/* Plain value, so that a model file can hold it: flat arrays, one after the other by
 * member. Immutable once fitted. */
struct neighbours {
    size_t features; /* d of the rows */
    size_t members;
    uint32_t *member_features; /* (members): m of each */
    uint32_t *feature_index;   /* (sum m): features each member looks at */
    float
        *samples; /* (sum m, NEIGHBOURS_SAMPLES): feature-major, samples are the lanes */
    float *inverse_scale; /* (members): 1 / (u_i + 1e-4) */
};

/* z (rows, features): scaled rows, labelled anomalies left out by the caller; at least
 * one row. out_of_bag (rows), or NULL: each row's score by the members that did not draw
 * it. */
int neighbours_fit(struct neighbours **out, float *out_of_bag, const float *z,
                   size_t rows, size_t features, const struct neighbours_options *options,
                   struct deepsad_error *error);
/* Room for a model of the given shape, arrays zeroed; to be filled by a reader. */
int neighbours_new(struct neighbours **out, size_t features, size_t members,
                   size_t total_features, struct deepsad_error *error);
void neighbours_free(struct neighbours *neighbours);

/* score (rows) of z (rows, features), in [0, 1], for any floats. Allocates nothing. A
 * row's score is the same bits alone and in any batch. */
void neighbours_score(const struct neighbours *neighbours, float *score, const float *z,
                      size_t rows);

/* The same by the kernel of one instruction set, which the machine must have. */
void neighbours_score_level(const struct neighbours *neighbours, float *score,
                            const float *z, size_t rows, enum simd_level level);

#endif
