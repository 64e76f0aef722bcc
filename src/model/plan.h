/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a recipe comes to for a given data set: every "auto" decided, every setting turned
 * into the options of the layers below.
 */
#ifndef MODEL_PLAN_H
#define MODEL_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "data/scaler.h"
#include "model/recipe.h"
#include "nn/architecture.h"
#include "nn/neighbours.h"
#include "nn/trainer.h"

struct plan_facts {
    size_t features;
    struct image_shape image; /* all 0 where rows are no images */
    bool pixels;              /* images whose values all lie in [0, 1] */
    size_t labeled_anomalies;
};

struct plan {
    enum scaler_kind scaler;
    bool raw;   /* score = the only component's raw score */
    int method; /* enum recipe_method: what the component `networks` is */
    bool networks, neighbours, autoencoder;
    double neighbours_weight, autoencoder_weight; /* beside the networks' 1 */
    size_t members;
    double calibration;
    double alpha;
    double contamination; /* largest share of hidden anomalies to calibrate for */

    struct architecture network;
    struct image_shape input; /* of the network; dense: (features, 1, 1) */
    bool convolutional;
    bool batch_norm;
    bool bias;          /* of dense layers; only of what was trained elsewhere */
    size_t warm;        /* passes */
    size_t center_rows; /* 0 = all */
    bool pretrain;
    bool sigmoid; /* at the end of the pretraining's autoencoder */
    struct trainer_options pretrain_options; /* or of method autoencoder */
    struct trainer_options train_options;

    struct setting_counts autoencoder_hidden;
    struct trainer_options autoencoder_options;

    struct neighbours_options neighbours_options; /* seed not yet set */
};

/* DEEPSAD_INVALID where settings contradict each other or do not fit the data. */
int plan_make(struct plan *out, const struct deepsad_recipe *recipe,
              const struct plan_facts *facts, struct deepsad_error *error);

#endif
