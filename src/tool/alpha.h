/* SPDX-License-Identifier: Apache-2.0 */
/* The false-alarm budget that a command works with. */
#ifndef TOOL_ALPHA_H
#define TOOL_ALPHA_H

#include "deepsad.h"

/* What was given, or the model's budget where that is NaN. Warns where the calibration
 * cannot reach it: not one row will be called anomalous then. */
double alpha_resolve(const struct deepsad_model *model, double given);

#endif
