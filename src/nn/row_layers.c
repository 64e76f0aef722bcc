/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/row_layers.h"

#include "nn/layer.h"
#include "nn/matrix.h"

/* ---- Parts ---- */

enum {
    PART_ROWS = 32,
    PART_INPUTS = 128,
};

/* Multiplications below which a dense layer is not worth a second thread. */
#define PART_WORK ((size_t)1 << 20)

/* What the parts of one layer's work share. */
struct work {
    const struct layer *layer;
    const struct network *network;
    float *to;
    const float *from;
    const float *y;
    float *scratch;
    size_t rows, part; /* rows or inputs of a part */
};

static size_t part_size(const struct work *work, size_t i, size_t total)
{
    size_t left = total - i * work->part;
    return left < work->part ? left : work->part;
}

static void run(const struct row_layer *row, struct work *work, size_t total, size_t part,
                void (*task)(void *closure, size_t i, size_t thread))
{
    const struct layer *layer = row->layer;
    bool small = layer->kind == LAYER_DENSE &&
                 row->rows * layer->inputs * layer->outputs < PART_WORK;
    work->part = row->divided && !small ? part : total;
    crew_run(row->crew, (total + work->part - 1) / work->part, task, work);
}

/* ---- Forward ---- */

static const float *bias_of(const struct layer *layer, const float *params)
{
    return layer->bias != SIZE_MAX ? params + layer->bias : NULL;
}

/* Layers whose rows do not depend on each other. */
static void forward_task(void *closure, size_t i, size_t thread)
{
    const struct work *work = closure;
    const struct layer *layer = work->layer;
    const struct network *network = work->network;
    size_t rows = part_size(work, i, work->rows);
    const float *x = work->from + i * work->part * layer->inputs;
    float *y = work->to + i * work->part * layer->outputs;
    (void)thread;
    switch (layer->kind) {
    case LAYER_DENSE:
        layer_dense_forward(y, x, network->params + layer->weight,
                            bias_of(layer, network->params), rows, layer->inputs,
                            layer->outputs);
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
    case LAYER_UPSAMPLE: /* nn/image_layers.h */
        break;
    }
}

void row_layer_forward_eval(const struct row_layer *row, const struct network *network,
                            float *y, const float *x)
{
    struct work work = {
        .layer = row->layer, .network = network, .to = y, .from = x, .rows = row->rows};
    run(row, &work, row->rows, PART_ROWS, forward_task);
}

void row_layer_forward_train(const struct row_layer *row, struct network *network,
                             float *y, const float *x)
{
    const struct layer *layer = row->layer;
    if (layer->kind == LAYER_BATCH_NORM) {
        layer_batch_norm_train(y, row->inverse_std, network->state + layer->mean,
                               network->state + layer->variance, x, row->rows,
                               layer->outputs);
        return;
    }
    row_layer_forward_eval(row, network, y, x);
}

/* ---- Backward ---- */

/* to (columns, rows) = part of the transpose of a, which has `stride` columns */
static void transpose(float *to, size_t to_stride, const float *a, size_t stride,
                      size_t rows, size_t columns)
{
    enum { BLOCK = 16 };
    for (size_t first = 0; first < rows; first += BLOCK) {
        size_t end = rows - first < BLOCK ? rows : first + BLOCK;
        for (size_t j = 0; j < columns; j++) {
            for (size_t i = first; i < end; i++) {
                to[j * to_stride + i] = a[i * stride + j];
            }
        }
    }
}

/* Of some of the inputs: x^T in `to`, with it their part of dw, and of w^T. */
static void weights_task(void *closure, size_t i, size_t thread)
{
    const struct work *work = closure;
    const struct layer *layer = work->layer;
    size_t first = i * work->part;
    size_t count = part_size(work, i, layer->inputs);
    size_t outputs = layer->outputs;
    float *xt = work->to + first * work->rows;
    size_t at = layer->weight + first * outputs;
    (void)thread;
    transpose(xt, work->rows, work->y + first, layer->inputs, work->rows, count);
    matrix_multiply(work->network->grads + at, xt, work->from, count, work->rows,
                    outputs);
    if (work->scratch != NULL) {
        transpose(work->scratch + first, layer->inputs, work->network->params + at,
                  outputs, count, outputs);
    }
}

static void dx_task(void *closure, size_t i, size_t thread)
{
    const struct work *work = closure;
    const struct layer *layer = work->layer;
    size_t first = i * work->part;
    (void)thread;
    matrix_multiply(work->to + first * layer->inputs, work->from + first * layer->outputs,
                    work->scratch, part_size(work, i, work->rows), layer->outputs,
                    layer->inputs);
}

static void dense_backward_divided(const struct row_layer *row, struct network *network,
                                   float *dx, const float *dy, const float *x,
                                   bool dx_wanted, float *scratch)
{
    const struct layer *layer = row->layer;
    struct work work = {.layer = layer,
                        .network = network,
                        .to = dx,
                        .from = dy,
                        .y = x,
                        .scratch = dx_wanted ? scratch : NULL,
                        .rows = row->rows};
    run(row, &work, layer->inputs, PART_INPUTS, weights_task);
    if (layer->bias != SIZE_MAX) {
        matrix_column_sums(network->grads + layer->bias, dy, row->rows, layer->outputs);
    }
    if (dx_wanted) {
        run(row, &work, row->rows, PART_ROWS, dx_task);
    }
}

static void dense_backward(const struct row_layer *row, struct network *network,
                           float *dx, const float *dy, const float *x, float *scratch)
{
    const struct layer *layer = row->layer;
    float *db = layer->bias != SIZE_MAX ? network->grads + layer->bias : NULL;
    layer_dense_backward(dx, network->grads + layer->weight, db, dy, x,
                         network->params + layer->weight, row->rows, layer->inputs,
                         layer->outputs, scratch);
}

float *row_layer_backward(const struct row_layer *row, struct network *network,
                          float *other, float *dy, const float *y, const float *x,
                          bool dx_wanted, float *scratch)
{
    const struct layer *layer = row->layer;
    size_t count = row->rows * layer->outputs;
    switch (layer->kind) {
    case LAYER_DENSE:
        if (row->divided) {
            dense_backward_divided(row, network, other, dy, x, dx_wanted, scratch);
        } else {
            dense_backward(row, network, dx_wanted ? other : NULL, dy, x, scratch);
        }
        return other;
    case LAYER_BATCH_NORM:
        layer_batch_norm_backward(dy, dy, y, row->inverse_std, row->rows, layer->outputs);
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
