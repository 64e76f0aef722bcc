/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ensemble in a model file. Tensors carry the names and layouts that PyTorch gives an
 * nn.Sequential of the same layers: networks.<k>.encoder.<layer>.weight (out, in), of a
 * convolution (out, in, kernel, kernel) and transposed (in, out, kernel, kernel), .bias,
 * .running_mean, .running_var; beside them networks.<k>.center and networks.median.
 *
 * The manifest's card of it has the widths of dense layers, else the architecture's text
 * as "network"; the image is the model's.
 */
#ifndef MODEL_ENSEMBLE_FILE_H
#define MODEL_ENSEMBLE_FILE_H

#include "model/ensemble.h"

int ensemble_describe(const struct component *component, json_t *card);
int ensemble_save(const struct component *component, struct safetensors_writer *writer,
                  struct deepsad_error *error);
int ensemble_load(struct component **out, const struct component_ops *ops,
                  const struct safetensors *file, const json_t *card,
                  struct image_shape input, struct deepsad_error *error);

#endif
