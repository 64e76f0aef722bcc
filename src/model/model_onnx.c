/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model_onnx.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "model/model.h"
#include "onnx/graph.h"

/* ---- From the input to scaled rows ------------------------------------------------- */

static const char *add_row(struct onnx_graph *graph, size_t features, const float *values)
{
    int64_t shape = (int64_t)features;
    return onnx_graph_floats(graph, 1, &shape, values);
}

static const char *add_clip(struct onnx_graph *graph, const char *x, float least,
                            float most)
{
    return onnx_graph_node(graph, "Clip",
                           (const char *const[]){x, onnx_graph_float(graph, least),
                                                 onnx_graph_float(graph, most), NULL},
                           NULL);
}

/* scaler_apply() */
static const char *add_scaler(struct onnx_graph *graph, const struct scaler *scaler,
                              const char *x)
{
    bool bends = scaler->kind == SCALER_ASINH;
    float limit = bends ? SCALER_ASINH_LIMIT : SCALER_LINEAR_LIMIT;
    const char *missing = onnx_graph_apply(graph, "IsNaN", x, NULL);
    const char *impute = add_row(graph, scaler->features, scaler->impute);
    const char *whole = onnx_graph_node(
        graph, "Where", (const char *const[]){missing, impute, x, NULL}, NULL);
    const char *moved = onnx_graph_apply(
        graph, "Sub", whole, add_row(graph, scaler->features, scaler->offset));
    const char *finite = add_clip(graph, moved, -FLT_MAX, FLT_MAX);
    const char *scaled = onnx_graph_apply(
        graph, "Mul", finite, add_row(graph, scaler->features, scaler->scale));
    const char *clipped = add_clip(graph, scaled, -limit, limit);
    return bends ? onnx_graph_apply(graph, "Asinh", clipped, NULL) : clipped;
}

/* ---- From raw scores to the score -------------------------------------------------- */

/* component_add_normalised(): the difference in double, as there. */
static const char *add_normalised(struct onnx_graph *graph,
                                  const struct component *component, const char *raw)
{
    const struct onnx_attribute to_double[] = {ONNX_INT("to", ONNX_DOUBLE),
                                               {.name = NULL}};
    const struct onnx_attribute to_float[] = {ONNX_INT("to", ONNX_FLOAT), {.name = NULL}};
    double q50, factor;
    float least;
    component_normalisation(component, &least, &q50, &factor);
    const char *log =
        onnx_graph_apply(graph, "Log", add_clip(graph, raw, least, FLT_MAX), NULL);
    const char *wide =
        onnx_graph_node(graph, "Cast", (const char *const[]){log, NULL}, to_double);
    const char *above =
        onnx_graph_apply(graph, "Sub", wide, onnx_graph_double(graph, q50));
    const char *value =
        onnx_graph_apply(graph, "Mul", above, onnx_graph_double(graph, factor));
    return onnx_graph_node(graph, "Cast", (const char *const[]){value, NULL}, to_float);
}

