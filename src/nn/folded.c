/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folding turns (dense, batch norm, activation) into one packed layer. Rows go through
 * all layers a tile at a time, so that what one layer writes is still in the cache when
 * the next reads it.
 */
#include "nn/folded.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "nn/packed.h"

#define BATCH_NORM_EPS 1e-4

enum {
    /* Rows of a tile, multiples of the packed kernel's 6. */
    TILE_SMALL = 48,
    TILE_LARGE = 240,
    /* Weights of this many bytes and more fall out of the cache between tiles: larger
     * tiles read them less often. */
    LARGE_BYTES = 512 * 1024,
};

_Static_assert((int)TILE_LARGE <= (int)FOLDED_BLOCK, "a tile is part of a block");

struct folded {
    size_t inputs, outputs;
    size_t widest; /* padded outputs of the widest layer */
    size_t tile;   /* rows */
    size_t layer_count;
    struct packed layers[];
};

/* ---- Folding ---- */

/* What the network's layers from *at on fold into: one dense layer, perhaps a batch norm,
 * perhaps an activation. */
struct fold {
    const struct layer *dense;
    const struct layer *norm; /* or NULL */
    enum packed_activation activation;
};

static int next_fold(struct fold *fold, const struct network *network, size_t *at,
                     struct deepsad_error *error)
{
    const struct layer *layer = &network->layers[*at];
    if (layer->kind != LAYER_DENSE) {
        error_set(error, DEEPSAD_UNSUPPORTED,
                  "layer %zu of the network is not dense, nor can it be folded into a "
                  "dense one before it",
                  *at);
        return DEEPSAD_UNSUPPORTED;
    }
    *fold = (struct fold){.dense = layer, .activation = PACKED_LINEAR};
    size_t next = *at + 1;
    if (next < network->layer_count && network->layers[next].kind == LAYER_BATCH_NORM) {
        fold->norm = &network->layers[next++];
    }
    if (next < network->layer_count && network->layers[next].kind == LAYER_LEAKY_RELU) {
        fold->activation = PACKED_LEAKY_RELU;
        next++;
    } else if (next < network->layer_count &&
               network->layers[next].kind == LAYER_SIGMOID) {
        fold->activation = PACKED_SIGMOID;
        next++;
    }
    *at = next;
    return DEEPSAD_OK;
}

static void fold_into(struct packed *packed, const struct network *network,
                      const struct fold *fold)
{
    const float *weight = network->params + fold->dense->weight;
    bool has_bias = fold->dense->bias != SIZE_MAX;
    for (size_t o = 0; o < packed->outputs; o++) {
        double bias = has_bias ? (double)network->params[fold->dense->bias + o] : 0;
        double scale = 1;
        if (fold->norm != NULL) {
            double variance = (double)network->state[fold->norm->variance + o];
            scale = 1 / sqrt(variance + BATCH_NORM_EPS);
            bias = (bias - (double)network->state[fold->norm->mean + o]) * scale;
        }
        packed->bias[o] = (float)bias;
        for (size_t i = 0; i < packed->inputs; i++) {
            double folded = (double)weight[i * packed->outputs + o] * scale;
            packed->weight[packed_index(packed, i, o)] = (float)folded;
        }
    }
}

