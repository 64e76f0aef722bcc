/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model is a weighted sum of. A component turns a scaled row into a raw score (>=
 * 0, higher is more anomalous); its normaliser makes raw scores of any kind comparable:
 *
 *     score(x) = sum_j w_j v_j(x) / sum_j w_j
 *     v(s) = (ln max(s, 1e-4) - q50) / max(q90 - q50, .05)
 *
 * with the quantiles of ln s over the reference rows. Scoring, folds, calibration and the
 * file format know this interface, not the kinds.
 */
#ifndef MODEL_COMPONENT_H
#define MODEL_COMPONENT_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"
#include "model/safetensors.h"
#include "model/safetensors_writer.h"
#include "model/training.h"
#include "nn/folded.h"

/* Rows are scored in blocks of at most this many. */
enum { COMPONENT_BLOCK = 256 };
/* Gradients are taken at so many rows. */
enum { COMPONENT_GRADIENT_ROWS = 16 };

struct component;
struct onnx_graph; /* onnx/graph.h */

struct component_ops {
    const char *kind; /* in the manifest, and the first part of its tensors' names */

    /* Training: `tasks` independent parts, run in any order and in parallel; then, alone,
     * `finish`. raw (rows): of each row by members that never saw it (in-sample for rows
     * without a fold), for all rows that have a fold or a label, or for all rows where
     * the folds' basis is in-sample. `prepare` comes before them, alone; `work` of
     * all tasks is in multiplications, about. */
    size_t (*tasks)(const struct component *component);
    double (*work)(const struct component *component, const struct training *training);
    /* Whether a task runs in training->threads threads itself; NULL = never. */
    bool (*threaded)(const struct component *component);
    int (*prepare)(struct component *component, const struct training *training,
                   struct deepsad_error *error);
    int (*fit)(struct component *component, const struct training *training, size_t task,
               struct deepsad_error *error);
    int (*finish)(struct component *component, const struct training *training,
                  float *raw, struct deepsad_error *error);

    /* raw (rows) of z (rows, features); rows <= COMPONENT_BLOCK; scratch holds
     * scratch() floats, 64-byte aligned. Never fails. */
    size_t (*scratch)(const struct component *component);
    void (*score)(const struct component *component, float *raw, const float *z,
                  size_t rows, float *scratch);

    /* The same by member k (below tasks()) alone; NULL where members are not trained
     * without a fold of the rows. */
    void (*member_score)(const struct component *component, size_t k, float *raw,
                         const float *z, size_t rows, float *scratch);

    /* For explanations one of two, the other is NULL. gradient (features,
     * COMPONENT_GRADIENT_ROWS) of raw (COMPONENT_GRADIENT_ROWS), both 64-byte aligned, at
     * the rows z (COMPONENT_GRADIENT_ROWS, features), perhaps not finite; scratch as
     * above, of gradient_scratch() floats.
     * shares (features) >= 0: what each feature has in the raw score of one row z. */
    size_t (*gradient_scratch)(const struct component *component);
    void (*gradient)(const struct component *component, float *gradient, float *raw,
                     const float *z, float *scratch);
    void (*shares)(const struct component *component, float *shares, const float *z);

    /* Gaussian latent entropy of z (rows, features), mean over the networks; NULL where
     * the kind has no latent space. */
    int (*entropy)(const struct component *component, double *entropy, const float *z,
                   size_t rows, struct deepsad_error *error);

    /* Codes: width of the representation, and what makes it of rows z (to be freed by
     * folded_free()); NULL where the kind has none. */
    size_t (*code_width)(const struct component *component);
    int (*encoder)(const struct component *component, struct folded **out,
                   struct deepsad_error *error);

    /* What load needs beside the tensors, added to `card`; nonzero when out of memory. */
    int (*describe)(const struct component *component, json_t *card);
    int (*save)(const struct component *component, struct safetensors_writer *writer,
                struct deepsad_error *error);
    /* *raw (rows): the name of the value that the graph is given for the raw score of the
     * scaled rows named z. */
    int (*onnx)(const struct component *component, struct onnx_graph *graph,
                const char *z, const char **raw, struct deepsad_error *error);
    void (*free)(struct component *component);
};

struct normaliser {
    double q50, q90; /* of ln raw over the reference rows */
};

/* First member of each kind's struct. */
struct component {
    const struct component_ops *ops;
    double weight;
    struct normaliser normaliser;
};

/* By its kind's name in the manifest's card of it; input: the shape of the model's rows,
 * (features, 1, 1) where they are no images. DEEPSAD_UNSUPPORTED for a kind that this
 * build does not know. */
int component_load(struct component **out, const struct safetensors *file,
                   const json_t *card, struct image_shape input,
                   struct deepsad_error *error);
/* A new reference to the component's card for the manifest; NULL when out of memory. */
json_t *component_describe(const struct component *component);
void component_free(struct component *component);

/* The weighted, normalised scores of raw (rows), added to sum (rows). */
void component_add_normalised(const struct component *component, float *sum,
                              const float *raw, size_t rows);

/* What that is made of: weight * v(s) = (ln max(s, least) - q50) * factor. */
void component_normalisation(const struct component *component, float *least, double *q50,
                             double *factor);

/* (v(b) - v(a)) / (b - a) for raw scores a and b, v without the weight; where they are
 * equal, the derivative. */
double component_mean_slope(const struct component *component, float a, float b);

/* Sets the normaliser from the raw scores of the reference rows; count may be 0. */
int component_fit_normaliser(struct component *component, const float *raw, size_t count,
                             struct deepsad_error *error);

/* Finite, whatever came out: NaN and too large become the largest score there is. */
float component_clamp(float score);

#endif