static int add_score(struct onnx_graph *graph, const struct deepsad_model *model,
                     const char *z, const char **score, struct deepsad_error *error)
{
    const char *sum = NULL;
    for (size_t j = 0; j < model->component_count; j++) {
        const struct component *component = model->components[j];
        const char *raw;
        int status = component->ops->onnx(component, graph, z, &raw, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        const char *value = model->raw ? raw : add_normalised(graph, component, raw);
        sum = sum == NULL ? value : onnx_graph_apply(graph, "Add", sum, value);
    }
    if (!model->raw) {
        sum = onnx_graph_apply(graph, "Mul", sum,
                               onnx_graph_float(graph, (float)(1 / model->weight_sum)));
    }
    const char *known = onnx_graph_node(
        graph, "Where",
        (const char *const[]){onnx_graph_apply(graph, "IsNaN", sum, NULL),
                              onnx_graph_float(graph, FLT_MAX), sum, NULL},
        NULL);
    *score = add_clip(graph, known, -FLT_MAX, FLT_MAX);
    return DEEPSAD_OK;
}

/* ---- From the score to the p-value ------------------------------------------------- */

/* One step of the search for how many calibration scores are below: from (rows) on there
 * are `step` more, if the last of them is. */
static const char *add_step(struct onnx_graph *graph, const char *sorted,
                            const char *score, const char *from, int64_t step)
{
    const struct onnx_attribute to_int[] = {ONNX_INT("to", ONNX_INT64), {.name = NULL}};
    const char *last = onnx_graph_ints(graph, 1, (int64_t[]){step - 1});
    const char *place = onnx_graph_apply(graph, "Add", from, last);
    const char *value = onnx_graph_apply(graph, "Gather", sorted, place);
    const char *below = onnx_graph_apply(graph, "Less", value, score);
    const char *bit =
        onnx_graph_node(graph, "Cast", (const char *const[]){below, NULL}, to_int);
    const char *more =
        onnx_graph_apply(graph, "Mul", bit, onnx_graph_ints(graph, 1, (int64_t[]){step}));
    return onnx_graph_apply(graph, "Add", from, more);
}

/* calibration_p_values() by binary search in steps of powers of two, so that memory does
 * not grow with rows times calibration scores. */
static int add_p_value(struct onnx_graph *graph, const struct calibration *calibration,
                       const char *score, const char **p_value,
                       struct deepsad_error *error)
{
    const struct onnx_attribute to_int[] = {ONNX_INT("to", ONNX_INT64), {.name = NULL}};
    int64_t size = 1, count = (int64_t)calibration->count + 1;
    while (size <= (int64_t)calibration->count) {
        size *= 2;
    }
    float *padded = malloc((size_t)size * sizeof *padded);
    if (padded == NULL) {
        return error_no_memory(error, "the graph of p-values");
    }
    for (int64_t i = 0; i < size; i++) {
        padded[i] = i + 1 < count ? calibration->scores[i] : INFINITY;
    }
    const char *sorted = onnx_graph_floats(graph, 1, &size, padded);
    const char *zeros = onnx_graph_apply(graph, "Mul", score, onnx_graph_float(graph, 0));
    const char *from =
        onnx_graph_node(graph, "Cast", (const char *const[]){zeros, NULL}, to_int);
    for (int64_t step = size / 2; step > 0; step /= 2) {
        from = add_step(graph, sorted, score, from, step);
    }
    const char *table = onnx_graph_floats(graph, 1, &count, calibration->p_values);
    *p_value = onnx_graph_apply(graph, "Gather", table, from);
    free(padded);
    return DEEPSAD_OK;
}

/* ---- The whole --------------------------------------------------------------------- */

static void add_metadata(struct onnx_graph *graph, const struct deepsad_model *model)
{
    char text[32];
    float threshold;
    json_t *names = json_array();
    for (size_t i = 0; i < model->features; i++) {
        json_array_append_new(names, json_string(model->names[i]));
    }
    char *list = json_print(names, JSON_COMPACT);
    if (list != NULL) {
        onnx_graph_metadata(graph, "deepsad.features", list);
    }
    free(list);
    json_decref(names);
    snprintf(text, sizeof text, "%.9g", model->alpha);
    onnx_graph_metadata(graph, "deepsad.alpha", text);
    if (deepsad_model_threshold(model, model->alpha, &threshold)) {
        snprintf(text, sizeof text, "%.9g", (double)threshold);
        onnx_graph_metadata(graph, "deepsad.threshold", text);
    }
    if (model->manifest != NULL) {
        onnx_graph_metadata(graph, "deepsad.card", model->manifest);
    }
}

static int build(struct onnx_graph *graph, const struct deepsad_model *model,
                 struct deepsad_error *error)
{
    const int64_t rows[] = {-1, (int64_t)model->features};
    const char *score, *p_value;
    onnx_graph_input(graph, "input", 2, rows);
    onnx_graph_output(graph, "score", 1, rows);
    onnx_graph_output(graph, "p_value", 1, rows);
    const char *z = add_scaler(graph, &model->scaler, "input");
    int status = add_score(graph, model, z, &score, error);
    if (status == DEEPSAD_OK) {
        status = add_p_value(graph, &model->calibration, score, &p_value, error);
    }
    if (status == DEEPSAD_OK) {
        onnx_graph_name(graph, score, "score");
        onnx_graph_name(graph, p_value, "p_value");
        add_metadata(graph, model);
    }
    return status;
}

int deepsad_model_export_onnx(const struct deepsad_model *model, const char *path,
                              struct deepsad_error *error)
{
    struct onnx_graph *graph;
    struct buffer out = {0};
    int status = onnx_graph_new(&graph, error);
    if (status == DEEPSAD_OK) {
        status = build(graph, model, error);
    }
    if (status == DEEPSAD_OK) {
        status = onnx_graph_write(graph, &out, DEEPSAD_VERSION, error);
    }
    if (status == DEEPSAD_OK) {
        status = file_replace(path, out.data, out.length, error);
    }
    buffer_done(&out);
    onnx_graph_free(graph);
    return status;
}
