/* SPDX-License-Identifier: Apache-2.0 */
/* The subspace nearest-neighbour ensemble (nn/neighbours.h) as a model's component. */
#ifndef MODEL_INSURANCE_H
#define MODEL_INSURANCE_H

#include "model/component.h"

extern const struct component_ops insurance_ops;

/* Of a component of that kind, fitted. */
const struct neighbours *insurance_neighbours(const struct component *component);

int insurance_new(struct component **out, double weight, struct deepsad_error *error);
int insurance_load(struct component **out, const struct component_ops *ops,
                   const struct safetensors *file, const json_t *card,
                   struct image_shape input, struct deepsad_error *error);

#endif
