/* SPDX-License-Identifier: Apache-2.0 */
/* Images on another scale than those that a model learnt from, as 0 to 255 in place of 0
 * to 1, are all anomalous to it, or none: that is seldom meant, so it is said. */
#ifndef TOOL_SCALE_H
#define TOOL_SCALE_H

#include <stdbool.h>

#include "deepsad.h"

/* Most images of the data, which the model accepts, are far from the typical image that
 * the model knows: more than ten times as far as those of the training, where one scaler
 * is for all pixels, or fifty times as dark. False of tables. */
bool scale_differs(const struct deepsad_model *model,
                   const struct deepsad_dataset *dataset);

/* Says so on stderr, naming `path`. */
void scale_warn(const struct deepsad_model *model, const struct deepsad_dataset *dataset,
                const char *path);

#endif
