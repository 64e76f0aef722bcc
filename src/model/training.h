/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The training rows made ready: sorted into unlabeled rows, labelled normals and labelled
 * anomalies (so that each component's rows are a prefix or a list of indices, never a
 * copy), scaled, and divided into folds.
 */
#ifndef MODEL_TRAINING_H
#define MODEL_TRAINING_H

#include <stddef.h>
#include <stdint.h>

#include "data/scaler.h"
#include "deepsad.h"
#include "model/fold.h"
#include "model/monitor.h"
#include "model/plan.h"
#include "nn/network.h"

enum {
    /* With fewer unlabeled rows the labelled normals join the reference rows. */
    TRAINING_UNLABELED_MIN = 100,
};

/* An encoder that is taken as it is, instead of being trained: its network, of the form
 * that the plan gives, and its center, or NULL: the mean of phi over the rows. */
struct training_given {
    const struct network *network;
    const float *center;
    bool bias; /* its representation has one */
};

struct training {
    size_t rows, features;
    size_t unlabeled, normals, anomalies; /* in this order */
    size_t references;    /* the first so many rows set quantiles and p-values */
    float *z;             /* (rows, features), scaled */
    signed char *labels;  /* (rows) */
    size_t *order;        /* (rows): the row's place in the data set */
    size_t reviewed_from; /* rows from that place on in the data set were reviewed */
    struct folds folds;
    const struct plan *plan;
    size_t threads; /* of each task that can use several */
    uint64_t seed;
    struct monitor *monitor;
    const struct training_given *given; /* NULL: encoders are trained */
};

/* SHA-256 of rows and labels as they stand, for the lineage. */
enum { TRAINING_DIGEST = 65 };
void training_digest(char text[static TRAINING_DIGEST],
                     const struct deepsad_dataset *dataset);

/* Where the rows come from. */
struct training_source {
    const struct deepsad_dataset *dataset;
    const uint32_t *ordinals; /* (rows): of labelled rows, see struct fold_rows; NULL */
    /* The last so many rows of the data set are labels of rows that were chosen for
     * review by their scores, not by what they are: they tell how many anomalies are
     * hidden. */
    size_t reviewed;
    const struct scaler *scaler; /* to be kept; NULL = fitted on the rows */
    size_t anomalies_min;        /* see struct fold_rows */
};

/* What the plan needs to know; refuses a data set that nothing can be learnt from. */
int training_facts(struct plan_facts *out, const struct deepsad_dataset *dataset,
                   struct deepsad_error *error);

/* Fits `scaler` too, or copies the one to be kept. What comes of a class's rows depends
 * on their order among themselves, not on how the classes are mixed. `plan` must outlive
 * it; seed, threads and monitor are the caller's to set. */
int training_prepare(struct training *out, struct scaler *scaler,
                     const struct training_source *source, const struct plan *plan,
                     struct deepsad_error *error);
void training_done(struct training *training);

/* Whether the row's score, as the components' `finish` gives it, may calibrate. */
bool training_calibrates(const struct training *training, size_t row);

#endif
