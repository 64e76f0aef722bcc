/* SPDX-License-Identifier: Apache-2.0 */
/* From raw scores of the training rows, by members that never saw them, to what makes
 * them comparable and then p-values. */
#ifndef MODEL_FIT_CALIBRATION_H
#define MODEL_FIT_CALIBRATION_H

#include "model/model.h"
#include "model/training.h"

/* raw: of the components, (rows) each, as their `finish` gives them. */
int fit_normalisers(struct deepsad_model *model, const struct training *training,
                    float *const raw[MODEL_COMPONENTS_MAX], struct deepsad_error *error);

/* Sets the model's calibration anew, by its normalisers as they are; scores (rows):
 * blended. *weight: sum of the calibration weights. */
int fit_calibrate(struct deepsad_model *model, float *scores, double *weight,
                  const struct training *training, float *const raw[MODEL_COMPONENTS_MAX],
                  struct deepsad_error *error);

#endif
