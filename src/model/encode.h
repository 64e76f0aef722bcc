/* SPDX-License-Identifier: Apache-2.0 */
/* Representations of rows: deepsad_encode() and deepsad_model_code_width(), declared in
 * deepsad.h. */
#ifndef MODEL_ENCODE_H
#define MODEL_ENCODE_H

#include "deepsad.h"

#endif
