/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that a model was trained on, kept with it in its file, so that a model
 * directory is self-contained: the daemon retrains on them, and `deepsad reproduce`
 * proves what came of them. Scoring never reads them.
 *
 * After `deepsad train` the unlabeled part is a bounded sample of the data (recipe
 * setting `reservoir`: rows; 0 keeps nothing, labels neither). A retrained version keeps
 * exactly what it was trained on.
 */
#ifndef MODEL_TRAINING_SET_H
#define MODEL_TRAINING_SET_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "deepsad.h"

/* Plain value. Rows in this order: `base` unlabeled rows of the first training, `traffic`
 * unlabeled rows kept since, then the labelled ones, those that came with the first data
 * set before those of the journal. Behind them stand `aside` rows of
 * the first training that this model was not trained on (they were judged since, or made
 * room for traffic) but the next one may be: nothing is lost from version to version. */
struct training_set {
    size_t features;
    size_t base, traffic, labels, aside;
    float *x;       /* (base + traffic + labels + aside, features), raw; NaN = missing */
    signed char *y; /* (labels): +1, -1 */
    uint32_t *ordinal; /* (labels): how many of the same class came before it; decides its
                          fold, and stays whatever comes and goes */
    char **ids;        /* (labels): the journal's label id; "" = came with the data set */
    bool complete;     /* nothing was left out: training again gives the same model */
};

/* Unlabeled rows, and likewise labelled normals, take at most so many bytes of a model
 * that `deepsad train` writes (images: 21,399 rows of 28 x 28). */
enum { TRAINING_SET_BYTES_MAX = 64 << 20 };

/* Room for so many rows, all zero, to be filled; the ids are NULL, which means "". */
int training_set_new(struct training_set *out, size_t features, size_t base,
                     size_t traffic, size_t labels, size_t aside,
                     struct deepsad_error *error);
void training_set_done(struct training_set *set);
int training_set_copy(struct training_set *out, const struct training_set *set,
                      struct deepsad_error *error);

/* What `deepsad train` keeps of its data: at most `unlabeled_max` unlabeled rows, drawn
 * evenly and deterministically by the rows' hashes, kept in the order of the data set;
 * all labelled anomalies; all labelled normals, or as many as TRAINING_SET_BYTES_MAX
 * allows. unlabeled_max = 0: empty. */
int training_set_from_dataset(struct training_set *out,
                              const struct deepsad_dataset *dataset, size_t unlabeled_max,
                              struct deepsad_error *error);

/* SHA-256 over the label ids and verdicts, and over the rows: for the manifest. */
enum { TRAINING_SET_DIGEST = 65 };
void training_set_digest(char text[static TRAINING_SET_DIGEST],
                         const struct training_set *set);
/* The same of the labels alone. */
void training_set_labels_digest(char text[static TRAINING_SET_DIGEST],
                                const struct training_set *set);

#endif
