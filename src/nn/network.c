/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network is built from a plan: the plan appends layers and counts parameters as it
 * goes; then the blocks are allocated at once and the weights drawn in layer order. The
 * encoder comes first in an autoencoder, so its parameters and statistics are the
 * beginning of the autoencoder's blocks.
 */
#include "nn/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/matrix.h"

/* ---- Plan ---- */

struct plan {
    struct layer *layers;
    size_t count, width; /* layers so far, outputs of the last one */
    size_t params, state;
    bool overflow;
};

static size_t take(struct plan *plan, size_t *total, size_t rows, size_t columns)
{
    size_t offset = *total;
    size_t size = 0;
    plan->overflow |= __builtin_mul_overflow(rows, columns, &size);
    plan->overflow |= __builtin_add_overflow(*total, size, total);
    return offset;
}

static struct layer *append(struct plan *plan, enum layer_kind kind, size_t outputs)
{
    struct layer *layer = &plan->layers[plan->count++];
    *layer = (struct layer){.kind = kind,
                            .inputs = plan->width,
                            .outputs = outputs,
                            .in = {plan->width, 1, 1},
                            .out = {outputs, 1, 1},
                            .weight = SIZE_MAX,
                            .bias = SIZE_MAX,
                            .mean = SIZE_MAX,
                            .variance = SIZE_MAX};
    plan->width = outputs;
    return layer;
}

static void append_dense(struct plan *plan, size_t outputs, bool bias)
{
    struct layer *layer = append(plan, LAYER_DENSE, outputs);
    layer->weight = take(plan, &plan->params, layer->inputs, outputs);
    if (bias) {
        layer->bias = take(plan, &plan->params, 1, outputs);
    }
}

static void append_hidden(struct plan *plan, size_t outputs,
                          const struct network_shape *shape)
{
    append_dense(plan, outputs, shape->bias);
    if (shape->batch_norm) {
        struct layer *layer = append(plan, LAYER_BATCH_NORM, outputs);
        layer->mean = take(plan, &plan->state, 1, outputs);
        layer->variance = take(plan, &plan->state, 1, outputs);
    }
    append(plan, LAYER_LEAKY_RELU, outputs);
}

static void append_encoder(struct plan *plan, const struct network_shape *shape)
{
    const struct architecture *form = shape->architecture;
    for (size_t i = 0; i + 1 < form->encoder_count; i++) {
        append_hidden(plan, form->encoder[i].width, shape);
    }
    append_dense(plan, architecture_outputs(form), shape->bias);
}

static void append_decoder(struct plan *plan, const struct network_shape *shape,
                           bool sigmoid)
{
    for (size_t i = shape->architecture->encoder_count - 1; i > 0; i--) {
        append_hidden(plan, shape->architecture->encoder[i - 1].width, shape);
    }
    append_dense(plan, image_size(shape->input), shape->bias);
    if (sigmoid) {
        append(plan, LAYER_SIGMOID, image_size(shape->input));
    }
}

/* ---- Network ---- */

/* torch.nn.Linear: W and b uniform in +-1/sqrt(inputs) */
static void draw(float *values, size_t count, size_t inputs, struct rng *rng)
{
    float bound = 1 / sqrtf((float)inputs);
    for (size_t i = 0; i < count; i++) {
        values[i] = (2 * rng_float(rng) - 1) * bound;
    }
}

static void init_layer(struct network *network, const struct layer *layer,
                       struct rng *rng)
{
    if (layer->kind == LAYER_DENSE) {
        draw(network->params + layer->weight, layer->inputs * layer->outputs,
             layer->inputs, rng);
        if (layer->bias != SIZE_MAX) {
            draw(network->params + layer->bias, layer->outputs, layer->inputs, rng);
        }
    }
    if (layer->kind == LAYER_BATCH_NORM) {
        for (size_t j = 0; j < layer->outputs; j++) {
            network->state[layer->variance + j] = 1;
        }
    }
}

static int allocate(struct network *network, struct deepsad_error *error)
{
    static const char what[] = "the network's weights";
    int status = matrix_new(&network->params, 1, network->param_count, what, error);
    if (status == DEEPSAD_OK) {
        status = matrix_new(&network->grads, 1, network->param_count, what, error);
    }
    if (status == DEEPSAD_OK) {
        status = matrix_new(&network->state, 1, network->state_count, what, error);
    }
    return status;
}

static int build(struct network **out, struct plan *plan, size_t inputs, struct rng *rng,
                 struct deepsad_error *error)
{
    if (plan->overflow) {
        free(plan->layers);
        return error_no_memory(error, "the network's weights");
    }
    struct network *network = calloc(1, sizeof *network);
    if (network == NULL) {
        free(plan->layers);
        return error_no_memory(error, "the network");
    }
    *network = (struct network){.inputs = inputs,
                                .outputs = plan->width,
                                .layer_count = plan->count,
                                .layers = plan->layers,
                                .param_count = plan->params,
                                .state_count = plan->state};
    int status = allocate(network, error);
    if (status != DEEPSAD_OK) {
        network_free(network);
        return status;
    }
    for (size_t i = 0; i < network->layer_count; i++) {
        init_layer(network, &network->layers[i], rng);
    }
    *out = network;
    return DEEPSAD_OK;
}

static int check_shape(const struct network_shape *shape, struct deepsad_error *error)
{
    const struct architecture *form = shape->architecture;
    bool valid = image_size(shape->input) > 0 && form->encoder_count > 0;
    for (size_t i = 0; valid && i < form->encoder_count; i++) {
        valid = form->encoder[i].width > 0 && form->encoder[i].kind == ARCHITECTURE_DENSE;
    }
    if (!valid) {
        return error_set(error, DEEPSAD_INVALID,
                         "a network needs at least one input, and widths of at least 1");
    }
    return DEEPSAD_OK;
}

static int start_plan(struct plan *plan, const struct network_shape *shape, size_t sides,
                      struct deepsad_error *error)
{
    int status = check_shape(shape, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    *plan = (struct plan){.width = image_size(shape->input)};
    size_t layers = 0; /* three for each width and side, and a sigmoid */
    if (__builtin_mul_overflow(shape->architecture->encoder_count, 3 * sides, &layers)) {
        return error_no_memory(error, "the network's layers");
    }
    plan->layers = calloc(layers + 1, sizeof *plan->layers);
    if (plan->layers == NULL) {
        return error_no_memory(error, "the network's layers");
    }
    return DEEPSAD_OK;
}

int network_new_encoder(struct network **out, const struct network_shape *shape,
                        struct rng *rng, struct deepsad_error *error)
{
    struct plan plan;
    int status = start_plan(&plan, shape, 1, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    append_encoder(&plan, shape);
    return build(out, &plan, image_size(shape->input), rng, error);
}

int network_new_autoencoder(struct network **out, const struct network_shape *shape,
                            bool sigmoid, struct rng *rng, struct deepsad_error *error)
{
    struct plan plan;
    int status = start_plan(&plan, shape, 2, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    append_encoder(&plan, shape);
    append_decoder(&plan, shape, sigmoid);
    return build(out, &plan, image_size(shape->input), rng, error);
}

void network_free(struct network *network)
{
    if (network != NULL) {
        free(network->layers);
        free(network->params);
        free(network->grads);
        free(network->state);
        free(network);
    }
}

void network_copy_encoder(struct network *encoder, const struct network *autoencoder)
{
    memcpy(encoder->params, autoencoder->params,
           encoder->param_count * sizeof *encoder->params);
    memcpy(encoder->state, autoencoder->state,
           encoder->state_count * sizeof *encoder->state);
}
