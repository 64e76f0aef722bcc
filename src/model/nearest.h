/* SPDX-License-Identifier: Apache-2.0 */
/* The subspace nearest-neighbour ensemble (nn/neighbours.h) as a model's component. */
#ifndef MODEL_NEAREST_H
#define MODEL_NEAREST_H

#include "model/component.h"

extern const struct component_ops nearest_ops;

int nearest_new(struct component **out, double weight, struct deepsad_error *error);
int nearest_load(struct component **out, const struct component_ops *ops,
                 const struct safetensors *file, const json_t *card, size_t features,
                 struct deepsad_error *error);

#endif
