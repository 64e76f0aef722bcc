/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/image_stages.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/simd.h"
#include "nn/layer.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* ---- Stages of layers ---- */

/* Layers come in this order within a stage; each at most once. */
static int place(const struct layer *layer)
{
    switch (layer->kind) {
    case LAYER_CONV:
        return 1;
    case LAYER_BATCH_NORM:
        return 2;
    case LAYER_LEAKY_RELU:
        return 3;
    case LAYER_MAX_POOL:
    case LAYER_UPSAMPLE:
        return 4;
    case LAYER_DENSE:
    case LAYER_SIGMOID: /* not in a run */
        break;
    }
    return 0;
}

static void add_layer(struct stage *stage, const struct layer *layer)
{
    stage->out = layer->out;
    stage->plain = stage->plain && layer->kind == LAYER_CONV;
    if (layer->kind == LAYER_CONV) {
        stage->has_conv = true;
        stage->conv = (struct conv){.in = layer->in,
                                    .out = layer->out,
                                    .kernel = layer->kernel,
                                    .padding = layer->padding,
                                    .transposed = layer->transposed};
        stage->weight = layer->weight;
        stage->weights = conv_weights(&stage->conv);
        stage->in = layer->out;
    } else if (layer->kind == LAYER_BATCH_NORM) {
        stage->has_norm = true;
        stage->mean = layer->mean;
        stage->variance = layer->variance;
    } else if (layer->kind == LAYER_LEAKY_RELU) {
        stage->tail.slope = LAYER_LEAKY_SLOPE;
    } else {
        bool pool = layer->kind == LAYER_MAX_POOL;
        stage->tail.resize = pool ? LANES_POOL : LANES_UPSAMPLE;
    }
    stage->tail.in = (struct lanes_side){stage->in.height, stage->in.width};
    stage->tail.out = (struct lanes_side){stage->out.height, stage->out.width};
}

static void cut(struct image_layers *images, const struct layer *layers, size_t count)
{
    int before = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || place(&layers[i]) <= before) {
            images->stages[images->stage_count++] =
                (struct stage){.in = layers[i].in, .plain = true, .tail = {.slope = 1}};
        }
        before = place(&layers[i]);
        add_layer(&images->stages[images->stage_count - 1], &layers[i]);
    }
}

/* ---- Memory ---- */

static const char what[] = "the images of a batch";

/* Not cleared: memory that is not used, as in eval mode, is not taken from the system. */
static int block_new(float **out, size_t count, size_t floats,
                     struct deepsad_error *error)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, floats, &total) ||
        total > SIZE_MAX / sizeof(float) - (size_t)2 * SIMD_ALIGN) {
        return error_no_memory(error, what);
    }
    *out = aligned_alloc(SIMD_ALIGN, simd_round_up(total + 1) * sizeof **out);
    return *out == NULL ? error_no_memory(error, what) : DEEPSAD_OK;
}

static int images_new(float **out, size_t groups, struct image_shape image,
                      struct deepsad_error *error)
{
    size_t floats = 0;
    if (__builtin_mul_overflow(image_size(image), (size_t)LANES, &floats)) {
        return error_no_memory(error, what);
    }
    return block_new(out, groups, floats, error);
}

static int allocate_norm(struct stage *stage, size_t groups, struct deepsad_error *error)
{
    size_t channels = stage->in.channels;
    size_t count = 0;
    if (__builtin_mul_overflow(groups, channels, &count)) {
        return error_no_memory(error, what);
    }
    stage->moments = calloc(count, sizeof *stage->moments);
    stage->sums = calloc(count, sizeof *stage->sums);
    stage->norms = calloc(channels, sizeof *stage->norms);
    stage->means = calloc(channels, sizeof *stage->means);
    if (stage->moments == NULL || stage->sums == NULL || stage->norms == NULL ||
        stage->means == NULL) {
        return error_no_memory(error, what);
    }
    for (size_t c = 0; c < channels; c++) {
        stage->norms[c] = (struct lanes_norm){0, 1};
    }
    return DEEPSAD_OK;
}

