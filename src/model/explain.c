/* SPDX-License-Identifier: Apache-2.0 */
#include "model/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "model/scoring.h"

enum { NODES = EXPLAIN_NODES };

_Static_assert((int)NODES == (int)COMPONENT_GRADIENT_ROWS,
               "a component's gradients at all nodes are one call");

/* Views into a workspace's memory. */
struct path {
    size_t features;
    float *nodes;    /* (NODES, features): from the reference to the row */
    float *gradient; /* (features, NODES) of one component */
    float *raw;      /* (NODES) of one component */
    float *ends;     /* (2, features): the scaled reference, the scaled row */
    double *parts;   /* (features) of one component */
    double *sums;    /* (features) of all */
    float *scratch;
};

/* ---- Memory ---- */

static size_t largest_scratch(const struct deepsad_model *model)
{
    size_t largest = 0;
    for (size_t j = 0; j < model->component_count; j++) {
        const struct component *component = model->components[j];
        size_t scoring = component->ops->scratch(component);
        size_t gradient = component->ops->gradient_scratch(component);
        largest = scoring > largest ? scoring : largest;
        largest = gradient > largest ? gradient : largest;
    }
    return largest;
}

static int lay_out(struct path *path, struct deepsad_workspace *workspace,
                   const struct deepsad_model *model, struct deepsad_error *error)
{
    const size_t rows = NODES * model->features; /* whole cache lines */
    const size_t pair = simd_round_up(2 * model->features);
    size_t floats = 2 * rows + NODES + 3 * pair + simd_round_up(largest_scratch(model));
    float *at = workspace_reserve(workspace, floats, error);
    if (at == NULL) {
        return DEEPSAD_NO_MEMORY;
    }
    path->features = model->features;
    path->nodes = at;
    path->gradient = path->nodes + rows;
    path->raw = path->gradient + rows;
    path->ends = path->raw + NODES;
    path->parts = (double *)(void *)(path->ends + pair);
    path->sums = (double *)(void *)(path->ends + 2 * pair);
    path->scratch = path->ends + 3 * pair;
    return DEEPSAD_OK;
}

/* ---- The line from the reference to the row ---- */

/* Denser towards the reference, where raw scores are small and logarithms steep. */
static float node_at(size_t node)
{
    float share = (float)node / (float)(NODES - 1);
    return share * sqrtf(share);
}

/* How far the row is from the reference. */
static double way(const struct path *path, size_t feature)
{
    return (double)path->ends[path->features + feature] - (double)path->ends[feature];
}

SIMD_CLONES
static void interpolate(float *restrict node, const float *restrict from,
                        const float *restrict to, float t, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        node[j] = from[j] + t * (to[j] - from[j]);
    }
}

static void draw_line(struct path *path, const struct deepsad_model *model,
                      const float *x)
{
    size_t features = path->features;
    scaler_apply(&model->scaler, path->ends, model->scaler.impute, 1);
    scaler_apply(&model->scaler, path->ends + features, x, 1);
    for (size_t i = 0; i < NODES; i++) {
        interpolate(path->nodes + i * features, path->ends, path->ends + features,
                    node_at(i), features);
    }
}

/* ---- One component's parts ---- */

/* Weights of the nodes' gradients in the integral. */
static void weigh_nodes(double weights[static NODES], const struct deepsad_model *model,
                        const struct component *component, const float raw[static NODES])
{
    double factor = component->weight / model->weight_sum;
    memset(weights, 0, NODES * sizeof *weights);
    for (size_t i = 0; i + 1 < NODES; i++) {
        double slope = 1;
        if (!model->raw) {
            slope = factor * component_mean_slope(component, raw[i], raw[i + 1]);
        }
        double half = slope * (double)(node_at(i + 1) - node_at(i)) / 2;
        weights[i] += half;
        weights[i + 1] += half;
    }
}

SIMD_CLONES
static void weigh_gradients(double *restrict parts, const float *restrict gradient,
                            const double *restrict weights, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t r = 0; r < NODES; r++) {
            sum += (double)gradient[j * NODES + r] * weights[r];
        }
        parts[j] = sum;
    }
}

