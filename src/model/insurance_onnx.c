/* SPDX-License-Identifier: Apache-2.0 */
#include "model/insurance_onnx.h"

#include <stdlib.h>

#include "model/insurance.h"
#include "nn/neighbours.h"
#include "onnx/graph.h"

/* A member's features, and its samples as rows, (NEIGHBOURS_SAMPLES, features). */
static int add_member_constants(struct onnx_graph *graph, const struct neighbours *n,
                                size_t member, size_t first, const char **index,
                                const char **samples, struct deepsad_error *error)
{
    size_t count = n->member_features[member];
    int64_t *features = malloc((count + 1) * sizeof *features);
    float *rows = malloc((count + 1) * NEIGHBOURS_SAMPLES * sizeof *rows);
    if (features == NULL || rows == NULL) {
        free(features);
        free(rows);
        return error_no_memory(error, "the graph of nearest neighbours");
    }
    for (size_t j = 0; j < count; j++) {
        features[j] = (int64_t)n->feature_index[first + j];
        for (size_t s = 0; s < NEIGHBOURS_SAMPLES; s++) {
            rows[s * count + j] = n->samples[(first + j) * NEIGHBOURS_SAMPLES + s];
        }
    }
    int64_t shape[] = {NEIGHBOURS_SAMPLES, (int64_t)count};
    *index = onnx_graph_ints(graph, count, features);
    *samples = onnx_graph_floats(graph, 2, shape, rows);
    free(features);
    free(rows);
    return DEEPSAD_OK;
}

/* (rows, 1): the squared distance to the nearest sample. */
static const char *add_nearest(struct onnx_graph *graph, const char *z, const char *index,
                               const char *samples, const char *axis)
{
    const struct onnx_attribute columns[] = {ONNX_INT("axis", 1), {.name = NULL}};
    const struct onnx_attribute features[] = {{"axes", ONNX_ATTRIBUTE_INTS, 0, 0, {2}, 1},
                                              ONNX_INT("keepdims", 0),
                                              {.name = NULL}};
    const struct onnx_attribute nearest[] = {{"axes", ONNX_ATTRIBUTE_INTS, 0, 0, {1}, 1},
                                             ONNX_INT("keepdims", 1),
                                             {.name = NULL}};
    const char *chosen =
        onnx_graph_node(graph, "Gather", (const char *const[]){z, index, NULL}, columns);
    const char *rows = onnx_graph_apply(graph, "Unsqueeze", chosen, axis);
    const char *difference = onnx_graph_apply(graph, "Sub", rows, samples);
    const char *squares = onnx_graph_node(
        graph, "ReduceSumSquare", (const char *const[]){difference, NULL}, features);
    return onnx_graph_node(graph, "ReduceMin", (const char *const[]){squares, NULL},
                           nearest);
}

/* mean_i v_i / (1 + v_i), v_i = sqrt(squares_i) scale_i. */
static const char *add_mean(struct onnx_graph *graph, const char *squares,
                            const struct neighbours *n)
{
    const struct onnx_attribute members[] = {{"axes", ONNX_ATTRIBUTE_INTS, 0, 0, {1}, 1},
                                             ONNX_INT("keepdims", 0),
                                             {.name = NULL}};
    int64_t count = (int64_t)n->members;
    const char *distance = onnx_graph_apply(graph, "Sqrt", squares, NULL);
    const char *scale = onnx_graph_floats(graph, 1, &count, n->inverse_scale);
    const char *v = onnx_graph_apply(graph, "Mul", distance, scale);
    const char *one = onnx_graph_float(graph, 1);
    const char *more = onnx_graph_apply(graph, "Add", v, one);
    const char *share = onnx_graph_apply(graph, "Div", v, more);
    return onnx_graph_node(graph, "ReduceMean", (const char *const[]){share, NULL},
                           members);
}

int insurance_onnx(const struct component *component, struct onnx_graph *graph,
                   const char *z, const char **raw, struct deepsad_error *error)
{
    const struct neighbours *n = insurance_neighbours(component);
    const struct onnx_attribute columns[] = {ONNX_INT("axis", 1), {.name = NULL}};
    const char **all = calloc(n->members + 1, sizeof(char *));
    if (all == NULL) {
        return error_no_memory(error, "the graph of nearest neighbours");
    }
    const char *axis = onnx_graph_ints(graph, 1, (int64_t[]){1});
    int status = DEEPSAD_OK;
    for (size_t i = 0, first = 0; i < n->members && status == DEEPSAD_OK; i++) {
        const char *index, *samples;
        status = add_member_constants(graph, n, i, first, &index, &samples, error);
        if (status == DEEPSAD_OK) {
            all[i] = add_nearest(graph, z, index, samples, axis);
        }
        first += n->member_features[i];
    }
    if (status == DEEPSAD_OK) {
        *raw = add_mean(graph, onnx_graph_node(graph, "Concat", all, columns), n);
    }
    free(all);
    return status;
}
