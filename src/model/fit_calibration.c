/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fit_calibration.h"

#include <stdlib.h>

int fit_normalisers(struct deepsad_model *model, const struct training *training,
                    float *const raw[MODEL_COMPONENTS_MAX], struct deepsad_error *error)
{
    float *references = malloc((training->references + 1) * sizeof *references);
    if (references == NULL) {
        return error_no_memory(error, "normalisers");
    }
    int status = DEEPSAD_OK;
    for (size_t j = 0; j < model->component_count && status == DEEPSAD_OK; j++) {
        size_t count = 0;
        for (size_t i = 0; i < training->references; i++) {
            if (training_calibrates(training, i)) {
                references[count++] = raw[j][i];
            }
        }
        status = component_fit_normaliser(model->components[j], references, count, error);
    }
    free(references);
    return status;
}

/* What calibrates, out of all rows: scores and weights of the rows that may, and their
 * first part, the reference rows among them. */
struct points {
    size_t count, references;
    float *scores, *weights; /* (count) */
};

static int collect_points(struct points *points, const struct training *training,
                          const float *scores, struct deepsad_error *error)
{
    points->scores = malloc((training->rows + 1) * sizeof *points->scores);
    points->weights = malloc((training->rows + 1) * sizeof *points->weights);
    if (points->scores == NULL || points->weights == NULL) {
        return error_no_memory(error, "calibration");
    }
    for (size_t i = 0; i < training->rows; i++) {
        if (training_calibrates(training, i)) {
            points->weights[points->count] = 1;
            points->scores[points->count++] = scores[i];
            points->references += i < training->references;
        }
    }
    return DEEPSAD_OK;
}

static int weigh_references(struct points *points, const struct training *training,
                            const float *scores, struct deepsad_error *error)
{
    struct calibration_labels labels = {
        .scores = scores + training->unlabeled,
        .labels = training->labels + training->unlabeled,
        .count = training->normals + training->anomalies,
    };
    bool *reviewed = calloc(labels.count + 1, sizeof *reviewed);
    if (reviewed == NULL) {
        return error_no_memory(error, "calibration");
    }
    for (size_t i = 0; i < labels.count; i++) {
        reviewed[i] = training->order[training->unlabeled + i] >= training->reviewed_from;
    }
    labels.reviewed = reviewed;
    int status = calibration_weigh(points->weights, points->scores, points->references,
                                   &labels, training->plan->contamination, error);
    free(reviewed);
    return status;
}

static int weigh_points(struct points *points, const struct training *training,
                        const float *scores, struct deepsad_error *error)
{
    int status = weigh_references(points, training, scores, error);
    size_t count = 0; /* what is known to be normal counts in full */
    for (size_t i = 0; i < training->rows && status == DEEPSAD_OK; i++) {
        if (training_calibrates(training, i)) {
            points->weights[count] = training->labels[i] > 0 ? 1 : points->weights[count];
            count++;
        }
    }
    return status;
}

int fit_calibrate(struct deepsad_model *model, float *scores, double *weight,
                  const struct training *training, float *const raw[MODEL_COMPONENTS_MAX],
                  struct deepsad_error *error)
{
    struct points points = {0};
    struct calibration calibration;
    model_blend(model, scores, raw, training->rows);
    int status = collect_points(&points, training, scores, error);
    if (status == DEEPSAD_OK) {
        status = weigh_points(&points, training, scores, error);
    }
    if (status == DEEPSAD_OK) {
        status = calibration_make(&calibration, points.scores, points.weights,
                                  points.count, error);
    }
    if (status == DEEPSAD_OK) {
        calibration_done(&model->calibration);
        model->calibration = calibration;
        *weight = 0;
        for (size_t i = 0; i < points.count; i++) {
            *weight += (double)points.weights[i];
        }
    }
    free(points.scores);
    free(points.weights);
    return status;
}
