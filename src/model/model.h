/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trained model: scaler, components, calibration, manifest. Immutable once published,
 * reference-counted.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdatomic.h>
#include <stddef.h>

#include "data/scaler.h"
#include "deepsad.h"
#include "model/calibration.h"
#include "model/component.h"
#include "model/training_set.h"

enum { MODEL_COMPONENTS_MAX = 4 };
#define MODEL_ALPHA_DEFAULT 0.01

struct deepsad_model {
    atomic_size_t references;
    size_t features;
    bool named;             /* the training data named its features */
    char **names;           /* (features), x0, x1, ... where not named */
    uint32_t *names_sorted; /* (features): indices in the order of strcmp */
    size_t channels, height, width;
    struct scaler scaler;
    size_t component_count;
    struct component *components[MODEL_COMPONENTS_MAX];
    double weight_sum; /* of the components */
    bool raw;          /* score = the only component's raw score */
    struct calibration calibration;
    double alpha;             /* of model.yaml */
    char *manifest;           /* JSON text, the card */
    struct training_set *set; /* just trained: the rows to keep in its file; else NULL */
};

/* An empty model with one reference and its feature names; `names` may be NULL. */
int model_new(struct deepsad_model **out, size_t features, char *const *names,
              struct deepsad_error *error);

/* Takes over the component. */
void model_add(struct deepsad_model *model, struct component *component);

/* Takes over the set in place of the one that the model holds. */
int model_hold_set(struct deepsad_model *model, struct training_set *set,
                   struct deepsad_error *error);

/* scores (rows) from the components' raw scores (component_count arrays of (rows)). */
void model_blend(const struct deepsad_model *model, float *scores,
                 float *const raw[MODEL_COMPONENTS_MAX], size_t rows);

#endif
