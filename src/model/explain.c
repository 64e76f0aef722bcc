/* SPDX-License-Identifier: Apache-2.0 */
#include "model/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "model/scoring.h"

enum { NODES = EXPLAIN_NODES, BLOCK = COMPONENT_GRADIENT_ROWS };

_Static_assert((int)NODES % (int)BLOCK == 0, "nodes are whole blocks of gradients");
_Static_assert((int)NODES <= (int)COMPONENT_BLOCK, "nodes are scored in one block");

/* Views into a workspace's memory. */
struct path {
    size_t features;
    float *z;        /* (NODES, features): from the reference to the row */
    float *gradient; /* (features, BLOCK) */
    float *shares;   /* (features) */
    double *parts;   /* (features) of one component */
    double *sums;    /* (features) of all */
    float *scratch;
    float raw[MODEL_COMPONENTS_MAX][NODES];
};

/* ---- Memory ---- */

static size_t round_up(size_t floats)
{
    size_t lane = SIMD_ALIGN / sizeof(float);
    return (floats + lane - 1) / lane * lane;
}

static size_t largest_scratch(const struct deepsad_model *model)
{
    size_t largest = 0;
    for (size_t j = 0; j < model->component_count; j++) {
        const struct component *component = model->components[j];
        size_t needed = component->ops->scratch(component);
        largest = needed > largest ? needed : largest;
        needed = component->ops->gradient_scratch(component);
        largest = needed > largest ? needed : largest;
    }
    return largest;
}

static int lay_out(struct path *path, struct deepsad_workspace *workspace,
                   const struct deepsad_model *model, struct deepsad_error *error)
{
    size_t row = round_up(model->features);
    size_t doubles = round_up(2 * model->features);
    size_t rows = round_up(NODES * model->features);
    size_t gradient = BLOCK * model->features;
    float *at = workspace_reserve(
        workspace, rows + gradient + row + 2 * doubles + round_up(largest_scratch(model)),
        error);
    if (at == NULL) {
        return DEEPSAD_NO_MEMORY;
    }
    path->features = model->features;
    path->z = at;
    path->gradient = at += rows;
    path->shares = at += gradient;
    path->parts = (double *)(void *)(at += row);
    path->sums = (double *)(void *)(at += doubles);
    path->scratch = at + doubles;
    return DEEPSAD_OK;
}

/* ---- The line from the reference to the row ---- */

static float node_at(size_t node)
{
    return (float)node / (float)(NODES - 1);
}

SIMD_CLONES
static void interpolate(float *restrict z, const float *restrict from,
                        const float *restrict to, float t, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        z[j] = from[j] + t * (to[j] - from[j]);
    }
}

static const float *last_node(const struct path *path)
{
    return path->z + (NODES - 1) * path->features;
}

static void draw_line(struct path *path, const struct deepsad_model *model,
                      const float *x)
{
    size_t features = path->features;
    float *last = path->z + (NODES - 1) * features;
    scaler_apply(&model->scaler, path->z, model->scaler.impute, 1);
    scaler_apply(&model->scaler, last, x, 1);
    for (size_t i = 1; i < NODES - 1; i++) {
        interpolate(path->z + i * features, path->z, last, node_at(i), features);
    }
}

/* How the score at the first and the last node, and all raw scores between, come out. */
static void score_line(struct path *path, const struct deepsad_model *model,
                       float ends[static 2])
{
    float raw[MODEL_COMPONENTS_MAX][2];
    float *views[MODEL_COMPONENTS_MAX] = {NULL};
    for (size_t j = 0; j < model->component_count; j++) {
        const struct component *component = model->components[j];
        component->ops->score(component, path->raw[j], path->z, NODES, path->scratch);
        raw[j][0] = path->raw[j][0];
        raw[j][1] = path->raw[j][NODES - 1];
        views[j] = raw[j];
    }
    model_blend(model, ends, views, 2);
}

/* ---- One component's parts ---- */

/* Weights of the nodes' gradients in the integral. */
static void weigh_nodes(double weights[static NODES], const struct deepsad_model *model,
                        const struct component *component, const float raw[static NODES])
{
    memset(weights, 0, NODES * sizeof *weights);
    for (size_t i = 0; i + 1 < NODES; i++) {
        double slope =
            model->raw ? 1 : component_mean_slope(component, raw[i], raw[i + 1]);
        double half = slope * (double)(node_at(i + 1) - node_at(i)) / 2;
        weights[i] += half;
        weights[i + 1] += half;
    }
}

