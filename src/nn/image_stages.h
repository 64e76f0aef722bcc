/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nn/image_layers.h has in memory. A run of layers is cut into stages; of a stage
 * are kept z, the convolution's output, and y, what the stage makes of it. On the way
 * back y becomes the gradient g in place (nn/lanes.h); dz and dx exist for a group at a
 * time, in a thread's own memory.
 */
#ifndef NN_IMAGE_STAGES_H
#define NN_IMAGE_STAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/crew.h"
#include "base/error.h"
#include "nn/conv.h"
#include "nn/lanes.h"
#include "nn/network.h"

struct stage {
    bool has_conv, has_norm;
    bool plain; /* nothing follows the convolution: y is z */
    struct conv conv;
    struct image_shape in, out; /* of z and y */
    struct lanes_tail tail;
    size_t weight, weights;        /* offset in params, and number */
    size_t mean, variance;         /* offsets in state */
    float *z;                      /* (groups, in, LANES); NULL: the stage before's y */
    float *y;                      /* (groups, out, LANES); NULL: z */
    float *packed;                 /* the weights, forward; then backward */
    float *dweight;                /* (groups, weights) */
    struct lanes_moments *moments; /* (groups, channels) */
    struct lanes_sums *sums;       /* (groups, channels) */
    struct lanes_norm *norms;      /* (channels) */
    struct lanes_means *means;     /* (channels) */
};

struct image_layers {
    size_t stage_count;
    struct stage *stages;
    struct image_shape in, out;
    float *x; /* (groups, in, LANES) */
    size_t rows;
    struct crew *crew;
    float **scratch; /* (threads) each (2, largest image, LANES), then the conv's */
    size_t largest;
};

/* The `count` layers from `first` on, a run, for batches of at most `rows`: the members
 * above but `rows`, with room for the threads of `crew`. */
int image_stages_new(struct image_layers **out, const struct network *network,
                     size_t first, size_t count, size_t rows, struct crew *crew,
                     struct deepsad_error *error);
void image_stages_free(struct image_layers *images);

#endif
