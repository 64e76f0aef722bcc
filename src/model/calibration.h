/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conformal p-values. Calibration scores s_i are those of rows by members that never saw
 * them; weights w_i in [0, 1] correct for anomalies hidden among the unlabeled rows:
 *
 *     p(x) = (1 + sum_i w_i [s_i >= s(x)]) / (1 + sum_i w_i)
 *
 * The sums are taken once, so a p-value is one search in the sorted scores.
 */
#ifndef MODEL_CALIBRATION_H
#define MODEL_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Plain value, so that a model file can hold it. */
struct calibration {
    size_t count;
    float *scores;   /* (count) ascending */
    float *p_values; /* (count + 1): of a score with i calibration scores below it */
};

/* scores, weights (count), in any order. count may be 0: then every p-value is 1. */
int calibration_make(struct calibration *out, const float *scores, const float *weights,
                     size_t count, struct deepsad_error *error);
/* Room for `count` points, to be filled by a reader; then to be checked: */
int calibration_new(struct calibration *out, size_t count, struct deepsad_error *error);
/* Sorted scores, p-values in (0, 1] that never rise. */
bool calibration_valid(const struct calibration *calibration);
void calibration_done(struct calibration *calibration);

/* p_values (rows) of scores (rows). Allocates nothing. */
void calibration_p_values(const struct calibration *calibration, float *p_values,
                          const float *scores, size_t rows);

/* 1 / (1 + sum of weights) */
double calibration_alpha_min(const struct calibration *calibration);
/* See deepsad_model_threshold. */
bool calibration_threshold(const struct calibration *calibration, double alpha,
                           float *threshold);

struct calibration_labels {
    const float *scores;       /* (count) of labelled rows, comparable to `reference` */
    const signed char *labels; /* (count) +1, -1 */
    const bool *reviewed; /* (count): the row was chosen by its score, whatever it is;
                             NULL = none was */
    size_t count;
};

/* weights (rows) of unlabeled rows with the scores `reference` (rows): w_i = 1 - P(u_i),
 * u_i = share of reference scores below, P = isotonic regression of "is anomalous" on u
 * over the labels and 20 pseudo-normals at u = .025, .075, ..., .975. Where 5 normals
 * were reviewed, the reviewed labels alone count: what people said of rows that were
 * shown to them for their scores is what P is about. Labels that came otherwise are
 * mostly known anomalies, and P would be too large: where fewer than 5 labelled normals
 * are in the top tenth, rows then lose weight from the highest down, only as far as the
 * scores of the rows and of the labelled anomalies together leave room for hidden
 * anomalies. Never more than the share hidden_max of the rows is taken out. */
int calibration_weigh(float *weights, const float *reference, size_t rows,
                      const struct calibration_labels *labels, double hidden_max,
                      struct deepsad_error *error);

/* Isotonic (never falling) least-squares fit of y over u, in any order, in place: what is
 * left are its steps, each at the u where it starts. Returns their number. */
struct isotonic_point {
    double u, y, weight;
};
size_t isotonic_fit(struct isotonic_point *points, size_t count);
/* Value of the last step that starts at or below u, else of the first. count > 0. */
double isotonic_at(const struct isotonic_point *points, size_t count, double u);

#endif
