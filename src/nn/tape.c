/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/tape.h"

#include <stdlib.h>

#include "nn/layer.h"
#include "nn/matrix.h"

struct tape {
    size_t layer_count;
    float **outputs;    /* (layer_count) each (rows, the layer's outputs) */
    float **deviations; /* (layer_count) inverse std (outputs) of batch norm, else NULL */
    float *scratch;     /* of the largest dense layer's weights */
    float *gradients;   /* (2, rows, widest): this layer's dy, and the dx it makes */
    size_t gradient_size;
    float *gradient; /* of the two: by the network's output */
    const float *x;  /* of the last forward pass */
    size_t rows;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int allocate(struct tape *tape, const struct network *network, size_t rows,
                    struct deepsad_error *error)
{
    static const char what[] = "the outputs of the layers";
    size_t widest = network->inputs;
    size_t weights = 0;
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < network->layer_count && status == DEEPSAD_OK; i++) {
        const struct layer *layer = &network->layers[i];
        status = matrix_new(&tape->outputs[i], rows, layer->outputs, what, error);
        if (status == DEEPSAD_OK && layer->kind == LAYER_BATCH_NORM) {
            status = matrix_new(&tape->deviations[i], 1, layer->outputs, what, error);
        }
        if (layer->kind == LAYER_DENSE) {
            weights = larger(weights, layer->inputs * layer->outputs);
        }
        widest = larger(widest, layer->outputs);
    }
    if (status == DEEPSAD_OK) {
        status = matrix_new(&tape->scratch, 1, weights, what, error);
    }
    if (status == DEEPSAD_OK) {
        status = matrix_new(&tape->gradients, 2 * rows, widest, what, error);
    }
    tape->gradient_size = rows * widest;
    tape->gradient = tape->gradients;
    return status;
}

int tape_new(struct tape **out, const struct network *network, size_t rows,
             struct crew *crew, struct deepsad_error *error)
{
    (void)crew;
    if (rows > SIZE_MAX / 2) {
        return error_no_memory(error, "a batch");
    }
    struct tape *tape = calloc(1, sizeof *tape);
    if (tape == NULL) {
        return error_no_memory(error, "a batch");
    }
    tape->layer_count = network->layer_count;
    tape->outputs = calloc(network->layer_count, sizeof *tape->outputs);
    tape->deviations = calloc(network->layer_count, sizeof *tape->deviations);
    int status = tape->outputs == NULL || tape->deviations == NULL
                     ? error_no_memory(error, "a batch")
                     : allocate(tape, network, rows, error);
    if (status != DEEPSAD_OK) {
        tape_free(tape);
        return status;
    }
    *out = tape;
    return DEEPSAD_OK;
}

void tape_free(struct tape *tape)
{
    if (tape == NULL) {
        return;
    }
    for (size_t i = 0; i < tape->layer_count; i++) {
        if (tape->outputs != NULL) {
            free(tape->outputs[i]);
        }
        if (tape->deviations != NULL) {
            free(tape->deviations[i]);
        }
    }
    free(tape->outputs);
    free(tape->deviations);
    free(tape->scratch);
    free(tape->gradients);
    free(tape);
}

/* Layers that do the same in both modes. */
static void forward(float *y, const float *x, const struct network *network,
                    const struct layer *layer, size_t rows)
{
    const float *bias = layer->bias != SIZE_MAX ? network->params + layer->bias : NULL;
    switch (layer->kind) {
    case LAYER_DENSE:
        layer_dense_forward(y, x, network->params + layer->weight, bias, rows,
                            layer->inputs, layer->outputs);
        break;
    case LAYER_BATCH_NORM:
        layer_batch_norm_eval(y, network->state + layer->mean,
                              network->state + layer->variance, x, rows, layer->outputs);
        break;
    case LAYER_LEAKY_RELU:
        layer_leaky_relu_forward(y, x, rows * layer->outputs);
        break;
    case LAYER_SIGMOID:
        layer_sigmoid_forward(y, x, rows * layer->outputs);
        break;
    case LAYER_CONV:
    case LAYER_MAX_POOL:
    case LAYER_UPSAMPLE: /* no network has them yet */
        break;
    }
}

const float *tape_forward_train(struct tape *tape, struct network *network,
                                const float *x, size_t rows)
{
    tape->x = x;
    tape->rows = rows;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->kind == LAYER_BATCH_NORM) {
            layer_batch_norm_train(
                tape->outputs[i], tape->deviations[i], network->state + layer->mean,
                network->state + layer->variance, x, rows, layer->outputs);
        } else {
            forward(tape->outputs[i], x, network, layer, rows);
        }
        x = tape->outputs[i];
    }
    return x;
}

const float *tape_forward_eval(struct tape *tape, const struct network *network,
                               const float *x, size_t rows)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        forward(tape->outputs[i], x, network, &network->layers[i], rows);
        x = tape->outputs[i];
    }
    return x;
}

float *tape_output_gradient(struct tape *tape)
{
    return tape->gradient;
}

/* Layer i: dy becomes dx, in place or in the other gradient block. Returns where. The
 * first layer's dx is not wanted. */
static float *backward(struct tape *tape, struct network *network, size_t i, float *dy)
{
    const struct layer *layer = &network->layers[i];
    const float *x = i > 0 ? tape->outputs[i - 1] : tape->x;
    const float *y = tape->outputs[i];
    size_t count = tape->rows * layer->outputs;
    float *other =
        dy == tape->gradients ? tape->gradients + tape->gradient_size : tape->gradients;
    switch (layer->kind) {
    case LAYER_DENSE:
        layer_dense_backward(i > 0 ? other : NULL, network->grads + layer->weight,
                             layer->bias != SIZE_MAX ? network->grads + layer->bias
                                                     : NULL,
                             dy, x, network->params + layer->weight, tape->rows,
                             layer->inputs, layer->outputs, tape->scratch);
        return other;
    case LAYER_BATCH_NORM:
        layer_batch_norm_backward(dy, dy, y, tape->deviations[i], tape->rows,
                                  layer->outputs);
        break;
    case LAYER_LEAKY_RELU:
        layer_leaky_relu_backward(dy, dy, y, count);
        break;
    case LAYER_SIGMOID:
        layer_sigmoid_backward(dy, dy, y, count);
        break;
    case LAYER_CONV:
    case LAYER_MAX_POOL:
    case LAYER_UPSAMPLE:
        break;
    }
    return dy;
}

void tape_backward(struct tape *tape, struct network *network)
{
    float *dy = tape->gradient;
    for (size_t i = network->layer_count; i > 0; i--) {
        dy = backward(tape, network, i - 1, dy);
    }
}