static void integrate(struct path *path, const struct deepsad_model *model,
                      const struct component *component)
{
    double weights[NODES];
    component->ops->gradient(component, path->gradient, path->raw, path->nodes,
                             path->scratch);
    weigh_nodes(weights, model, component, path->raw);
    weigh_gradients(path->parts, path->gradient, weights, path->features);
    for (size_t j = 0; j < path->features; j++) {
        path->parts[j] *= way(path, j);
    }
}

/* A feature that is as in the reference has no part in a difference from it. */
static void take_shares(struct path *path, const struct component *component)
{
    float *shares = path->gradient;
    component->ops->shares(component, shares, path->ends + path->features);
    for (size_t j = 0; j < path->features; j++) {
        path->parts[j] = way(path, j) == 0 ? 0 : (double)shares[j];
    }
}

/* Makes the parts sum to `total`: what is missing is added in proportion to their sizes,
 * and where all are 0, to how far each feature is from the reference. */
static void complete(double *parts, double total, const struct path *path)
{
    double sum = 0, size = 0, distance = 0;
    for (size_t j = 0; j < path->features; j++) {
        parts[j] = isfinite(parts[j]) ? parts[j] : 0;
        sum += parts[j];
        size += fabs(parts[j]);
        distance += fabs(way(path, j));
    }
    double missing = total - sum;
    for (size_t j = 0; j < path->features && distance > 0; j++) {
        double share = size > 0 ? fabs(parts[j]) / size : fabs(way(path, j)) / distance;
        parts[j] += missing * share;
    }
}

/* The component's own part of the difference in score, from its raw scores at the ends.
 */
static double difference(const struct deepsad_model *model,
                         const struct component *component, const float raw[static 2])
{
    if (model->raw) {
        return (double)component_clamp(raw[1]) - (double)component_clamp(raw[0]);
    }
    float normalised[2] = {0, 0};
    component_add_normalised(component, normalised, raw, 2);
    return ((double)normalised[1] - (double)normalised[0]) / model->weight_sum;
}

static void add_component(struct path *path, const struct deepsad_model *model,
                          const struct component *component, const float raw[static 2])
{
    if (component->ops->shares != NULL) {
        take_shares(path, component);
    } else {
        integrate(path, model, component);
    }
    complete(path->parts, difference(model, component, raw), path);
    for (size_t j = 0; j < path->features; j++) {
        path->sums[j] += path->parts[j];
    }
}

/* ---- The whole ---- */

/* scores: of the reference and of the row. */
static void share_out(struct path *path, const struct deepsad_model *model,
                      float scores[static 2])
{
    float raw[MODEL_COMPONENTS_MAX][2];
    float *views[MODEL_COMPONENTS_MAX] = {NULL};
    memset(path->sums, 0, path->features * sizeof *path->sums);
    for (size_t k = 0; k < model->component_count; k++) {
        const struct component *component = model->components[k];
        component->ops->score(component, raw[k], path->ends, 2, path->scratch);
        add_component(path, model, component, raw[k]);
        views[k] = raw[k];
    }
    model_blend(model, scores, views, 2);
    complete(path->sums, (double)scores[1] - (double)scores[0], path);
}

int deepsad_explain(const struct deepsad_model *model,
                    struct deepsad_workspace *workspace, float *base,
                    float *contributions, const float *x, struct deepsad_error *error)
{
    struct path path;
    float scores[2];
    int status = lay_out(&path, workspace, model, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    draw_line(&path, model, x);
    share_out(&path, model, scores);
    for (size_t j = 0; j < path.features; j++) {
        contributions[j] = component_clamp((float)path.sums[j]);
    }
    *base = scores[0];
    return DEEPSAD_OK;
}

static int compare(const void *a, const void *b, void *closure)
{
    const float *contributions = closure;
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    float size = fabsf(contributions[one]), other_size = fabsf(contributions[other]);
    return size != other_size ? (size < other_size ? 1 : -1)
                              : (one > other) - (one < other);
}

void explain_order(uint32_t *order, const float *contributions, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        order[j] = (uint32_t)j;
    }
    qsort_r(order, features, sizeof *order, compare, (void *)(uintptr_t)contributions);
}
