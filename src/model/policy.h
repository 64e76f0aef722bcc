/* SPDX-License-Identifier: Apache-2.0 */
/* MODELS/NAME/model.yaml: what the operator wants of a model, apart from its versions. */
#ifndef MODEL_POLICY_H
#define MODEL_POLICY_H

#include <stddef.h>

#include "base/error.h"

enum policy_mode {
    POLICY_AUTO,   /* retrain by the triggers, promote what passes the gate */
    POLICY_MANUAL, /* retrain by the triggers; activate promotes */
    POLICY_NEVER,  /* no retraining */
};

enum policy_capture {
    POLICY_CAPTURE_REQUESTED, /* rows of requests with keep: true */
    POLICY_CAPTURE_ALL,
    POLICY_CAPTURE_NONE,
};

struct policy {
    double alpha; /* false-alarm budget */
    int capture;  /* enum policy_capture */
    struct {
        int mode;          /* enum policy_mode */
        size_t min_labels; /* changes of the journal that trigger a retraining */
        double interval;   /* seconds between retrainings that are due to changes
                              fewer than min_labels, or to new traffic; 0 = none */
        double traffic;    /* share of the unlabeled rows that may be kept traffic */
        size_t rows;       /* unlabeled rows, at most */
        size_t versions;   /* of those that retraining made, so many are kept; 0 = all */
        double deadline;   /* seconds that a job may take */
    } retraining;
    struct {
        double auc_loss;         /* most that the AUC on old labels may fall */
        double rank_correlation; /* least Spearman correlation with the champion */
        double
            implausible_p;  /* "anomalous" on rows with a larger p-value is implausible */
        size_t implausible; /* so many of them hold a batch back; 0 = never */
    } gate;
    struct {
        double
            delay;   /* seconds that a request waits for others, at most; 0 = none does */
        size_t rows; /* of requests that are scored together, at most */
    } batching;
};

void policy_defaults(struct policy *policy);

/* Defaults where the directory has no model.yaml. */
int policy_read(struct policy *out, const char *directory, struct deepsad_error *error);

/* Writes directory/model.yaml, every key with what it means, unless there is one. */
int policy_write_new(const struct policy *policy, const char *directory,
                     struct deepsad_error *error);

#endif
