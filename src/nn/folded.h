/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network made ready for scoring: BatchNorm's running statistics folded into the
 * weights before it, immutable. Dense layers of all sizes run in the packed kernel
 * (nn/packed.h, which has the measurements), convolutions, transposed ones too, in that
 * of nn/packed_conv.h, one image at a time. A row's result is the same bits alone and in
 * any batch; machines with other instruction sets may differ by 1e-6. Rows of images are
 * (channels, height, width).
 */
#ifndef NN_FOLDED_H
#define NN_FOLDED_H

#include <stddef.h>

#include "base/error.h"
#include "nn/network.h"

struct folded;

/* Eval-mode equivalent of the network, which may be freed then. Dense layers and
 * convolutions may each be followed by a batch norm, then by a leaky ReLU or a sigmoid
 * (which may also come after a pool or upsampling); DEEPSAD_UNSUPPORTED where another
 * layer or order is met, DEEPSAD_INVALID where shapes do not follow from each other. */
int folded_from_network(struct folded **out, const struct network *network,
                        struct deepsad_error *error);
void folded_free(struct folded *folded);

size_t folded_outputs(const struct folded *folded);

/* A good number of rows for a caller's own buffers. Calls take any number. */
enum { FOLDED_BLOCK = 256 };
/* Floats of scratch that a call needs, however many rows. */
size_t folded_scratch(const struct folded *folded);

/* out (rows, outputs) = network(x (rows, inputs)); scratch is 64-byte aligned. */
void folded_forward(const struct folded *folded, float *out, const float *x, size_t rows,
                    float *scratch);

/* distance (rows): |phi(x) - center|^2, at most FLT_MAX, never NaN; center (outputs).
 * Several networks on the same rows are scored one after the other: for 4 x 9-128-64,
 * merging the first layers into one of 512 outputs gained 0.1 us for one row and nothing
 * in batches. */
void folded_distance(const struct folded *folded, const float *center, float *distance,
                     const float *x, size_t rows, float *scratch);

/* error (rows): mean over the features of (network(x) - x)^2, for autoencoders; at most
 * FLT_MAX, never NaN. */
void folded_reconstruction(const struct folded *folded, float *error, const float *x,
                           size_t rows, float *scratch);

#endif
