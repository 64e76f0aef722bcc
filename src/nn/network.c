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
    const struct network_shape *shape;
    struct layer *layers;
    size_t count;
    struct image_shape image; /* that comes out of the last layer */
    size_t params, state;
    bool overflow;
};

/* The layers of a step: its own, batch norm, leaky ReLU. */
enum { LAYERS_OF_STEP = 3 };

static size_t take(struct plan *plan, size_t *total, size_t size)
{
    size_t offset = *total;
    plan->overflow |= __builtin_add_overflow(*total, size, total);
    plan->overflow |= *total > SIZE_MAX / sizeof(float);
    return offset;
}

static struct layer *append(struct plan *plan, enum layer_kind kind,
                            struct image_shape out)
{
    struct layer *layer = &plan->layers[plan->count++];
    *layer = (struct layer){.kind = kind,
                            .inputs = image_size(plan->image),
                            .outputs = image_size(out),
                            .in = plan->image,
                            .out = out,
                            .weight = SIZE_MAX,
                            .bias = SIZE_MAX,
                            .mean = SIZE_MAX,
                            .variance = SIZE_MAX};
    plan->image = out;
    return layer;
}

static void append_dense(struct plan *plan, size_t outputs, bool bias)
{
    struct layer *layer = append(plan, LAYER_DENSE, (struct image_shape){outputs, 1, 1});
    layer->in = (struct image_shape){layer->inputs, 1, 1};
    layer->weight = take(plan, &plan->params, layer->inputs * outputs);
    if (bias) {
        layer->bias = take(plan, &plan->params, outputs);
    }
}

static void append_conv(struct plan *plan, const struct architecture_step *step,
                        struct image_shape out)
{
    struct layer *layer = append(plan, LAYER_CONV, out);
    layer->kernel = step->kernel;
    layer->transposed = step->kind == ARCHITECTURE_DECONV;
    layer->padding = layer->transposed ? step->padding : (step->kernel - 1) / 2;
    layer->weight = take(plan, &plan->params,
                         layer->in.channels * out.channels * step->kernel * step->kernel);
}

static void append_batch_norm(struct plan *plan)
{
    struct layer *layer = append(plan, LAYER_BATCH_NORM, plan->image);
    layer->mean = take(plan, &plan->state, layer->out.channels);
    layer->variance = take(plan, &plan->state, layer->out.channels);
}

static bool has_weights(const struct architecture_step *step)
{
    return step->kind == ARCHITECTURE_CONV || step->kind == ARCHITECTURE_DECONV ||
           step->kind == ARCHITECTURE_DENSE;
}

static void append_step(struct plan *plan, const struct architecture_step *step)
{
    struct image_shape out = architecture_step_image(step, plan->image);
    switch (step->kind) {
    case ARCHITECTURE_CONV:
    case ARCHITECTURE_DECONV:
        append_conv(plan, step, out);
        break;
    case ARCHITECTURE_DENSE:
        append_dense(plan, step->width, plan->shape->bias);
        break;
    case ARCHITECTURE_POOL:
        append(plan, LAYER_MAX_POOL, out);
        break;
    case ARCHITECTURE_UPSAMPLE:
        append(plan, LAYER_UPSAMPLE, out);
        break;
    case ARCHITECTURE_VIEW:
        plan->image = out;
        break;
    case ARCHITECTURE_ACTIVATE:
        append(plan, LAYER_LEAKY_RELU, out);
        break;
    }
}

/* An encoder's or decoder's: all layers with weights but the last are hidden. */
static void append_steps(struct plan *plan, const struct architecture_step *steps,
                         size_t count)
{
    size_t last = count;
    while (last > 0 && !has_weights(&steps[last - 1])) {
        last--;
    }
    for (size_t i = 0; i < count; i++) {
        append_step(plan, &steps[i]);
        if (!has_weights(&steps[i]) || i + 1 == last) {
            continue;
        }
        if (plan->shape->batch_norm) {
            append_batch_norm(plan);
        }
        append(plan, LAYER_LEAKY_RELU, plan->image);
    }
}

static void append_encoder(struct plan *plan)
{
    append_steps(plan, plan->shape->architecture->encoder,
                 plan->shape->architecture->encoder_count);
}

static void append_decoder(struct plan *plan, bool sigmoid)
{
    struct architecture_step steps[2 * ARCHITECTURE_STEPS_MAX];
    size_t count =
        architecture_decoder(steps, plan->shape->architecture, plan->shape->input);
    append_steps(plan, steps, count);
    if (sigmoid) {
        append(plan, LAYER_SIGMOID, plan->image);
    }
}

