/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CIFAR-10's binary version: records of a class byte and 3 x 32 x 32 bytes, red, green,
 * blue, each row by row. Pixels become [0, 1] (divided by 255).
 */
#ifndef DATA_CIFAR_H
#define DATA_CIFAR_H

#include "data/stream.h"

int cifar_read(struct deepsad_dataset *out, struct stream *stream,
               const struct deepsad_read_options *options, struct deepsad_error *error);

#endif
