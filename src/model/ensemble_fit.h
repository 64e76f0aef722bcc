/* SPDX-License-Identifier: Apache-2.0 */
/* Training of an ensemble's members; the training half of struct component_ops. */
#ifndef MODEL_ENSEMBLE_FIT_H
#define MODEL_ENSEMBLE_FIT_H

#include "model/ensemble.h"

double ensemble_work(const struct component *component, const struct training *training);
int ensemble_prepare(struct component *component, const struct training *training,
                     struct deepsad_error *error);
int ensemble_fit(struct component *component, const struct training *training, size_t k,
                 struct deepsad_error *error);
int ensemble_finish(struct component *component, const struct training *training,
                    float *raw, struct deepsad_error *error);

#endif
