/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/row_layers.h"

#include "nn/blocked.h"
#include "nn/layer.h"
#include "nn/matrix.h"

/* ---- Parts ---- */

enum {
    PART_PAIR = 128, /* rows of two parts: an even number of parts, for two threads */
    PART_INPUTS = 128,
};

/* Multiplications of a dense layer, and values of an activation, below which it is not
 * worth a second thread. */
#define PART_WORK ((size_t)1 << 20)
#define PART_VALUES ((size_t)1 << 15)

/* What the parts of one layer's work share; `parts` of them divide `total` rows or
 * inputs evenly. */
struct work {
    const struct layer *layer;
    const struct network *network;
    float *to;
    const float *from;
    const float *x; /* of dw */
    size_t rows;
    size_t total, parts;
};

static size_t part_start(const struct work *work, size_t i)
{
    return work->total / work->parts * i + work->total % work->parts * i / work->parts;
}

static size_t part_length(const struct work *work, size_t i)
{
    return part_start(work, i + 1) - part_start(work, i);
}

/* Every part of a dense layer has to be large enough for the blocked kernel. */
static bool is_divided(const struct row_layer *row)
{
    const struct layer *layer = row->layer;
    bool large = row->rows >= (size_t)2 * BLOCKED_ROWS && layer->inputs >= BLOCKED_ROWS &&
                 row->rows * layer->inputs * layer->outputs >= PART_WORK;
    bool wide = row->rows > 1 && row->rows * layer->outputs >= PART_VALUES;
    return row->divided && (layer->kind == LAYER_DENSE ? large : wide);
}

static void run_rows(const struct row_layer *row, struct work *work,
                     void (*task)(void *closure, size_t i, size_t thread))
{
    size_t parts = 2 * ((row->rows + PART_PAIR - 1) / PART_PAIR);
    work->total = row->rows;
    work->parts = is_divided(row) ? parts : 1;
    crew_run(row->crew, work->parts, task, work);
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
    size_t rows = part_length(work, i);
    const float *x = work->from + part_start(work, i) * layer->inputs;
    float *y = work->to + part_start(work, i) * layer->outputs;
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
    run_rows(row, &work, forward_task);
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

/* dw of some of the inputs: a part of x^T dy */
static void dw_task(void *closure, size_t i, size_t thread)
{
    const struct work *work = closure;
    const struct layer *layer = work->layer;
    size_t first = part_start(work, i);
    size_t outputs = layer->outputs;
    (void)thread;
    blocked_multiply(work->to + first * outputs,
                     (struct strided){work->x + first, 1, layer->inputs},
                     (struct strided){work->from, outputs, 1}, part_length(work, i),
                     work->rows, outputs);
}

/* dx of some of the rows: a part of dy w^T */
static void dx_task(void *closure, size_t i, size_t thread)
{
    const struct work *work = closure;
    const struct layer *layer = work->layer;
    size_t first = part_start(work, i);
    size_t outputs = layer->outputs;
    (void)thread;
    blocked_multiply(work->to + first * layer->inputs,
                     (struct strided){work->from + first * outputs, outputs, 1},
                     (struct strided){work->network->params + layer->weight, 1, outputs},
                     part_length(work, i), outputs, layer->inputs);
}

static void dense_backward_divided(const struct row_layer *row, struct network *network,
                                   float *dx, const float *dy, const float *x)
{
    const struct layer *layer = row->layer;
    struct work work = {.layer = layer,
                        .network = network,
                        .to = network->grads + layer->weight,
                        .from = dy,
                        .x = x,
                        .rows = row->rows,
                        .total = layer->inputs,
                        .parts = (layer->inputs + PART_INPUTS - 1) / PART_INPUTS};
    crew_run(row->crew, work.parts, dw_task, &work);
    if (layer->bias != SIZE_MAX) {
        matrix_column_sums(network->grads + layer->bias, dy, row->rows, layer->outputs);
    }
    if (dx != NULL) {
        work.to = dx;
        run_rows(row, &work, dx_task);
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

/* Activations: dy, `to`, becomes dx in place, by y. */
static void activation_task(void *closure, size_t i, size_t thread)
{
    const struct work *work = closure;
    const struct layer *layer = work->layer;
    size_t first = part_start(work, i) * layer->outputs;
    size_t count = part_length(work, i) * layer->outputs;
    float *dy = work->to + first;
    (void)thread;
    if (layer->kind == LAYER_SIGMOID) {
        layer_sigmoid_backward(dy, dy, work->from + first, count);
    } else {
        layer_leaky_relu_backward(dy, dy, work->from + first, count);
    }
}

float *row_layer_backward(const struct row_layer *row, struct network *network,
                          float *other, float *dy, const float *y, const float *x,
                          bool dx_wanted, float *scratch)
{
    const struct layer *layer = row->layer;
    float *dx = dx_wanted ? other : NULL;
    struct work work = {.layer = layer, .to = dy, .from = y};
    switch (layer->kind) {
    case LAYER_DENSE:
        if (is_divided(row)) {
            dense_backward_divided(row, network, dx, dy, x);
        } else {
            dense_backward(row, network, dx, dy, x, scratch);
        }
        return other;
    case LAYER_BATCH_NORM:
        layer_batch_norm_backward(dy, dy, y, row->inverse_std, row->rows, layer->outputs);
        break;
    case LAYER_LEAKY_RELU:
    case LAYER_SIGMOID:
        run_rows(row, &work, activation_task);
        break;
    case LAYER_CONV:
    case LAYER_MAX_POOL:
    case LAYER_UPSAMPLE: /* nn/image_layers.h */
        break;
    }
    return dy;
}
