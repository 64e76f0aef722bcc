/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ensemble_onnx.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/ensemble.h"
#include "onnx/graph.h"

#define BATCH_NORM_EPSILON 1e-4 /* nn/network.h */
#define LEAKY_SLOPE 0.01F

/* A network's layers one after the other; `value` is what the last gave. */
struct chain {
    struct onnx_graph *graph;
    const struct network *network;
    const char *value;
    bool images; /* it has the shape (rows, channels, height, width) */
};

/* ---- Weights ----------------------------------------------------------------------- */

/* Of an output's channel: 1 / sqrt(variance + eps) and the mean, where a norm follows. */
struct folding {
    const float *mean, *variance;
};

static struct folding folding_of(const struct network *network, size_t index)
{
    const struct layer *norm = &network->layers[index + 1];
    bool follows = index + 1 < network->layer_count && norm->kind == LAYER_BATCH_NORM;
    return follows ? (struct folding){network->state + norm->mean,
                                      network->state + norm->variance}
                   : (struct folding){NULL, NULL};
}

static double scale_of(const struct folding *folding, size_t channel)
{
    return folding->variance == NULL
               ? 1
               : 1 / sqrt((double)folding->variance[channel] + BATCH_NORM_EPSILON);
}

/* weights (outer, channels, inner), each channel's times its scale. */
static const char *add_weights(struct chain *chain, const struct layer *layer,
                               const struct folding *folding, size_t outer,
                               size_t channels, size_t inner, size_t rank,
                               const int64_t *shape)
{
    const float *from = chain->network->params + layer->weight;
    float *weights = malloc(outer * channels * inner * sizeof *weights);
    if (weights == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < outer * channels * inner; i++) {
        weights[i] = (float)((double)from[i] * scale_of(folding, i / inner % channels));
    }
    const char *name = onnx_graph_floats(chain->graph, rank, shape, weights);
    free(weights);
    return name;
}

/* NULL: out of memory; "": there is none. */
static const char *add_bias(struct chain *chain, const struct layer *layer,
                            const struct folding *folding, size_t channels)
{
    bool has = layer->bias != SIZE_MAX && layer->kind == LAYER_DENSE;
    if (!has && folding->mean == NULL) {
        return "";
    }
    float *bias = malloc(channels * sizeof *bias);
    if (bias == NULL) {
        return NULL;
    }
    for (size_t c = 0; c < channels; c++) {
        double own = has ? (double)chain->network->params[layer->bias + c] : 0;
        double mean = folding->mean == NULL ? 0 : (double)folding->mean[c];
        bias[c] = (float)((own - mean) * scale_of(folding, c));
    }
    int64_t shape = (int64_t)channels;
    const char *name = onnx_graph_floats(chain->graph, 1, &shape, bias);
    free(bias);
    return name;
}

/* ---- Layers ------------------------------------------------------------------------ */

static void see_rows(struct chain *chain, size_t features)
{
    if (chain->images) {
        const char *shape =
            onnx_graph_ints(chain->graph, 2, (int64_t[]){-1, (int64_t)features});
        chain->value = onnx_graph_apply(chain->graph, "Reshape", chain->value, shape);
        chain->images = false;
    }
}

static void see_images(struct chain *chain, struct image_shape image)
{
    if (!chain->images) {
        const char *shape =
            onnx_graph_ints(chain->graph, 4,
                            (int64_t[]){-1, (int64_t)image.channels,
                                        (int64_t)image.height, (int64_t)image.width});
        chain->value = onnx_graph_apply(chain->graph, "Reshape", chain->value, shape);
        chain->images = true;
    }
}

static bool add_dense(struct chain *chain, const struct layer *layer,
                      const struct folding *folding)
{
    int64_t shape[] = {(int64_t)layer->inputs, (int64_t)layer->outputs};
    const char *weights =
        add_weights(chain, layer, folding, layer->inputs, layer->outputs, 1, 2, shape);
    const char *bias = add_bias(chain, layer, folding, layer->outputs);
    if (weights == NULL || bias == NULL) {
        return false;
    }
    see_rows(chain, layer->inputs);
    chain->value = onnx_graph_apply(chain->graph, "MatMul", chain->value, weights);
    if (bias[0] != '\0') {
        chain->value = onnx_graph_apply(chain->graph, "Add", chain->value, bias);
    }
    return true;
}

static bool add_conv(struct chain *chain, const struct layer *layer,
                     const struct folding *folding)
{
    size_t in = layer->in.channels, out = layer->out.channels;
    size_t square = layer->kernel * layer->kernel;
    int64_t side = (int64_t)layer->kernel, pad = (int64_t)layer->padding;
    int64_t shape[] = {(int64_t)(layer->transposed ? in : out),
                       (int64_t)(layer->transposed ? out : in), side, side};
    const char *weights =
        layer->transposed
            ? add_weights(chain, layer, folding, in, out, square, 4, shape)
            : add_weights(chain, layer, folding, 1, out, in * square, 4, shape);
    const char *bias = add_bias(chain, layer, folding, out);
    if (weights == NULL || bias == NULL) {
        return false;
    }
    const struct onnx_attribute attributes[] = {
        {"kernel_shape", ONNX_ATTRIBUTE_INTS, 0, 0, {side, side}, 2},
        {"pads", ONNX_ATTRIBUTE_INTS, 0, 0, {pad, pad, pad, pad}, 4},
        {.name = NULL},
    };
    see_images(chain, layer->in);
    const char *inputs[] = {chain->value, weights, bias[0] == '\0' ? NULL : bias, NULL};
    chain->value = onnx_graph_node(
        chain->graph, layer->transposed ? "ConvTranspose" : "Conv", inputs, attributes);
    return true;
}

