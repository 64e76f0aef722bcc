/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows go through all steps a tile at a time, so that what one dense layer writes is
 * still in the cache when the next reads it, and its weights are read once for all of
 * them.
 */
#include "nn/folded.h"

#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "nn/folded_network.h"
#include "nn/folded_steps.h"

int folded_from_network(struct folded **out, const struct network *network,
                        struct deepsad_error *error)
{
    if (network->layer_count == 0) {
        return error_set(error, DEEPSAD_INVALID, "the network has no layers");
    }
    struct folded *folded = NULL;
    if (network->layer_count < SIZE_MAX / 2 / sizeof folded->steps[0]) {
        folded =
            calloc(1, sizeof *folded + network->layer_count * sizeof folded->steps[0]);
    }
    if (folded == NULL) {
        return error_no_memory(error, "a folded network");
    }
    int status = folded_fold(folded, network, error);
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
    for (size_t i = 0; i < folded->step_count; i++) {
        packed_done(&folded->steps[i].dense);
        packed_conv_done(&folded->steps[i].conv);
        packed_conv_done(&folded->steps[i].back);
    }
    free(folded);
}

size_t folded_outputs(const struct folded *folded)
{
    return folded->outputs;
}

/* ---- Scoring ---- */

/* Two buffers that steps write in turn, a padded center, and images: frames, and the
 * outputs of a step and of the one before. */
size_t folded_scratch(const struct folded *folded)
{
    return (2 * folded->tile + 1) * folded->widest + folded->frames + 2 * folded->image;
}

/* Views into scratch. */
struct run {
    const struct folded *folded;
    float *buffers[2]; /* (tile, widest) */
    float *center;     /* (widest) */
    struct folded_images images;
};

static struct run start(const struct folded *folded, float *scratch)
{
    size_t buffer = folded->tile * folded->widest;
    float *center = scratch + 2 * buffer;
    float *frames = center + folded->widest;
    struct run run = {.folded = folded,
                      .buffers = {scratch, scratch + buffer},
                      .center = center,
                      .images = {.frames = frames, .outputs = frames + folded->frames}};
    if (folded->frames > 0) {
        memset(frames, 0, folded->frames * sizeof *frames);
    }
    return run;
}

/* Rows through the chain that begins with step *at, which becomes the one after it.
 * Returns how far apart the rows of y are. */
static size_t run_chain(const struct run *run, size_t *at, float *y, const float *x,
                        size_t stride, size_t rows)
{
    const struct folded *folded = run->folded;
    size_t end = folded_chain_end(folded, *at);
    size_t padded = folded_step_padded(&folded->steps[end - 1]);
    for (size_t r = 0; r < rows; r++) {
        folded_chain_run(folded, *at, end, y + r * padded, x + r * stride, &run->images);
    }
    *at = end;
    return padded;
}

/* The last step's outputs (rows, last_padded()) of a tile. */
static const float *run_steps(const struct run *run, const float *x, size_t rows)
{
    const struct folded *folded = run->folded;
    size_t stride = folded->inputs;
    size_t turn = 0;
    for (size_t i = 0; i < folded->step_count;) {
        const struct folded_step *step = &folded->steps[i];
        float *y = run->buffers[turn++ % 2];
        if (step->kind == FOLDED_DENSE) {
            packed_forward(&step->dense, y, x, stride, rows);
            stride = step->dense.padded;
            i++;
        } else {
            stride = run_chain(run, &i, y, x, stride, rows);
        }
        x = y;
    }
    return x;
}

static size_t last_padded(const struct folded *folded)
{
    return folded_step_padded(&folded->steps[folded->step_count - 1]);
}

static size_t tile_rows(const struct folded *folded, size_t rows)
{
    return rows < folded->tile ? rows : folded->tile;
}

void folded_forward(const struct folded *folded, float *out, const float *x, size_t rows,
                    float *scratch)
{
    size_t padded = last_padded(folded);
    const struct run run = start(folded, scratch);
    for (size_t done = 0, count; done < rows; done += count) {
        count = tile_rows(folded, rows - done);
        const float *y = run_steps(&run, x + done * folded->inputs, count);
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
    const struct run run = start(folded, scratch);
    memset(run.center, 0, padded * sizeof *run.center);
    memcpy(run.center, center, folded->outputs * sizeof *center);
    for (size_t done = 0, count; done < rows; done += count) {
        count = tile_rows(folded, rows - done);
        const float *y = run_steps(&run, x + done * folded->inputs, count);
        packed_distances(distance + done, y, run.center, count, padded);
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
    const struct run run = start(folded, scratch);
    for (size_t done = 0, count; done < rows; done += count) {
        count = tile_rows(folded, rows - done);
        const float *tile = x + done * folded->inputs;
        const float *y = run_steps(&run, tile, count);
        for (size_t i = 0; i < count; i++) {
            float sum =
                squared_error(y + i * padded, tile + i * folded->inputs, folded->outputs);
            error[done + i] = bounded(sum / (float)folded->outputs);
        }
    }
}
