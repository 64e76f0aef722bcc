/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest: what a model is and where it comes from, as one JSON object. It is made
 * once, by training, and kept as text from then on: it is the card, and what the model
 * file holds beside the tensors.
 */
#ifndef MODEL_MANIFEST_H
#define MODEL_MANIFEST_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"
#include "model/recipe.h"
#include "model/training.h"

/* What training knows beside the model. */
struct manifest_facts {
    const struct deepsad_recipe *recipe;
    const struct training *training;
    const char *parent;      /* version that this one descends from, or NULL */
    bool scaler_kept;        /* from the parent */
    const char *data_digest; /* SHA-256 of the training data */
    double seconds;          /* of training */
    double weight;           /* sum of calibration weights */
    double entropy[3];       /* of unlabeled, normal, anomalous rows; NaN = none */
    double auc;              /* of the labels' out-of-fold scores; NaN = none */
};

/* Sets model->manifest. What it says of kept rows is of model->set. */
int manifest_make(struct deepsad_model *model, const struct manifest_facts *facts,
                  struct deepsad_error *error);

/* The same where only the calibration is new: the components and their lineage stay. Of
 * the facts, training and weight are looked at. */
int manifest_recalibrate(struct deepsad_model *model, const struct manifest_facts *facts,
                         unsigned parent, struct deepsad_error *error);

/* Sets one member (takes over the reference to `value`, which may be NULL: out of
 * memory). */
int manifest_set(struct deepsad_model *model, const char *key, json_t *value,
                 struct deepsad_error *error);

/* The text for a file, to free(): one that is written without the training rows, because
 * the model was read, says so. NULL on failure. */
int manifest_to_write(char **out, const struct deepsad_model *model,
                      struct deepsad_error *error);

/* An empty model of the manifest's input, with `text` as its manifest; *components: its
 * array of components' cards, owned by *root (json_decref it). */
int manifest_read(struct deepsad_model **out, json_t **root, const json_t **components,
                  const char *text, struct deepsad_error *error);

#endif
