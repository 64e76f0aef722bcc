/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to train, as a plain struct behind a table of settings; the table serves --set,
 * recipe files, the manifest and the help. What "auto" comes to for a given data set is
 * decided in model/plan.c, not here.
 */
#ifndef MODEL_RECIPE_H
#define MODEL_RECIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/setting.h"

/* Values of the choices, in the order of their names in recipe.c. */
enum recipe_base { RECIPE_DEFAULT, RECIPE_REFERENCE };
enum recipe_method { RECIPE_DEEPSAD, RECIPE_AUTOENCODER, RECIPE_CLASSIFIER };
enum recipe_switch { RECIPE_AUTO, RECIPE_ON, RECIPE_OFF };
enum recipe_scaler {
    RECIPE_SCALER_AUTO,
    RECIPE_SCALER_ASINH,
    RECIPE_SCALER_MINMAX,
    RECIPE_SCALER_GLOBAL,
    RECIPE_SCALER_NONE
};
enum recipe_score { RECIPE_SCORE_NORMALISED, RECIPE_SCORE_RAW };
enum recipe_cold_start { RECIPE_COLD_UNSUPERVISED, RECIPE_COLD_NETWORKS };
enum recipe_schedule { RECIPE_SCHEDULE_MILESTONES, RECIPE_SCHEDULE_COSINE };
enum recipe_loss { RECIPE_LOSS_PAPER, RECIPE_LOSS_LOG };

struct deepsad_recipe {
    int base;   /* enum recipe_base */
    int method; /* enum recipe_method */
    int scaler; /* enum recipe_scaler */
    int score;  /* enum recipe_score */
    int cold_start;
    double alpha;
    double calibration;   /* share held out by a single-member model */
    double contamination; /* of the unlabeled rows, at most */
    size_t reservoir;     /* unlabeled rows kept in the model file, at most */

    char *network; /* auto, dense, or a text that architecture_parse() takes */
    struct setting_counts hidden; /* {0} = by the rule in plan.c */
    int batch_norm;               /* enum recipe_switch */
    size_t members;               /* 0 = auto, as everything that may be 0 below */
    size_t pretrain_epochs;
    double pretrain_learning_rate, pretrain_weight_decay;
    size_t epochs, steps; /* both 0: steps by the rule in plan.c */
    size_t warm;
    size_t center_rows; /* 0 = all */
    size_t batch, anomaly_batch;
    double learning_rate, weight_decay;
    bool decoupled;
    int schedule;
    struct setting_counts milestones;
    int loss;
    double eta, trim;

    int insurance; /* enum recipe_switch */
    double insurance_weight;
    size_t neighbours_members, neighbours_scale_rows;
    double neighbours_trim;

    int autoencoder; /* enum recipe_switch */
    double autoencoder_weight;
    struct setting_counts autoencoder_hidden;
    size_t autoencoder_steps, autoencoder_batch;
    double autoencoder_learning_rate;
};

extern const struct setting_table recipe_table;

#endif