SIMD_CLONES
static void add_weighted(double *restrict parts, const float *restrict gradient,
                         const double *restrict weights, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t r = 0; r < BLOCK; r++) {
            sum += (double)gradient[j * BLOCK + r] * weights[r];
        }
        parts[j] += sum;
    }
}

static void integrate(struct path *path, const struct component *component,
                      const double weights[static NODES])
{
    size_t features = path->features;
    memset(path->parts, 0, features * sizeof *path->parts);
    for (size_t i = 0; i < NODES; i += BLOCK) {
        component->ops->gradient(component, path->gradient, path->z + i * features,
                                 path->scratch);
        add_weighted(path->parts, path->gradient, weights + i, features);
    }
    const float *last = last_node(path);
    for (size_t j = 0; j < features; j++) {
        path->parts[j] *= (double)last[j] - (double)path->z[j];
    }
}

static void take_shares(struct path *path, const struct component *component)
{
    const float *last = last_node(path);
    component->ops->shares(component, path->shares, last);
    for (size_t j = 0; j < path->features; j++) {
        path->parts[j] = last[j] == path->z[j] ? 0 : (double)path->shares[j];
    }
}

/* Makes the parts sum to `total`: what is missing is added in proportion to their sizes,
 * and where all are 0, to how far each feature is from the reference. */
static void complete(double *parts, double total, const struct path *path)
{
    const float *last = last_node(path);
    double sum = 0, size = 0, distance = 0;
    for (size_t j = 0; j < path->features; j++) {
        parts[j] = isfinite(parts[j]) ? parts[j] : 0;
        sum += parts[j];
        size += fabs(parts[j]);
        distance += fabs((double)last[j] - (double)path->z[j]);
    }
    double missing = total - sum;
    for (size_t j = 0; j < path->features; j++) {
        if (size > 0) {
            parts[j] += missing * (fabs(parts[j]) / size);
        } else if (distance > 0) {
            parts[j] = missing * (fabs((double)last[j] - (double)path->z[j]) / distance);
        }
    }
}

/* The component's own part of the difference in score. */
static double difference(const struct deepsad_model *model,
                         const struct component *component, const float raw[static NODES])
{
    if (model->raw) {
        return (double)raw[NODES - 1] - (double)raw[0];
    }
    float ends[2] = {raw[0], raw[NODES - 1]};
    float normalised[2] = {0, 0};
    component_add_normalised(component, normalised, ends, 2);
    return ((double)normalised[1] - (double)normalised[0]) / model->weight_sum;
}

static void add_component(struct path *path, const struct deepsad_model *model, size_t j)
{
    const struct component *component = model->components[j];
    if (component->ops->shares != NULL) {
        take_shares(path, component);
    } else {
        double weights[NODES];
        weigh_nodes(weights, model, component, path->raw[j]);
        integrate(path, component, weights);
        double factor = model->raw ? 1 : component->weight / model->weight_sum;
        for (size_t k = 0; k < path->features; k++) {
            path->parts[k] *= factor;
        }
    }
    complete(path->parts, difference(model, component, path->raw[j]), path);
    for (size_t k = 0; k < path->features; k++) {
        path->sums[k] += path->parts[k];
    }
}

/* ---- The whole ---- */

int deepsad_explain(const struct deepsad_model *model,
                    struct deepsad_workspace *workspace, float *base,
                    float *contributions, const float *x, struct deepsad_error *error)
{
    struct path path;
    float ends[2];
    int status = lay_out(&path, workspace, model, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    draw_line(&path, model, x);
    score_line(&path, model, ends);
    memset(path.sums, 0, path.features * sizeof *path.sums);
    for (size_t j = 0; j < model->component_count; j++) {
        add_component(&path, model, j);
    }
    complete(path.sums, (double)ends[1] - (double)ends[0], &path);
    for (size_t k = 0; k < path.features; k++) {
        contributions[k] = component_clamp((float)path.sums[k]);
    }
    *base = ends[0];
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
