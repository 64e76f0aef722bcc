/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDX, the format of MNIST: images of unsigned bytes (magic 0x00000803: count, height,
 * width, big-endian) and their classes (0x00000801: count). Pixels become [0, 1]
 * (divided by 255), the shape 1 x height x width.
 */
#ifndef DATA_IDX_H
#define DATA_IDX_H

#include "data/stream.h"

int idx_read(struct deepsad_dataset *out, struct stream *stream,
             const struct deepsad_read_options *options, struct deepsad_error *error);

#endif