static int fold_layers(struct folded *folded, const struct network *network,
                       struct deepsad_error *error)
{
    size_t bytes = 0;
    for (size_t at = 0; at < network->layer_count;) {
        struct fold fold;
        int status = next_fold(&fold, network, &at, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        struct packed *packed = &folded->layers[folded->layer_count];
        status = packed_init(packed, fold.dense->inputs, fold.dense->outputs,
                             fold.activation, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        folded->layer_count++;
        fold_into(packed, network, &fold);
        folded->widest =
            packed->padded > folded->widest ? packed->padded : folded->widest;
        bytes += packed->padded * packed->inputs * sizeof *packed->weight;
    }
    folded->tile = bytes < LARGE_BYTES ? TILE_SMALL : TILE_LARGE;
    return DEEPSAD_OK;
}

int folded_from_network(struct folded **out, const struct network *network,
                        struct deepsad_error *error)
{
    if (network->layer_count == 0) {
        return error_set(error, DEEPSAD_INVALID, "the network has no layers");
    }
    struct folded *folded = NULL;
    if (network->layer_count < SIZE_MAX / 2 / sizeof folded->layers[0]) {
        folded =
            calloc(1, sizeof *folded + network->layer_count * sizeof folded->layers[0]);
    }
    if (folded == NULL) {
        return error_no_memory(error, "a folded network");
    }
    folded->inputs = network->inputs;
    folded->outputs = network->outputs;
    int status = fold_layers(folded, network, error);
    if (status != DEEPSAD_OK) {
        folded_free(folded);
        return status;
    }
    *out = folded;
    return DEEPSAD_OK;
}

void folded_free(struct folded *folded)
{
    if (folded == NULL) {
        return;
    }
    for (size_t i = 0; i < folded->layer_count; i++) {
        packed_done(&folded->layers[i]);
    }
    free(folded);
}

size_t folded_inputs(const struct folded *folded)
{
    return folded->inputs;
}

size_t folded_outputs(const struct folded *folded)
{
    return folded->outputs;
}

const struct packed *folded_layers(const struct folded *folded, size_t *count)
{
    *count = folded->layer_count;
    return folded->layers;
}

/* ---- Scoring ---- */

/* Two buffers that layers write in turn, and a padded center. */
size_t folded_scratch(const struct folded *folded)
{
    return (2 * folded->tile + 1) * folded->widest;
}

/* The last layer's outputs (rows, padded) of a tile; where in `scratch`. */
static const float *run_layers(const struct folded *folded, const float *x, size_t rows,
                               float *scratch)
{
    float *buffers[2] = {scratch, scratch + folded->tile * folded->widest};
    size_t stride = folded->inputs;
    for (size_t i = 0; i < folded->layer_count; i++) {
        float *y = buffers[i % 2];
        packed_forward(&folded->layers[i], y, x, stride, rows);
        x = y;
        stride = folded->layers[i].padded;
    }
    return x;
}

static size_t last_padded(const struct folded *folded)
{
    return folded->layers[folded->layer_count - 1].padded;
}

static size_t tile_rows(const struct folded *folded, size_t rows)
{
    return rows < folded->tile ? rows : folded->tile;
}

void folded_forward(const struct folded *folded, float *out, const float *x, size_t rows,
                    float *scratch)
{
    size_t padded = last_padded(folded);
    for (size_t done = 0, count; done < rows; done += count) {
        count = tile_rows(folded, rows - done);
        const float *y = run_layers(folded, x + done * folded->inputs, count, scratch);
        for (size_t i = 0; i < count; i++) {
            memcpy(out + (done + i) * folded->outputs, y + i * padded,
                   folded->outputs * sizeof *out);
        }
    }
}

/* Overflow, and the NaN of infinity - infinity: as far away as can be. */
static inline float bounded(float distance)
{
    return distance <= FLT_MAX ? distance : FLT_MAX;
}

void folded_distance(const struct folded *folded, const float *center, float *distance,
                     const float *x, size_t rows, float *scratch)
{
    size_t padded = last_padded(folded);
    float *padded_center = scratch + 2 * folded->tile * folded->widest;
    memset(padded_center, 0, padded * sizeof *padded_center);
    memcpy(padded_center, center, folded->outputs * sizeof *center);
    for (size_t done = 0, count; done < rows; done += count) {
        count = tile_rows(folded, rows - done);
        const float *y = run_layers(folded, x + done * folded->inputs, count, scratch);
        packed_distances(distance + done, y, padded_center, count, padded);
        for (size_t i = done; i < done + count; i++) {
            distance[i] = bounded(distance[i]);
        }
    }
}

SIMD_CLONES
static float squared_error(const float *restrict y, const float *restrict x, size_t count)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < count; j++) {
        float d = y[j] - x[j];
        sum += d * d;
    }
    return sum;
}

void folded_reconstruction(const struct folded *folded, float *error, const float *x,
                           size_t rows, float *scratch)
{
    size_t padded = last_padded(folded);
    for (size_t done = 0, count; done < rows; done += count) {
        count = tile_rows(folded, rows - done);
        const float *tile = x + done * folded->inputs;
        const float *y = run_layers(folded, tile, count, scratch);
        for (size_t i = 0; i < count; i++) {
            float sum =
                squared_error(y + i * padded, tile + i * folded->inputs, folded->outputs);
            error[done + i] = bounded(sum / (float)folded->outputs);
        }
    }
}
