/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model as an ONNX graph, from raw features to score and p-value, so that it runs where
 * onnxruntime does: input "input" FP32 (rows, features), NaN = missing; outputs "score"
 * and "p_value" FP32 (rows). Images are reshaped inside. The function is that of
 * deepsad.h.
 */
#ifndef MODEL_MODEL_ONNX_H
#define MODEL_MODEL_ONNX_H

#include "deepsad.h"

#endif
