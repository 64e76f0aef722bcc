/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a tape (nn/tape.h) that has rows: a layer of nn/layer.h and its blocks. In
 * networks with layers on images the work is divided among the threads of a crew, into
 * parts that depend on its sizes alone, so that the number of threads changes no bit.
 */
#ifndef NN_ROW_LAYERS_H
#define NN_ROW_LAYERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/crew.h"
#include "nn/network.h"

struct row_layer {
    const struct layer *layer;
    size_t rows;
    bool divided;
    struct crew *crew;
    float *inverse_std; /* (outputs) of batch norm */
};

/* y (rows, outputs) of x (rows, inputs). */
void row_layer_forward_train(const struct row_layer *row, struct network *network,
                             float *y, const float *x);
void row_layer_forward_eval(const struct row_layer *row, const struct network *network,
                            float *y, const float *x);

/* dy becomes dx, in place or, of a dense layer, in `other`, which is as large. Returns
 * where. scratch (inputs * outputs) of dense layers. */
float *row_layer_backward(const struct row_layer *row, struct network *network,
                          float *other, float *dy, const float *y, const float *x,
                          bool dx_wanted, float *scratch);

#endif
