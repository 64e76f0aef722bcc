/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training of a whole model: deepsad_train() of deepsad.h. Prepare the rows, fit the
 * components' tasks in parallel, normalise, blend, calibrate, write the manifest. What
 * the threads do does not depend on their number or order.
 */
#ifndef MODEL_FIT_H
#define MODEL_FIT_H

#include "model/model.h"
#include "model/training.h"

/* Sets the components' normalisers and the model's calibration from the components' raw
 * scores of the training rows (as their `finish` gives them); scores (rows): blended.
 * *weight: sum of the calibration weights. */
int fit_calibrate(struct deepsad_model *model, float *scores, double *weight,
                  const struct training *training, float *const raw[MODEL_COMPONENTS_MAX],
                  struct deepsad_error *error);

#endif
