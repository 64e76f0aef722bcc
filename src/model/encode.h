/* SPDX-License-Identifier: Apache-2.0 */
/* Representations of rows: deepsad_encode() of deepsad.h. */
#ifndef MODEL_ENCODE_H
#define MODEL_ENCODE_H

#include "model/model.h"

/* The component whose representation stands for the model: the networks, or what stands
 * for them, before the small autoencoder; NULL where there is no encoder. */
const struct component *encode_component(const struct deepsad_model *model);

#endif
