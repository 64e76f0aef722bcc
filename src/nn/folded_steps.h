/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a folded network is made of, for nn/folded.h and nn/folded_gradient.h: dense
 * layers, which take a tile of rows at a time, and between them chains of steps on
 * images, which take one row at a time: its images stay in the nearest cache.
 */
#ifndef NN_FOLDED_STEPS_H
#define NN_FOLDED_STEPS_H

#include <stdbool.h>

#include "base/simd.h"
#include "nn/folded.h"
#include "nn/packed.h"
#include "nn/packed_conv.h"

enum folded_kind { FOLDED_DENSE, FOLDED_CONV, FOLDED_POOL, FOLDED_UPSAMPLE };

struct folded_step {
    enum folded_kind kind;
    struct image_shape in, out;
    struct packed dense;
    struct packed_conv conv;
    struct packed_conv back; /* of conv: from the gradient by its sums to that by its
                                input */
    size_t frame;            /* of conv: where its frame begins in a row's frames */
    size_t kept;             /* not dense: where its outputs begin among those of a row */
};

struct folded {
    size_t inputs, outputs;
    size_t widest; /* floats of the widest row that a dense step or chain writes */
    size_t tile;   /* rows */
    size_t frames; /* floats of all convolutions' frames */
    size_t kept;   /* floats of all outputs of image steps of a row */
    size_t image;  /* floats of the largest of them */
    size_t back_frame, back_image; /* likewise, of the way back */
    size_t step_count;
    struct folded_step steps[];
};

/* How a step's outputs lie where they are kept. */
struct packed_layout folded_step_layout(const struct folded_step *step);

/* Floats from a row of a step's outputs to the next, where they leave as rows: whole
 * panels, what is more than outputs is 0. */
static inline size_t folded_step_padded(const struct folded_step *step)
{
    return step->kind == FOLDED_DENSE ? step->dense.padded
                                      : simd_round_up(image_size(step->out));
}

/* Whether step `index` is a dense one or the last of its chain. */
bool folded_leaves_rows(const struct folded *folded, size_t index);

/* The first step after the chain of image steps that begins with step `from`. */
size_t folded_chain_end(const struct folded *folded, size_t from);

/* Buffers of a chain for one row. */
struct folded_images {
    float *frames; /* (folded->frames), 0 outside the images */
    float *outputs;
    bool keep; /* outputs (folded->kept): of each step in a place of its own; else
                  (2, folded->image): steps write to the two in turn */
};

/* y (folded_step_padded() of the last step) of a row x of the chain [from, to). */
void folded_chain_run(const struct folded *folded, size_t from, size_t to, float *y,
                      const float *x, const struct folded_images *images);

#endif
