/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest neighbours' raw score as nodes of an ONNX graph. A member takes 64 bytes a
 * row for each of its features while it is computed. */
#ifndef MODEL_INSURANCE_ONNX_H
#define MODEL_INSURANCE_ONNX_H

#include "model/component.h"

int insurance_onnx(const struct component *component, struct onnx_graph *graph,
                   const char *z, const char **raw, struct deepsad_error *error);

#endif
