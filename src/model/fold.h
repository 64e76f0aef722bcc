/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folds: which member of an ensemble is trained without which row, so that each row has a
 * score by a member that never saw it. A row's fold depends on its content only, so it
 * stays the same over retrainings and reorderings; a label's depends on how many of its
 * class came before it, which whoever keeps labels keeps too.
 */
#ifndef MODEL_FOLD_H
#define MODEL_FOLD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Fold of a row that all members are trained on. */
enum { FOLD_NONE = 255 };

/* How the scores that calibrate a model stand to its training rows. */
enum fold_basis {
    FOLD_OUT_OF_FOLD, /* each row by the member trained without it */
    FOLD_HELD_OUT,    /* one member, a share of the rows held out: fold 0 */
    FOLD_IN_SAMPLE,   /* no folds: too few rows, or not wanted */
    FOLD_OUT_OF_BAG,  /* no network-like component */
};
const char *fold_basis_name(enum fold_basis basis);

struct folds {
    enum fold_basis basis;
    unsigned char *of; /* (rows): fold = member that does without the row, or FOLD_NONE */
};

struct fold_rows {
    const float *x;      /* (rows, features): raw rows */
    const size_t *order; /* (rows): row i here is x[order[i]] */
    size_t features;
    /* in this order: */
    size_t unlabeled, normals, anomalies;
    size_t references;        /* the first so many rows are drawn from for calibration */
    const uint32_t *ordinals; /* (normals + anomalies): how many of the same class came
                                 before each; NULL = in the order they stand */
    size_t anomalies_min;     /* fewer are not folded; 0 = FOLD_ANOMALIES_MIN */
};

enum {
    FOLD_ANOMALIES_MIN = 10, /* fewer labelled anomalies teach every member */
    FOLD_ROWS_MIN = 2,       /* mean reference rows per fold below which there are none */
    FOLD_HELD_OUT_MIN = 20,  /* fewer held-out rows are not worth it */
};

/* 64 bits that depend on the row's values; all NaNs are one value, -0 is 0. */
uint64_t fold_hash(const float *row, size_t features);

/* members > 1: unlabeled rows by hash (mixed with the row's index where contents repeat
 * so much that a fold would get less than 1/(2 members) or more than 2/members of the
 * rows), labels round-robin within their class, by their ordinals. members = 1: the share
 * `held_out` of the reference rows by hash. members = 0: no folds. */
int folds_make(struct folds *out, const struct fold_rows *rows, size_t members,
               double held_out, struct deepsad_error *error);
void folds_done(struct folds *folds);

#endif
