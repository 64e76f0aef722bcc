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
    /* What is to be kept with the model, copied once the training's own memory is free:
     * the set, or at most so many unlabeled rows of the data set; NULL and 0: nothing. */
    const struct training_set *set;
    size_t reservoir;
    const struct training_given *given; /* see struct training */
};

int fit_train(struct deepsad_model **out, const struct fit_input *input,
              const struct deepsad_recipe *recipe,
              const struct deepsad_train_options *options, struct deepsad_error *error);

#endif
