/* SPDX-License-Identifier: Apache-2.0 */
#include "model/training.h"

#include <stdlib.h>
#include <string.h>

static signed char label_of(const struct deepsad_dataset *dataset, size_t row)
{
    return dataset->labels == NULL ? (signed char)0 : dataset->labels[row];
}

int training_facts(struct plan_facts *out, const struct deepsad_dataset *dataset,
                   struct deepsad_error *error)
{
    if (dataset->rows == 0 || dataset->features == 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "no %s to train on; give a data set with rows and features",
                         dataset->rows == 0 ? "rows" : "features");
    }
    if (dataset->rows > UINT32_MAX) {
        return error_set(error, DEEPSAD_INVALID,
                         "%zu rows are too many: the limit is 2^32; train on a sample",
                         dataset->rows);
    }
    size_t anomalies = 0;
    for (size_t i = 0; i < dataset->rows; i++) {
        anomalies += label_of(dataset, i) < 0;
    }
    if (anomalies == dataset->rows) {
        return error_set(error, DEEPSAD_INVALID,
                         "all %zu rows are labelled anomalous; add unlabeled or normal "
                         "rows: they are what a model learns",
                         dataset->rows);
    }
    *out = (struct plan_facts){.features = dataset->features,
                               .image = dataset->channels > 0 && dataset->features > 1,
                               .labeled_anomalies = anomalies};
    return DEEPSAD_OK;
}

/* Counting sort of the rows by class. */
static void sort_rows(struct training *training, const struct deepsad_dataset *dataset)
{
    size_t at[3] = {0}; /* next place of unlabeled, normal, anomalous rows */
    for (size_t i = 0; i < dataset->rows; i++) {
        signed char label = label_of(dataset, i);
        at[label == 0 ? 0 : label > 0 ? 1 : 2]++;
    }
    training->unlabeled = at[0];
    training->normals = at[1];
    training->anomalies = at[2];
    at[2] = at[0] + at[1];
    at[1] = at[0];
    at[0] = 0;
    for (size_t i = 0; i < dataset->rows; i++) {
        signed char label = label_of(dataset, i);
        size_t place = at[label == 0 ? 0 : label > 0 ? 1 : 2]++;
        training->order[place] = i;
        training->labels[place] = (signed char)(label == 0 ? 0 : label > 0 ? 1 : -1);
    }
    training->references = training->unlabeled;
    if (training->unlabeled < TRAINING_UNLABELED_MIN) {
        training->references += training->normals;
    }
}

static void scale_rows(struct training *training, const struct scaler *scaler,
                       const float *x)
{
    size_t features = training->features;
    for (size_t i = 0; i < training->rows; i++) {
        memcpy(training->z + i * features, x + training->order[i] * features,
               features * sizeof *x);
    }
    scaler_apply(scaler, training->z, training->z, training->rows);
}

static int allocate(struct training *training, struct deepsad_error *error)
{
    size_t values;
    if (__builtin_mul_overflow(training->rows, training->features, &values) ||
        values > SIZE_MAX / sizeof(float)) {
        return error_no_memory(error, "the training rows");
    }
    training->z = malloc(values * sizeof *training->z);
    training->labels = malloc(training->rows);
    training->order = calloc(training->rows, sizeof *training->order);
    return training->z == NULL || training->labels == NULL || training->order == NULL
               ? error_no_memory(error, "the training rows")
               : DEEPSAD_OK;
}

static int make_folds(struct training *training, const float *x,
                      struct deepsad_error *error)
{
    const struct plan *plan = training->plan;
    struct fold_rows rows = {.x = x,
                             .order = training->order,
                             .features = training->features,
                             .unlabeled = training->unlabeled,
                             .normals = training->normals,
                             .anomalies = training->anomalies,
                             .references = training->references};
    bool foldable = plan->networks || plan->autoencoder;
    int status = folds_make(&training->folds, &rows, foldable ? plan->members : 0,
                            plan->calibration, error);
    if (status == DEEPSAD_OK && !foldable) {
        training->folds.basis = FOLD_OUT_OF_BAG;
    }
    return status;
}

int training_prepare(struct training *out, struct scaler *scaler,
                     const struct deepsad_dataset *dataset, const struct plan *plan,
                     struct deepsad_error *error)
{
    struct training training = {
        .rows = dataset->rows, .features = dataset->features, .plan = plan};
    int status = allocate(&training, error);
    if (status == DEEPSAD_OK) {
        status = scaler_fit(scaler, plan->scaler, dataset->x, dataset->rows,
                            dataset->features, error);
    }
    if (status == DEEPSAD_OK) {
        sort_rows(&training, dataset);
        scale_rows(&training, scaler, dataset->x);
        status = make_folds(&training, dataset->x, error);
    }
    if (status != DEEPSAD_OK) {
        training_done(&training);
        return status;
    }
    *out = training;
    return DEEPSAD_OK;
}

void training_done(struct training *training)
{
    folds_done(&training->folds);
    free(training->z);
    free(training->labels);
    free(training->order);
    *training = (struct training){0};
}

bool training_calibrates(const struct training *training, size_t row)
{
    enum fold_basis basis = training->folds.basis;
    return training->labels[row] >= 0 &&
           (training->folds.of[row] != FOLD_NONE || basis == FOLD_IN_SAMPLE ||
            basis == FOLD_OUT_OF_BAG);
}
