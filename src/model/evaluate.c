/* SPDX-License-Identifier: Apache-2.0 */
#include "model/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/metrics.h"

/* The component with a latent space, or NULL. */
static const struct component *find_latent(const struct deepsad_model *model)
{
    for (size_t j = 0; j < model->component_count; j++) {
        if (model->components[j]->ops->entropy != NULL) {
            return model->components[j];
        }
    }
    return NULL;
}

static size_t count_label(const signed char *labels, size_t rows, signed char label)
{
    size_t count = 0;
    for (size_t i = 0; i < rows; i++) {
        count += (labels == NULL ? 0 : labels[i]) == label;
    }
    return count;
}

int evaluate_entropy(double *entropy, const struct deepsad_model *model, const float *x,
                     const signed char *labels, size_t rows, signed char label,
                     struct deepsad_error *error)
{
    const struct component *component = find_latent(model);
    size_t count = count_label(labels, rows, label), features = model->features;
    *entropy = (double)NAN;
    if (component == NULL || count < 2) {
        return DEEPSAD_OK;
    }
    size_t stride = (count - 1) / EVALUATE_ENTROPY_ROWS + 1;
    float *z = calloc(count / stride + 1, features * sizeof *z);
    if (z == NULL) {
        return error_no_memory(error, "latent entropies");
    }
    size_t seen = 0, kept = 0;
    for (size_t i = 0; i < rows; i++) {
        if ((labels == NULL ? 0 : labels[i]) == label && seen++ % stride == 0) {
            memcpy(z + kept++ * features, x + i * features, features * sizeof *z);
        }
    }
    scaler_apply(&model->scaler, z, z, kept);
    int status = component->ops->entropy(component, entropy, z, kept, error);
    free(z);
    return status;
}

/* The labelled rows' scores, p-values and truth. */
struct judged {
    size_t count, anomalies;
    float *scores, *p_values;
    unsigned char *anomalous;
};

static void judged_done(struct judged *judged)
{
    free(judged->scores);
    free(judged->p_values);
    free(judged->anomalous);
}

static void keep_labelled(struct judged *judged, const signed char *labels, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        if (labels[i] != 0) {
            judged->scores[judged->count] = judged->scores[i];
            judged->p_values[judged->count] = judged->p_values[i];
            judged->anomalous[judged->count++] = labels[i] < 0;
            judged->anomalies += labels[i] < 0;
        }
    }
}

static int judge(struct judged *judged, const struct deepsad_model *model,
                 const struct deepsad_dataset *dataset, struct deepsad_error *error)
{
    judged->scores = malloc((dataset->rows + 1) * sizeof *judged->scores);
    judged->p_values = malloc((dataset->rows + 1) * sizeof *judged->p_values);
    judged->anomalous = malloc(dataset->rows + 1);
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    int status = judged->scores == NULL || judged->p_values == NULL ||
                         judged->anomalous == NULL || workspace == NULL
                     ? error_no_memory(error, "evaluation")
                     : deepsad_score(model, workspace, judged->scores, judged->p_values,
                                     dataset->x, dataset->rows, error);
    deepsad_workspace_free(workspace);
    if (status == DEEPSAD_OK) {
        keep_labelled(judged, dataset->labels, dataset->rows);
    }
    return status;
}

static int measure(struct deepsad_evaluation *out, const struct judged *judged,
                   double alpha, struct deepsad_error *error)
{
    size_t caught = 0, false_alarms = 0;
    for (size_t i = 0; i < judged->count; i++) {
        bool alarm = (double)judged->p_values[i] <= alpha;
        caught += alarm && judged->anomalous[i];
        false_alarms += alarm && !judged->anomalous[i];
    }
    *out = (struct deepsad_evaluation){
        .rows = judged->count, .anomalies = judged->anomalies, .alpha = alpha};
    out->recall_at_alpha = (double)caught / (double)judged->anomalies;
    out->false_alarm_rate =
        (double)false_alarms / (double)(judged->count - judged->anomalies);
    int status = metrics_auc_roc(&out->auc_roc, judged->scores, judged->anomalous,
                                 judged->count, error);
    return status != DEEPSAD_OK
               ? status
               : metrics_average_precision(&out->auc_pr, judged->scores,
                                           judged->anomalous, judged->count, error);
}

static int measure_entropies(struct deepsad_evaluation *out,
                             const struct deepsad_model *model,
                             const struct deepsad_dataset *dataset,
                             struct deepsad_error *error)
{
    static const signed char classes[] = {1, -1, 0};
    double *const entropies[] = {&out->latent_entropy_normal,
                                 &out->latent_entropy_anomalous,
                                 &out->latent_entropy_unlabeled};
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < 3 && status == DEEPSAD_OK; i++) {
        status = evaluate_entropy(entropies[i], model, dataset->x, dataset->labels,
                                  dataset->rows, classes[i], error);
    }
    return status;
}

int deepsad_evaluate(struct deepsad_evaluation *out, const struct deepsad_model *model,
                     const struct deepsad_dataset *dataset, double alpha,
                     struct deepsad_error *error)
{
    int status = deepsad_model_accepts(model, dataset, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    size_t normals =
        dataset->labels == NULL ? 0 : count_label(dataset->labels, dataset->rows, 1);
    size_t anomalies =
        dataset->labels == NULL ? 0 : count_label(dataset->labels, dataset->rows, -1);
    if (normals == 0 || anomalies == 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "evaluation needs the truth: %zu rows are labelled normal, %zu "
                         "anomalous; both classes must be there",
                         normals, anomalies);
    }
    struct judged judged = {0};
    struct deepsad_evaluation result;
    status = judge(&judged, model, dataset, error);
    if (status == DEEPSAD_OK) {
        status = measure(&result, &judged, alpha, error);
    }
    judged_done(&judged);
    if (status == DEEPSAD_OK) {
        status = measure_entropies(&result, model, dataset, error);
    }
    if (status == DEEPSAD_OK) {
        *out = result;
    }
    return status;
}
