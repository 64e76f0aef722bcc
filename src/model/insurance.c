/* SPDX-License-Identifier: Apache-2.0 */
#include "model/insurance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/insurance_onnx.h"
#include "nn/neighbours.h"
#include "nn/neighbours_shares.h"

struct insurance {
    struct component component;
    struct neighbours *neighbours;
    float *raw; /* (rows) between fit and finish */
};

/* Indices are kept as floats, the format's only type: exact below 2^24. */
enum { INSURANCE_INDEX_MAX = 1 << 24 };

const struct neighbours *insurance_neighbours(const struct component *component)
{
    return ((const struct insurance *)component)->neighbours;
}

int insurance_new(struct component **out, double weight, struct deepsad_error *error)
{
    struct insurance *insurance = calloc(1, sizeof *insurance);
    if (insurance == NULL) {
        return error_no_memory(error, "a component");
    }
    insurance->component = (struct component){.ops = &insurance_ops, .weight = weight};
    *out = &insurance->component;
    return DEEPSAD_OK;
}

static void insurance_free(struct component *component)
{
    struct insurance *insurance = (struct insurance *)component;
    neighbours_free(insurance->neighbours);
    free(insurance->raw);
    free(insurance);
}

static size_t insurance_tasks(const struct component *component)
{
    (void)component;
    return 1;
}

/* Two passes over all rows; members look at two features in five on average. */
static double insurance_work(const struct component *component,
                             const struct training *training)
{
    (void)component;
    return (double)training->rows * (double)training->features * NEIGHBOURS_SAMPLES *
           (double)training->plan->neighbours_options.members * 2 * 0.4;
}

static int insurance_prepare(struct component *component, const struct training *training,
                             struct deepsad_error *error)
{
    struct insurance *insurance = (struct insurance *)component;
    insurance->raw = calloc(training->rows + 1, sizeof *insurance->raw);
    return insurance->raw == NULL ? error_no_memory(error, "scores") : DEEPSAD_OK;
}

static int insurance_fit(struct component *component, const struct training *training,
                         size_t task, struct deepsad_error *error)
{
    (void)task;
    struct insurance *insurance = (struct insurance *)component;
    struct neighbours_options options = training->plan->neighbours_options;
    options.seed = training->seed;
    size_t fitted = training->unlabeled + training->normals;
    struct monitor_phase phase;
    monitor_phase_start(&phase, training->monitor, "neighbours", 0, 1,
                        insurance_work(component, training));
    int status = neighbours_fit(&insurance->neighbours, insurance->raw, training->z,
                                fitted, training->features, &options, error);
    if (status == DEEPSAD_OK) {
        neighbours_score(insurance->neighbours, insurance->raw + fitted,
                         training->z + fitted * training->features, training->anomalies);
        monitor_phase_end(&phase);
    }
    return status;
}

static int insurance_finish(struct component *component, const struct training *training,
                            float *raw, struct deepsad_error *error)
{
    (void)error;
    struct insurance *insurance = (struct insurance *)component;
    memcpy(raw, insurance->raw, training->rows * sizeof *raw);
    free(insurance->raw);
    insurance->raw = NULL;
    return DEEPSAD_OK;
}

static size_t insurance_scratch(const struct component *component)
{
    (void)component;
    return 0;
}

static void insurance_score(const struct component *component, float *raw, const float *z,
                            size_t rows, float *scratch)
{
    (void)scratch;
    neighbours_score(((const struct insurance *)component)->neighbours, raw, z, rows);
}

static void insurance_shares(const struct component *component, float *shares,
                             const float *z)
{
    neighbours_shares(((const struct insurance *)component)->neighbours, shares, z);
}

static size_t total_features(const struct neighbours *neighbours)
{
    size_t total = 0;
    for (size_t i = 0; i < neighbours->members; i++) {
        total += neighbours->member_features[i];
    }
    return total;
}

static int save_indices(struct safetensors_writer *writer, const char *name,
                        const uint32_t *values, size_t count, struct deepsad_error *error)
{
    float *floats = calloc(count + 1, sizeof *floats);
    if (floats == NULL) {
        return error_no_memory(error, name);
    }
    for (size_t i = 0; i < count; i++) {
        floats[i] = (float)values[i];
    }
    safetensors_writer_add(writer, name, count, 0, floats);
    free(floats);
    return DEEPSAD_OK;
}

static int insurance_describe(const struct component *component, json_t *card)
{
    const struct neighbours *n = ((const struct insurance *)component)->neighbours;
    json_int_t total = (json_int_t)total_features(n);
    return json_object_set_new(card, "members", json_integer((json_int_t)n->members)) |
           json_object_set_new(card, "member_features", json_integer(total)) |
           json_object_set_new(card, "holds_training_rows", json_true());
}

