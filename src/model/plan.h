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
#include "nn/neighbours.h"
#include "nn/trainer.h"

struct plan_facts {
    size_t features;
    bool image;
    size_t labeled_anomalies;
};

struct plan {
    enum scaler_kind scaler;
    bool raw; /* score = the only component's raw score */
    bool networks, neighbours, autoencoder;
    double neighbours_weight, autoencoder_weight; /* beside the networks' 1 */
    size_t members;
    double calibration;
    double alpha;
    double contamination; /* largest share of hidden anomalies to calibrate for */

    struct setting_counts hidden;
    bool batch_norm;
    size_t center_rows; /* 0 = all */
    bool pretrain;
    struct trainer_options pretrain_options;
    struct trainer_options train_options;

    struct setting_counts autoencoder_hidden;
    struct trainer_options autoencoder_options;

    struct neighbours_options neighbours_options; /* seed not yet set */
};

int plan_make(struct plan *out, const struct deepsad_recipe *recipe,
              const struct plan_facts *facts, struct deepsad_error *error);

#endif
