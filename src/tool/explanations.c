/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/explanations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "data/dataset.h"
#include "model/explain.h"

void explanations_done(struct explanations *explanations)
{
    deepsad_model_unref(explanations->model);
    free(explanations->bases);
    free(explanations->features);
}

/* ---- Making ---- */

/* Memory of one row's explanation, used again for the next. */
struct scratch {
    struct deepsad_workspace *workspace;
    float *contributions; /* (features) */
    uint32_t *order;      /* (features) */
};

static int explain_row(struct explanations *out, const struct scratch *scratch,
                       const float *x, size_t features, size_t row,
                       struct deepsad_error *error)
{
    int status = deepsad_explain(out->model, scratch->workspace, &out->bases[row],
                                 scratch->contributions, x, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    explain_order(scratch->order, scratch->contributions, features);
    for (size_t k = 0; k < out->count; k++) {
        uint32_t index = scratch->order[k];
        out->features[row * out->count + k] =
            (struct explained_feature){index, x[index], scratch->contributions[index]};
    }
    return DEEPSAD_OK;
}

int explanations_make(struct explanations *out, struct deepsad_model *model,
                      const struct deepsad_dataset *dataset, size_t count,
                      struct deepsad_error *error)
{
    size_t features = dataset->features, rows = dataset->rows;
    struct explanations made = {.count = count < features ? count : features};
    struct scratch scratch = {.workspace = deepsad_workspace_new(),
                              .contributions = calloc(features, sizeof(float)),
                              .order = calloc(features, sizeof(uint32_t))};
    made.bases = calloc(rows + 1, sizeof *made.bases);
    /* no overflow: the data set holds as many floats */
    made.features = calloc(rows * made.count + 1, sizeof *made.features);
    made.model = deepsad_model_ref(model);
    int status = DEEPSAD_OK;
    if (scratch.workspace == NULL || scratch.contributions == NULL ||
        scratch.order == NULL || made.bases == NULL || made.features == NULL) {
        status = error_no_memory(error, "explanations");
    }
    for (size_t i = 0; i < rows && status == DEEPSAD_OK; i++) {
        status =
            explain_row(&made, &scratch, dataset->x + i * features, features, i, error);
    }
    deepsad_workspace_free(scratch.workspace);
    free(scratch.contributions);
    free(scratch.order);
    if (status != DEEPSAD_OK) {
        explanations_done(&made);
        return status;
    }
    *out = made;
    return DEEPSAD_OK;
}

/* ---- Forms ---- */

static void append_float(struct buffer *out, float value)
{
    char *room = buffer_reserve(out, NUMBER_FLOAT_MAX);
    if (room != NULL) {
        out->length += number_format_float(room, value);
    }
}

void explanations_append_header(struct buffer *out, const struct explanations *e)
{
    buffer_append_text(out, ",base");
    for (size_t k = 1; k <= e->count; k++) {
        buffer_printf(out, ",top%zu_feature,top%zu_contribution", k, k);
    }
}

void explanations_append_csv(struct buffer *out, const struct explanations *e, size_t row)
{
    buffer_append(out, ",", 1);
    append_float(out, e->bases[row]);
    for (size_t k = 0; k < e->count; k++) {
        const struct explained_feature *feature = &e->features[row * e->count + k];
        buffer_append(out, ",", 1);
        dataset_append_name(out, deepsad_model_feature_name(e->model, feature->index));
        buffer_append(out, ",", 1);
        append_float(out, feature->contribution);
    }
}

void explanations_append_json(struct buffer *out, const struct explanations *e,
                              size_t row)
{
    buffer_append_text(out, ",\"base\":");
    append_float(out, e->bases[row]);
    buffer_append_text(out, ",\"explanation\":[");
    for (size_t k = 0; k < e->count; k++) {
        const struct explained_feature *feature = &e->features[row * e->count + k];
        const char *name = deepsad_model_feature_name(e->model, feature->index);
        buffer_append_text(out, k > 0 ? ",{\"feature\":" : "{\"feature\":");
        buffer_append_json_string(out, name, strlen(name));
        buffer_append_text(out, ",\"value\":");
        if (isfinite(feature->value)) {
            append_float(out, feature->value);
        } else {
            buffer_append_text(out, "null");
        }
        buffer_append_text(out, ",\"contribution\":");
        append_float(out, feature->contribution);
        buffer_append(out, "}", 1);
    }
    buffer_append(out, "]", 1);
}
