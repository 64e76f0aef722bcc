/* SPDX-License-Identifier: Apache-2.0 */
/* An ensemble's raw score as nodes of an ONNX graph: batch norms folded, images reshaped
 * inside. */
#ifndef MODEL_ENSEMBLE_ONNX_H
#define MODEL_ENSEMBLE_ONNX_H

#include "model/component.h"

int ensemble_onnx(const struct component *component, struct onnx_graph *graph,
                  const char *z, const char **raw, struct deepsad_error *error);

#endif