static void add_pool(struct chain *chain, const struct layer *layer)
{
    const struct onnx_attribute attributes[] = {
        {"kernel_shape", ONNX_ATTRIBUTE_INTS, 0, 0, {2, 2}, 2},
        {"strides", ONNX_ATTRIBUTE_INTS, 0, 0, {2, 2}, 2},
        {.name = NULL},
    };
    see_images(chain, layer->in);
    chain->value = onnx_graph_node(chain->graph, "MaxPool",
                                   (const char *const[]){chain->value, NULL}, attributes);
}

/* Every place of a side takes the one that it came from. */
static bool repeat_side(struct chain *chain, size_t in, size_t out, int64_t axis)
{
    int64_t *from = malloc((out + 1) * sizeof *from);
    if (from == NULL) {
        return false;
    }
    for (size_t i = 0; i < out; i++) {
        from[i] = (int64_t)(i / 2 < in ? i / 2 : in - 1);
    }
    const struct onnx_attribute attributes[] = {ONNX_INT("axis", axis), {.name = NULL}};
    const char *places = onnx_graph_ints(chain->graph, out, from);
    chain->value =
        onnx_graph_node(chain->graph, "Gather",
                        (const char *const[]){chain->value, places, NULL}, attributes);
    free(from);
    return true;
}

static bool add_layer(struct chain *chain, size_t index)
{
    const struct layer *layer = &chain->network->layers[index];
    struct folding folding = folding_of(chain->network, index);
    const struct onnx_attribute slope[] = {ONNX_NUMBER("alpha", LEAKY_SLOPE),
                                           {.name = NULL}};
    switch (layer->kind) {
    case LAYER_DENSE:
        return add_dense(chain, layer, &folding);
    case LAYER_CONV:
        return add_conv(chain, layer, &folding);
    case LAYER_BATCH_NORM: /* in the weights before it */
        return true;
    case LAYER_LEAKY_RELU:
        chain->value = onnx_graph_node(chain->graph, "LeakyRelu",
                                       (const char *const[]){chain->value, NULL}, slope);
        return true;
    case LAYER_SIGMOID:
        chain->value = onnx_graph_apply(chain->graph, "Sigmoid", chain->value, NULL);
        return true;
    case LAYER_MAX_POOL:
        add_pool(chain, layer);
        return true;
    case LAYER_UPSAMPLE:
        see_images(chain, layer->in);
        return repeat_side(chain, layer->in.height, layer->out.height, 2) &&
               repeat_side(chain, layer->in.width, layer->out.width, 3);
    }
    return false;
}

static bool add_network(struct chain *chain)
{
    for (size_t i = 0; i < chain->network->layer_count; i++) {
        if (!add_layer(chain, i)) {
            return false;
        }
    }
    see_rows(chain, chain->network->outputs);
    return true;
}

/* ---- Raw scores -------------------------------------------------------------------- */

/* |a - b|^2 of each row, at most FLT_MAX, never NaN. */
static const char *add_distance(struct onnx_graph *graph, const char *a, const char *b)
{
    const struct onnx_attribute rows[] = {{"axes", ONNX_ATTRIBUTE_INTS, 0, 0, {1}, 1},
                                          ONNX_INT("keepdims", 0),
                                          {.name = NULL}};
    const char *difference = onnx_graph_apply(graph, "Sub", a, b);
    return onnx_graph_node(graph, "ReduceSumSquare",
                           (const char *const[]){difference, NULL}, rows);
}

static const char *add_output(struct chain *chain, const struct ensemble_member *member,
                              const char *z)
{
    struct onnx_graph *graph = chain->graph;
    int64_t width = (int64_t)chain->network->outputs;
    switch (member->output) {
    case ENSEMBLE_DISTANCE:
        return add_distance(graph, chain->value,
                            onnx_graph_floats(graph, 1, &width, member->center));
    case ENSEMBLE_RECONSTRUCTION:
        return onnx_graph_apply(graph, "Mul", add_distance(graph, chain->value, z),
                                onnx_graph_float(graph, 1 / (float)width));
    case ENSEMBLE_LOGIT:
        break;
    }
    const char *flat = onnx_graph_ints(graph, 1, (int64_t[]){-1});
    return onnx_graph_apply(graph, "Softplus",
                            onnx_graph_apply(graph, "Reshape", chain->value, flat), NULL);
}

int ensemble_onnx(const struct component *component, struct onnx_graph *graph,
                  const char *z, const char **raw, struct deepsad_error *error)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    const char *sum = NULL;
    float share = 1 / (float)ensemble->form.member_count;
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        const struct ensemble_member *member = &ensemble->members[k];
        struct chain chain = {.graph = graph, .network = member->network, .value = z};
        if (!add_network(&chain)) {
            return error_no_memory(error, "the graph of a network");
        }
        const char *one =
            onnx_graph_apply(graph, "Mul", add_output(&chain, member, z),
                             onnx_graph_float(graph, share / member->median));
        sum = sum == NULL ? one : onnx_graph_apply(graph, "Add", sum, one);
    }
    *raw = sum;
    return DEEPSAD_OK;
}
