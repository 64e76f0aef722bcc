/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a tape (nn/tape.h) that has images in lanes: a run of layers on images,
 * from rows to rows. It is cut into stages, a convolution and what follows it up to the
 * next, [batch norm], [leaky ReLU], [pool or upsampling], any of these missing. Groups of
 * 16 samples go through as many stages as they can at once, which is up to a batch norm,
 * that has to see all groups; a thread takes a group at a time, so that what one layer
 * has written the next still finds in the cache.
 */
#ifndef NN_IMAGE_LAYERS_H
#define NN_IMAGE_LAYERS_H

#include <stddef.h>

#include "base/crew.h"
#include "base/error.h"
#include "nn/network.h"

struct image_layers;

/* How many layers from `first` on are such a run; 0 = that layer is on rows. */
size_t image_layers_count(const struct network *network, size_t first);

/* For those layers and batches of at most `rows`. */
int image_layers_new(struct image_layers **out, const struct network *network,
                     size_t first, size_t rows, struct crew *crew,
                     struct deepsad_error *error);
void image_layers_free(struct image_layers *images);

/* y (rows, the last layer's outputs) of x (rows, the first layer's inputs). */
void image_layers_forward_train(struct image_layers *images, struct network *network,
                                float *y, const float *x, size_t rows);
void image_layers_forward_eval(struct image_layers *images, const struct network *network,
                               float *y, const float *x, size_t rows);

/* Once after a forward_train: the layers' part of network->grads; dx (rows, inputs), NULL
 * = not wanted; dx may be dy where its block is large enough. */
void image_layers_backward(struct image_layers *images, struct network *network,
                           float *dx, const float *dy);

#endif
