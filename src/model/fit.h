/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training of a whole model: prepare the rows, fit the components' tasks in parallel,
 * normalise, blend, calibrate, write the manifest. What the threads do does not depend on
 * their number or order. deepsad_train() of deepsad.h and retrain() are its two callers.
 */
#ifndef MODEL_FIT_H
#define MODEL_FIT_H

#include "model/model.h"
#include "model/training.h"

/* What a model is trained on. */
struct fit_input {
    const struct deepsad_dataset *dataset;
    char *const *names;          /* (features), or NULL */
    const uint32_t *ordinals;    /* (rows) of labelled rows; NULL = as they stand */
    size_t reviewed;             /* see struct training_source */
    const struct scaler *scaler; /* to be kept; NULL = fitted on the rows */
    struct training_set *set;    /* to be kept with the model, taken over once it is
                                    trained; NULL = none */
};

int fit_train(struct deepsad_model **out, const struct fit_input *input,
              const struct deepsad_recipe *recipe,
              const struct deepsad_train_options *options, struct deepsad_error *error);

#endif
