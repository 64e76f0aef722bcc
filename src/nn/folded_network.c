/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dense layer or a convolution, a batch norm and an activation after it are one step:
 * with s = 1 / sqrt(variance + eps) of an output's channel, its weights times s and its
 * bias (b - mean) s. A transposed convolution is one with its weights mirrored, and so is
 * the way back through any.
 */
#include "nn/folded_network.h"

#include <math.h>
#include <stdint.h>

/* LAYER_BATCH_NORM_EPSILON, not rounded to float. */
#define BATCH_NORM_EPSILON 1e-4

enum {
    /* Rows of a tile, multiples of the packed kernel's 6. */
    TILE_SMALL = 48,
    TILE_LARGE = 240,
    /* Weights of this many bytes and more fall out of the cache between tiles: larger
     * tiles read them less often. */
    LARGE_BYTES = 512 * 1024,
};

_Static_assert((int)TILE_LARGE <= (int)FOLDED_BLOCK, "a tile is part of a block");

/* What the network's layers from one on fold into. */
struct fold {
    const struct network *network;
    size_t index; /* of the layer */
    const struct layer *layer;
    const struct layer *norm; /* or NULL */
    enum packed_activation activation;
};

/* ---- Layers to fold together ---- */

static const char *name_of(enum layer_kind kind)
{
    switch (kind) {
    case LAYER_DENSE:
        return "a dense layer";
    case LAYER_BATCH_NORM:
        return "a batch norm";
    case LAYER_LEAKY_RELU:
        return "a leaky ReLU";
    case LAYER_SIGMOID:
        return "a sigmoid";
    case LAYER_CONV:
        return "a convolution";
    case LAYER_MAX_POOL:
        return "a max pool";
    case LAYER_UPSAMPLE:
        return "an upsampling";
    }
    return "of no known kind";
}

static bool has_weights(const struct layer *layer)
{
    return layer->kind == LAYER_DENSE || layer->kind == LAYER_CONV;
}

static bool starts_step(const struct layer *layer)
{
    return has_weights(layer) || layer->kind == LAYER_MAX_POOL ||
           layer->kind == LAYER_UPSAMPLE;
}

static bool is_next(const struct network *network, size_t at, enum layer_kind kind)
{
    return at < network->layer_count && network->layers[at].kind == kind;
}

/* Of layer *at, which is passed then, if it is one. */
static enum packed_activation activation_at(const struct network *network, size_t *at)
{
    if (is_next(network, *at, LAYER_LEAKY_RELU)) {
        ++*at;
        return PACKED_LEAKY_RELU;
    }
    if (is_next(network, *at, LAYER_SIGMOID)) {
        ++*at;
        return PACKED_SIGMOID;
    }
    return PACKED_LINEAR;
}

static int next_fold(struct fold *fold, const struct network *network, size_t *at,
                     struct deepsad_error *error)
{
    const struct layer *layer = &network->layers[*at];
    if (!starts_step(layer)) {
        error_set(
            error, DEEPSAD_UNSUPPORTED,
            "layer %zu of the network, %s, cannot be scored %s %s: a dense layer or "
            "a convolution may be followed by a batch norm, then by a leaky ReLU or "
            "a sigmoid",
            *at, name_of(layer->kind), *at == 0 ? "as" : "after",
            *at == 0 ? "the first" : name_of(layer[-1].kind));
        return DEEPSAD_UNSUPPORTED;
    }
    *fold = (struct fold){
        .network = network, .index = *at, .layer = layer, .activation = PACKED_LINEAR};
    size_t next = *at + 1;
    if (has_weights(layer) && is_next(network, next, LAYER_BATCH_NORM)) {
        fold->norm = &network->layers[next++];
    }
    if (has_weights(layer)) {
        fold->activation = activation_at(network, &next);
    }
    *at = next;
    return DEEPSAD_OK;
}

/* ---- Shapes ---- */

static bool same_side(size_t out, size_t in, const struct layer *layer)
{
    size_t more = 2 * layer->padding;
    size_t less = layer->kernel - 1;
    return layer->transposed ? out + more == in + less : out + less == in + more;
}

static bool has_possible_shape(const struct layer *layer)
{
    switch (layer->kind) {
    case LAYER_CONV:
        return layer->kernel > 0 && layer->padding < layer->kernel &&
               same_side(layer->out.height, layer->in.height, layer) &&
               same_side(layer->out.width, layer->in.width, layer);
    case LAYER_MAX_POOL:
        return layer->out.channels == layer->in.channels &&
               layer->out.height == layer->in.height / 2 &&
               layer->out.width == layer->in.width / 2;
    case LAYER_UPSAMPLE:
        return layer->out.channels == layer->in.channels &&
               layer->out.height / 2 == layer->in.height &&
               layer->out.width / 2 == layer->in.width;
    case LAYER_DENSE:
    case LAYER_BATCH_NORM:
    case LAYER_LEAKY_RELU:
    case LAYER_SIGMOID:
        break;
    }
    return true;
}