static int allocate_stage(struct stage *stage, size_t groups, struct deepsad_error *error)
{
    int status = allocate_norm(stage, groups, error);
    if (status == DEEPSAD_OK && stage->has_conv) {
        status = images_new(&stage->z, groups, stage->in, error);
    }
    if (status == DEEPSAD_OK && stage->has_conv) {
        status = block_new(&stage->packed, 1, conv_packed_size(&stage->conv), error);
    }
    if (status == DEEPSAD_OK && stage->has_conv) {
        status = block_new(&stage->dweight, groups, stage->weights, error);
    }
    if (status == DEEPSAD_OK && !stage->plain) {
        status = images_new(&stage->y, groups, stage->out, error);
    }
    return status;
}

static int allocate_scratch(struct image_layers *images, struct deepsad_error *error)
{
    size_t threads = crew_threads(images->crew);
    images->largest = image_size(images->in);
    size_t conv = 0;
    for (size_t i = 0; i < images->stage_count; i++) {
        const struct stage *stage = &images->stages[i];
        images->largest = larger(images->largest, image_size(stage->in));
        images->largest = larger(images->largest, image_size(stage->out));
        conv = larger(conv, stage->has_conv ? conv_scratch(&stage->conv) : 0);
    }
    images->scratch = calloc(threads, sizeof *images->scratch);
    if (images->scratch == NULL) {
        return error_no_memory(error, what);
    }
    size_t floats = 0; /* the stages' blocks have shown that the product is a size */
    if (__builtin_add_overflow(2 * images->largest * LANES, conv, &floats)) {
        return error_no_memory(error, what);
    }
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < threads && status == DEEPSAD_OK; i++) {
        status = block_new(&images->scratch[i], 1, floats, error);
    }
    return status;
}

static int allocate(struct image_layers *images, size_t groups,
                    struct deepsad_error *error)
{
    int status = images_new(&images->x, groups, images->in, error);
    for (size_t i = 0; i < images->stage_count && status == DEEPSAD_OK; i++) {
        status = allocate_stage(&images->stages[i], groups, error);
    }
    return status == DEEPSAD_OK ? allocate_scratch(images, error) : status;
}

int image_stages_new(struct image_layers **out, const struct network *network,
                     size_t first, size_t count, size_t rows, struct crew *crew,
                     struct deepsad_error *error)
{
    const struct layer *layers = &network->layers[first];
    struct image_layers *images = calloc(1, sizeof *images);
    if (images == NULL) {
        return error_no_memory(error, what);
    }
    images->crew = crew;
    images->in = layers[0].in;
    images->out = layers[count - 1].out;
    images->stages = calloc(count, sizeof *images->stages);
    if (images->stages == NULL) {
        image_stages_free(images);
        return error_no_memory(error, what);
    }
    cut(images, layers, count);
    int status = allocate(images, lanes_groups(rows), error);
    if (status != DEEPSAD_OK) {
        image_stages_free(images);
        return status;
    }
    *out = images;
    return DEEPSAD_OK;
}

static void free_stage(struct stage *stage)
{
    free(stage->z);
    free(stage->y);
    free(stage->packed);
    free(stage->dweight);
    free(stage->moments);
    free(stage->sums);
    free(stage->norms);
    free(stage->means);
}

void image_stages_free(struct image_layers *images)
{
    if (images == NULL) {
        return;
    }
    for (size_t i = 0; i < images->stage_count; i++) {
        free_stage(&images->stages[i]);
    }
    for (size_t i = 0; images->scratch != NULL && i < crew_threads(images->crew); i++) {
        free(images->scratch[i]);
    }
    free(images->scratch);
    free(images->stages);
    free(images->x);
    free(images);
}
