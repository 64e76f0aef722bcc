/* SPDX-License-Identifier: Apache-2.0 */
#include "model/training.h"

#include <stdlib.h>
#include <string.h>

#include "model/digest.h"

static signed char label_of(const struct deepsad_dataset *dataset, size_t row)
{
    return dataset->labels == NULL ? (signed char)0 : dataset->labels[row];
}

void training_digest(char text[static TRAINING_DIGEST],
                     const struct deepsad_dataset *dataset)
{
    struct digest digest;
    digest_init(&digest);
    digest_add(&digest, dataset->x,
               dataset->rows * dataset->features * sizeof *dataset->x);
    if (dataset->labels != NULL) {
        digest_add(&digest, dataset->labels, dataset->rows);
    }
    digest_finish(&digest, text);
}

/* Whether every value that is there lies in [0, 1]. */
static bool all_pixels(const struct deepsad_dataset *dataset)
{
    size_t count = dataset->rows * dataset->features, outside = 0;
    for (size_t i = 0; i < count; i++) {
        outside += dataset->x[i] < 0 || dataset->x[i] > 1;
    }
    return outside == 0;
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
    struct image_shape image = {dataset->channels, dataset->height, dataset->width};
    if (dataset->channels > 0 && image_size(image) != dataset->features) {
        return error_set(error, DEEPSAD_INVALID,
                         "%zu features are not an image of %zu x %zu x %zu",
                         dataset->features, image.channels, image.height, image.width);
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
                               .labeled_anomalies = anomalies};
    if (dataset->channels > 0 && dataset->features > 1) {
        out->image = image;
        out->pixels = all_pixels(dataset);
    }
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

static void gather_rows(struct training *training, const float *x)
{
    size_t features = training->features;
    for (size_t i = 0; i < training->rows; i++) {
        memcpy(training->z + i * features, x + training->order[i] * features,
               features * sizeof *x);
    }
}

static int copy_scaler(struct scaler *out, const struct scaler *scaler, size_t features,
                       struct deepsad_error *error)
{
    if (scaler->features != features) {
        return error_set(error, DEEPSAD_INVALID,
                         "the scaler to be kept is of %zu features, the rows have %zu",
                         scaler->features, features);
    }
    int status = scaler_new(out, scaler->kind, features, error);
    if (status == DEEPSAD_OK) {
        memcpy(out->impute, scaler->impute, features * sizeof *out->impute);
        memcpy(out->offset, scaler->offset, features * sizeof *out->offset);
        memcpy(out->scale, scaler->scale, features * sizeof *out->scale);
    }
    return status;
}

/* z holds the rows as they came. */
static int scale_rows(struct training *training, struct scaler *scaler,
                      const struct scaler *kept, struct deepsad_error *error)
{
    int status = kept != NULL ? copy_scaler(scaler, kept, training->features, error)
                              : scaler_fit(scaler, training->plan->scaler, training->z,
                                           training->rows, training->features, error);
    if (status == DEEPSAD_OK) {
        scaler_apply(scaler, training->z, training->z, training->rows);
    }
    return status;
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

/* (labels), or NULL and DEEPSAD_OK where they stand as they came. */
static int sort_ordinals(uint32_t **out, const struct training *training,
                         const uint32_t *ordinals, struct deepsad_error *error)
{
    size_t labels = training->rows - training->unlabeled;
    *out = NULL;
    if (ordinals == NULL) {
        return DEEPSAD_OK;
    }
    *out = calloc(labels + 1, sizeof **out);
    if (*out == NULL) {
        return error_no_memory(error, "folds");
    }
    for (size_t i = 0; i < labels; i++) {
        (*out)[i] = ordinals[training->order[training->unlabeled + i]];
    }
    return DEEPSAD_OK;
}

static int make_folds(struct training *training, const struct training_source *source,
                      struct deepsad_error *error)
{
    const struct plan *plan = training->plan;
    uint32_t *ordinals;
    int status = sort_ordinals(&ordinals, training, source->ordinals, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct fold_rows rows = {.x = source->dataset->x,
                             .order = training->order,
                             .features = training->features,
                             .unlabeled = training->unlabeled,
                             .normals = training->normals,
                             .anomalies = training->anomalies,
                             .references = training->references,
                             .ordinals = ordinals,
                             .anomalies_min = source->anomalies_min};
    bool foldable = plan->networks || plan->autoencoder;
    status = folds_make(&training->folds, &rows, foldable ? plan->members : 0,
                        plan->calibration, error);
    free(ordinals);
    if (status == DEEPSAD_OK && !foldable) {
        training->folds.basis = FOLD_OUT_OF_BAG;
    }
    return status;
}

int training_prepare(struct training *out, struct scaler *scaler,
                     const struct training_source *source, const struct plan *plan,
                     struct deepsad_error *error)
{
    const struct deepsad_dataset *dataset = source->dataset;
    struct training training = {.rows = dataset->rows,
                                .features = dataset->features,
                                .reviewed_from = dataset->rows - source->reviewed,
                                .plan = plan};
    int status = allocate(&training, error);
    if (status == DEEPSAD_OK) {
        sort_rows(&training, dataset);
        gather_rows(&training, dataset->x);
        status = scale_rows(&training, scaler, source->scaler, error);
    }
    if (status == DEEPSAD_OK) {
        status = make_folds(&training, source, error);
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