static int check_shape(const struct fold *fold, size_t width, struct deepsad_error *error)
{
    const struct layer *layer = fold->layer;
    bool dense = layer->kind == LAYER_DENSE;
    bool fits = layer->inputs == width && layer->outputs > 0 &&
                has_possible_shape(layer) &&
                (dense || (image_size(layer->in) == layer->inputs &&
                           image_size(layer->out) == layer->outputs));
    const struct layer *norm = fold->norm;
    fits = fits && (norm == NULL ||
                    (norm->out.channels > 0 && layer->outputs % norm->out.channels == 0 &&
                     (dense || norm->out.channels == layer->out.channels)));
    if (!fits) {
        return error_set(error, DEEPSAD_INVALID,
                         "the shapes of layer %zu of the network, %s, do not fit: it has "
                         "%zu inputs, and the layer before it %zu outputs",
                         fold->index, name_of(layer->kind), layer->inputs, width);
    }
    return DEEPSAD_OK;
}

/* ---- Weights ---- */

/* y = scale * (sum of the products) + shift */
struct affine {
    double scale, shift;
};

static struct affine affine_of(const struct fold *fold, size_t output, size_t outputs)
{
    const struct network *network = fold->network;
    struct affine affine = {1, 0};
    if (fold->layer->bias != SIZE_MAX) {
        affine.shift = (double)network->params[fold->layer->bias + output];
    }
    if (fold->norm != NULL) {
        size_t channel = output / (outputs / fold->norm->out.channels);
        double variance = (double)network->state[fold->norm->variance + channel];
        affine.scale = 1 / sqrt(variance + BATCH_NORM_EPSILON);
        affine.shift -= (double)network->state[fold->norm->mean + channel];
        affine.shift *= affine.scale;
    }
    return affine;
}

static void fold_dense(struct packed *packed, const struct fold *fold)
{
    const float *weight = fold->network->params + fold->layer->weight;
    for (size_t o = 0; o < packed->outputs; o++) {
        struct affine affine = affine_of(fold, o, packed->outputs);
        packed->bias[o] = (float)affine.shift;
        for (size_t i = 0; i < packed->inputs; i++) {
            double folded = (double)weight[i * packed->outputs + o] * affine.scale;
            packed->weight[packed_index(packed, i, o)] = (float)folded;
        }
    }
}

/* Where torch has the weight that takes x[i][v + p][u + q] into y[o][v][u]; `tap` counts
 * p, q. */
static size_t torch_index(const struct layer *layer, size_t o, size_t i, size_t tap)
{
    size_t taps = layer->kernel * layer->kernel;
    return layer->transposed ? (i * layer->out.channels + o) * taps + (taps - 1 - tap)
                             : (o * layer->in.channels + i) * taps + tap;
}

static void fold_conv(struct folded_step *step, const struct fold *fold)
{
    const struct layer *layer = fold->layer;
    const float *weight = fold->network->params + layer->weight;
    const size_t taps = layer->kernel * layer->kernel;
    struct packed_conv *conv = &step->conv, *back = &step->back;
    for (size_t o = 0; o < layer->out.channels; o++) {
        struct affine affine = affine_of(fold, o, layer->out.channels);
        conv->bias[o] = (float)affine.shift;
        for (size_t i = 0; i < layer->in.channels; i++) {
            for (size_t t = 0; t < taps; t++) {
                double w = (double)weight[torch_index(layer, o, i, t)] * affine.scale;
                size_t mirrored = taps - 1 - t;
                conv->weight[packed_conv_index(conv, o, i * taps + t)] = (float)w;
                back->weight[packed_conv_index(back, i, o * taps + mirrored)] = (float)w;
            }
        }
    }
}

/* ---- Steps ---- */

static int make_dense(struct folded_step *step, const struct fold *fold,
                      struct deepsad_error *error)
{
    const struct layer *layer = fold->layer;
    step->in = (struct image_shape){layer->inputs, 1, 1};
    step->out = (struct image_shape){layer->outputs, 1, 1};
    int status =
        packed_init(&step->dense, layer->inputs, layer->outputs, fold->activation, error);
    if (status == DEEPSAD_OK) {
        fold_dense(&step->dense, fold);
    }
    return status;
}

