/* SPDX-License-Identifier: Apache-2.0 */
#include "model/component.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/ensemble.h"
#include "model/ensemble_file.h"
#include "model/insurance.h"
#include "model/order.h"

/* Raw scores are about 1. So far below that they are the rounding of one processor and
 * not of another, which a logarithm would make much of. */
static const double raw_min = 1e-4;
static const double spread_min = 0.05;

void component_free(struct component *component)
{
    if (component != NULL) {
        component->ops->free(component);
    }
}

float component_clamp(float score)
{
    return score < FLT_MAX ? (score > -FLT_MAX ? score : -FLT_MAX) : FLT_MAX;
}

static float log_raw(float raw)
{
    return logf(fmaxf(component_clamp(isnan(raw) ? FLT_MAX : raw), (float)raw_min));
}

void component_normalisation(const struct component *component, float *least, double *q50,
                             double *factor)
{
    const struct normaliser *normaliser = &component->normaliser;
    *least = (float)raw_min;
    *q50 = normaliser->q50;
    *factor = component->weight / fmax(normaliser->q90 - normaliser->q50, spread_min);
}

void component_add_normalised(const struct component *component, float *sum,
                              const float *raw, size_t rows)
{
    double q50, factor;
    float least;
    component_normalisation(component, &least, &q50, &factor);
    for (size_t i = 0; i < rows; i++) {
        sum[i] += (float)(((double)log_raw(raw[i]) - q50) * factor);
    }
}

double component_mean_slope(const struct component *component, float a, float b)
{
    const struct normaliser *normaliser = &component->normaliser;
    double spread = fmax(normaliser->q90 - normaliser->q50, spread_min);
    double from = (double)component_clamp(a), to = (double)component_clamp(b);
    double low = fmax(fmin(from, to), raw_min);
    if (from == to) {
        return from > raw_min ? 1 / (from * spread) : 0;
    }
    double high = fmax(fmax(from, to), raw_min);
    return log1p((high - low) / low) / (fabs(to - from) * spread);
}

int component_fit_normaliser(struct component *component, const float *raw, size_t count,
                             struct deepsad_error *error)
{
    component->normaliser.q50 = 0;
    component->normaliser.q90 = 1;
    if (count == 0) {
        return DEEPSAD_OK;
    }
    float *logs = malloc(count * sizeof *logs);
    uint32_t *order = NULL;
    if (logs == NULL) {
        return error_no_memory(error, "a normaliser");
    }
    for (size_t i = 0; i < count; i++) {
        logs[i] = log_raw(raw[i]);
    }
    int status = order_ascending(&order, logs, count, error);
    if (status == DEEPSAD_OK) {
        component->normaliser.q50 = order_quantile(logs, order, count, 0.5);
        component->normaliser.q90 = order_quantile(logs, order, count, 0.9);
    }
    free(order);
    free(logs);
    return status;
}

json_t *component_describe(const struct component *component)
{
    json_t *card = json_pack("{s:s, s:f, s:{s:f, s:f}}", "kind", component->ops->kind,
                             "weight", component->weight, "normaliser", "q50",
                             component->normaliser.q50, "q90", component->normaliser.q90);
    if (card != NULL && component->ops->describe(component, card) != 0) {
        json_decref(card);
        return NULL;
    }
    return card;
}

static int load_common(struct component *component, const json_t *card,
                       struct deepsad_error *error)
{
    const json_t *normaliser = json_object_get(card, "normaliser");
    const json_t *weight = json_object_get(card, "weight");
    const json_t *q50 = json_object_get(normaliser, "q50");
    const json_t *q90 = json_object_get(normaliser, "q90");
    if (!json_is_number(weight) || !json_is_number(q50) || !json_is_number(q90) ||
        !(json_number_value(weight) > 0)) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "manifest: component \"%s\" lacks its weight or normaliser",
                         component->ops->kind);
    }
    component->weight = json_number_value(weight);
    component->normaliser.q50 = json_number_value(q50);
    component->normaliser.q90 = json_number_value(q90);
    return DEEPSAD_OK;
}

int component_load(struct component **out, const struct safetensors *file,
                   const json_t *card, struct image_shape input,
                   struct deepsad_error *error)
{
    static const struct {
        const struct component_ops *ops;
        int (*load)(struct component **out, const struct component_ops *ops,
                    const struct safetensors *file, const json_t *card,
                    struct image_shape input, struct deepsad_error *error);
    } kinds[] = {{&ensemble_networks, ensemble_load},
                 {&ensemble_reconstruction, ensemble_load},
                 {&ensemble_classifier, ensemble_load},
                 {&ensemble_autoencoder, ensemble_load},
                 {&insurance_ops, insurance_load}};
    const char *kind = json_string_value(json_object_get(card, "kind"));
    if (kind == NULL) {
        return error_set(error, DEEPSAD_CORRUPT, "manifest: a component has no kind");
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].ops->kind, kind) != 0) {
            continue;
        }
        struct component *component = NULL;
        int status = kinds[i].load(&component, kinds[i].ops, file, card, input, error);
        if (status == DEEPSAD_OK) {
            status = load_common(component, card, error);
        }
        if (status != DEEPSAD_OK) {
            component_free(component);
            return status;
        }
        *out = component;
        return DEEPSAD_OK;
    }
    return error_set(error, DEEPSAD_UNSUPPORTED,
                     "manifest: component \"%.32s\" is not known to deepsad %s; use the "
                     "version that wrote the model",
                     kind, DEEPSAD_VERSION);
}