static int insurance_save(const struct component *component,
                          struct safetensors_writer *writer, struct deepsad_error *error)
{
    const struct neighbours *n = ((const struct insurance *)component)->neighbours;
    size_t total = total_features(n);
    int status = save_indices(writer, "neighbours.member_features", n->member_features,
                              n->members, error);
    if (status == DEEPSAD_OK) {
        status = save_indices(writer, "neighbours.feature_index", n->feature_index, total,
                              error);
    }
    safetensors_writer_add(writer, "neighbours.samples", total, NEIGHBOURS_SAMPLES,
                           n->samples);
    safetensors_writer_add(writer, "neighbours.inverse_scale", n->members, 0,
                           n->inverse_scale);
    return status;
}

static int load_indices(uint32_t *out, const struct safetensors *file, const char *name,
                        size_t count, size_t limit, struct deepsad_error *error)
{
    float *floats = calloc(count + 1, sizeof *floats);
    if (floats == NULL) {
        return error_no_memory(error, name);
    }
    int status = safetensors_copy(floats, file, name, count, 0, error);
    for (size_t i = 0; i < count && status == DEEPSAD_OK; i++) {
        if (!(floats[i] >= 0 && floats[i] < (float)limit) ||
            floats[i] != floorf(floats[i])) {
            status = error_set(error, DEEPSAD_CORRUPT,
                               "tensor \"%s\": element %zu is not an index below %zu",
                               name, i, limit);
            break;
        }
        out[i] = (uint32_t)floats[i];
    }
    free(floats);
    return status;
}

static int load_arrays(struct neighbours *n, const struct safetensors *file, size_t total,
                       struct deepsad_error *error)
{
    int status = load_indices(n->member_features, file, "neighbours.member_features",
                              n->members, n->features + 1, error);
    if (status == DEEPSAD_OK && total_features(n) != total) {
        status = error_set(error, DEEPSAD_CORRUPT,
                           "tensor \"neighbours.member_features\": its sum is not the "
                           "%zu of the manifest",
                           total);
    }
    if (status == DEEPSAD_OK) {
        status = load_indices(n->feature_index, file, "neighbours.feature_index", total,
                              n->features, error);
    }
    if (status == DEEPSAD_OK) {
        status = safetensors_copy(n->samples, file, "neighbours.samples", total,
                                  NEIGHBOURS_SAMPLES, error);
    }
    return status != DEEPSAD_OK
               ? status
               : safetensors_copy(n->inverse_scale, file, "neighbours.inverse_scale",
                                  n->members, 0, error);
}

int insurance_load(struct component **out, const struct component_ops *ops,
                   const struct safetensors *file, const json_t *card,
                   struct image_shape input, struct deepsad_error *error)
{
    (void)ops;
    size_t features = image_size(input);
    json_int_t members = json_integer_value(json_object_get(card, "members"));
    json_int_t total = json_integer_value(json_object_get(card, "member_features"));
    if (members < 1 || members >= INSURANCE_INDEX_MAX || total < 0 ||
        total >= INSURANCE_INDEX_MAX || features >= INSURANCE_INDEX_MAX) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "manifest: neighbours: members or member_features out of range");
    }
    /* Before memory of the manifest's sizes is asked for, the file must hold as much. */
    const struct safetensors_tensor *samples, *scales;
    int status = safetensors_expect(&samples, file, "neighbours.samples", (size_t)total,
                                    NEIGHBOURS_SAMPLES, error);
    if (status == DEEPSAD_OK) {
        status = safetensors_expect(&scales, file, "neighbours.inverse_scale",
                                    (size_t)members, 0, error);
    }
    struct component *component = NULL;
    if (status == DEEPSAD_OK) {
        status = insurance_new(&component, 1, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct insurance *insurance = (struct insurance *)component;
    status = neighbours_new(&insurance->neighbours, features, (size_t)members,
                            (size_t)total, error);
    if (status == DEEPSAD_OK) {
        status = load_arrays(insurance->neighbours, file, (size_t)total, error);
    }
    if (status != DEEPSAD_OK) {
        component_free(component);
        return status;
    }
    *out = component;
    return DEEPSAD_OK;
}

const struct component_ops insurance_ops = {
    .kind = "neighbours",
    .tasks = insurance_tasks,
    .work = insurance_work,
    .prepare = insurance_prepare,
    .fit = insurance_fit,
    .finish = insurance_finish,
    .scratch = insurance_scratch,
    .score = insurance_score,
    .gradient_scratch = insurance_scratch,
    .shares = insurance_shares,
    .describe = insurance_describe,
    .save = insurance_save,
    .onnx = insurance_onnx,
    .free = insurance_free,
};