static int start_plan(struct plan *plan, const struct network_shape *shape,
                      struct deepsad_error *error)
{
    int status = architecture_check(shape->architecture, shape->input, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    *plan = (struct plan){.shape = shape, .image = shape->input};
    /* of an encoder, a decoder of up to twice its steps, and what ends a network */
    size_t layers = LAYERS_OF_STEP * 3 * ARCHITECTURE_STEPS_MAX + 2;
    plan->layers = calloc(layers, sizeof *plan->layers);
    if (plan->layers == NULL) {
        return error_no_memory(error, "the network's layers");
    }
    return DEEPSAD_OK;
}

/* ---- Weights ---- */

static void draw(float *values, size_t count, float bound, struct rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = (2 * rng_float(rng) - 1) * bound;
    }
}

/* torch's default for Linear, Conv2d and ConvTranspose2d: uniform in +-1/sqrt(fan in) */
static float default_bound(size_t fan_in)
{
    return 1 / sqrtf((float)fan_in);
}

/* torch.nn.init.xavier_uniform_ with the gain of a leaky ReLU */
static float xavier_bound(const struct layer *layer)
{
    size_t fans =
        (layer->in.channels + layer->out.channels) * layer->kernel * layer->kernel;
    double squared_gain = 2 / (1 + 0.01 * 0.01);
    return (float)sqrt(6 * squared_gain / (double)fans);
}

static void init_conv(struct network *network, const struct layer *layer, bool xavier,
                      struct rng *rng)
{
    size_t taps = layer->kernel * layer->kernel;
    size_t fan_in = taps * (layer->transposed ? layer->out.channels : layer->in.channels);
    draw(network->params + layer->weight, layer->in.channels * layer->out.channels * taps,
         xavier ? xavier_bound(layer) : default_bound(fan_in), rng);
}

static void init_dense(struct network *network, const struct layer *layer,
                       struct rng *rng)
{
    float bound = default_bound(layer->inputs);
    draw(network->params + layer->weight, layer->inputs * layer->outputs, bound, rng);
    if (layer->bias != SIZE_MAX) {
        draw(network->params + layer->bias, layer->outputs, bound, rng);
    }
}

static void init_layer(struct network *network, const struct layer *layer,
                       const struct architecture *form, struct rng *rng)
{
    if (layer->kind == LAYER_DENSE) {
        init_dense(network, layer, rng);
    }
    if (layer->kind == LAYER_CONV) {
        init_conv(network, layer, layer->transposed && form->xavier_decoder, rng);
    }
    if (layer->kind == LAYER_BATCH_NORM) {
        for (size_t j = 0; j < layer->out.channels; j++) {
            network->state[layer->variance + j] = 1;
        }
    }
}

/* ---- Network ---- */

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

static int build(struct network **out, struct plan *plan, struct rng *rng,
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
    *network = (struct network){.inputs = image_size(plan->shape->input),
                                .outputs = image_size(plan->image),
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
        init_layer(network, &network->layers[i], plan->shape->architecture, rng);
    }
    *out = network;
    return DEEPSAD_OK;
}

int network_new_encoder(struct network **out, const struct network_shape *shape,
                        struct rng *rng, struct deepsad_error *error)
{
    struct plan plan;
    int status = start_plan(&plan, shape, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    append_encoder(&plan);
    return build(out, &plan, rng, error);
}

int network_new_autoencoder(struct network **out, const struct network_shape *shape,
                            bool sigmoid, struct rng *rng, struct deepsad_error *error)
{
    struct plan plan;
    int status = start_plan(&plan, shape, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    append_encoder(&plan);
    append_decoder(&plan, sigmoid);
    return build(out, &plan, rng, error);
}

int network_new_classifier(struct network **out, const struct network_shape *shape,
                           struct rng *rng, struct deepsad_error *error)
{
    struct plan plan;
    int status = start_plan(&plan, shape, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    append_encoder(&plan);
    append(&plan, LAYER_LEAKY_RELU, plan.image);
    append_dense(&plan, 1, true);
    return build(out, &plan, rng, error);
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

void network_end_training(struct network *network)
{
    free(network->grads);
    network->grads = NULL;
}

bool network_has_images(const struct network *network)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        if (image_size(network->layers[i].in) > network->layers[i].in.channels) {
            return true;
        }
    }
    return false;
}

void network_copy_encoder(struct network *encoder, const struct network *autoencoder)
{
    memcpy(encoder->params, autoencoder->params,
           encoder->param_count * sizeof *encoder->params);
    memcpy(encoder->state, autoencoder->state,
           encoder->state_count * sizeof *encoder->state);
}