static int make_conv(struct folded_step *step, const struct fold *fold,
                     struct deepsad_error *error)
{
    const struct layer *layer = fold->layer;
    const size_t opposite = layer->kernel - 1 - layer->padding;
    const struct packed_conv forward = {.in = layer->in,
                                        .out = layer->out,
                                        .kernel = layer->kernel,
                                        .padding =
                                            layer->transposed ? opposite : layer->padding,
                                        .activation = fold->activation};
    const struct packed_conv back = {.in = layer->out,
                                     .out = layer->in,
                                     .kernel = layer->kernel,
                                     .padding = layer->kernel - 1 - forward.padding,
                                     .activation = PACKED_LINEAR};
    int status = packed_conv_init(&step->conv, &forward, error);
    if (status == DEEPSAD_OK) {
        status = packed_conv_init(&step->back, &back, error);
    }
    if (status == DEEPSAD_OK) {
        fold_conv(step, fold);
    }
    return status;
}

static int make_step(struct folded_step *step, const struct fold *fold,
                     struct deepsad_error *error)
{
    step->in = fold->layer->in;
    step->out = fold->layer->out;
    switch (fold->layer->kind) {
    case LAYER_DENSE:
        step->kind = FOLDED_DENSE;
        return make_dense(step, fold, error);
    case LAYER_CONV:
        step->kind = FOLDED_CONV;
        return make_conv(step, fold, error);
    case LAYER_MAX_POOL:
        step->kind = FOLDED_POOL;
        break;
    case LAYER_UPSAMPLE:
        step->kind = FOLDED_UPSAMPLE;
        break;
    case LAYER_BATCH_NORM: /* no fold starts with these */
    case LAYER_LEAKY_RELU:
    case LAYER_SIGMOID:
        break;
    }
    return DEEPSAD_OK;
}

/* An activation after a pool or an upsampling is the same before it: it moves to the
 * layer with weights there, if that has none. *at: the layer after the last step's. */
static void move_activations(struct folded *folded, const struct network *network,
                             size_t *at)
{
    size_t i = folded->step_count;
    while (i > 0 && (folded->steps[i - 1].kind == FOLDED_POOL ||
                     folded->steps[i - 1].kind == FOLDED_UPSAMPLE)) {
        i--;
    }
    if (i == 0) {
        return;
    }
    struct folded_step *step = &folded->steps[i - 1];
    enum packed_activation *activation =
        step->kind == FOLDED_DENSE ? &step->dense.activation : &step->conv.activation;
    if (*activation == PACKED_LINEAR) {
        *activation = activation_at(network, at);
    }
}

/* ---- Sizes of buffers ---- */

static void grow(size_t *largest, size_t size)
{
    *largest = size > *largest ? size : *largest;
}

static void place_image_step(struct folded *folded, struct folded_step *step)
{
    size_t size = simd_round_up(image_size(step->out));
    if (step->kind == FOLDED_CONV) {
        size = packed_conv_output_size(&step->conv);
        step->frame = folded->frames;
        folded->frames += packed_conv_frame_size(&step->conv);
        grow(&folded->back_frame, packed_conv_frame_size(&step->back));
        grow(&folded->back_image, packed_conv_output_size(&step->back));
    }
    step->kept = folded->kept;
    folded->kept += size;
    grow(&folded->image, size);
    grow(&folded->back_image, simd_round_up(image_size(step->in)));
    grow(&folded->back_image, simd_round_up(image_size(step->out)));
}

static void place_steps(struct folded *folded)
{
    for (size_t i = 0; i < folded->step_count; i++) {
        struct folded_step *step = &folded->steps[i];
        if (step->kind != FOLDED_DENSE) {
            place_image_step(folded, step);
        }
        if (folded_leaves_rows(folded, i)) {
            grow(&folded->widest, folded_step_padded(step));
        }
    }
}

static size_t tile_of(const struct folded *folded)
{
    size_t bytes = 0;
    for (size_t i = 0; i < folded->step_count; i++) {
        const struct packed *dense = &folded->steps[i].dense;
        bytes += dense->padded * dense->inputs * sizeof *dense->weight;
    }
    return bytes < LARGE_BYTES || folded->kept > 0 ? TILE_SMALL : TILE_LARGE;
}

int folded_fold(struct folded *folded, const struct network *network,
                struct deepsad_error *error)
{
    size_t width = network->inputs;
    for (size_t at = 0; at < network->layer_count;) {
        struct fold fold = {0};
        int status = next_fold(&fold, network, &at, error);
        if (status == DEEPSAD_OK) {
            status = check_shape(&fold, width, error);
        }
        if (status == DEEPSAD_OK) {
            folded->step_count++;
            status = make_step(&folded->steps[folded->step_count - 1], &fold, error);
        }
        if (status != DEEPSAD_OK) {
            return status;
        }
        if (!has_weights(fold.layer)) {
            move_activations(folded, network, &at);
        }
        width = fold.layer->outputs;
    }
    place_steps(folded);
    folded->inputs = network->inputs;
    folded->outputs = width;
    folded->tile = tile_of(folded);
    return DEEPSAD_OK;
}
