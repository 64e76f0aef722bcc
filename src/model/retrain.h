/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training again, from scratch, on a training set; what the worker does and what
 * `deepsad reproduce` repeats. And what the gate needs of two models: scores of rows by
 * members that never saw them.
 */
#ifndef MODEL_RETRAIN_H
#define MODEL_RETRAIN_H

#include <jansson.h>

#include "data/scaler.h"
#include "model/model.h"
#include "model/recipe.h"
#include "model/training_set.h"

struct retrain_options {
    uint64_t seed;
    unsigned parent;             /* version number, 0 = none */
    size_t threads;              /* 0 = one per core */
    const struct scaler *scaler; /* kept from the champion; NULL = fitted on the set */
    char *const *names;          /* (features), or NULL */
    size_t channels, height, width;
    /* As in struct deepsad_train_options. */
    int (*progress)(void *closure, const struct deepsad_progress *progress);
    void *closure;
};

/* Same set, recipe, seed, scaler: the same tensors bit for bit on one machine, for any
 * number of threads. The model keeps a copy of the set. */
int retrain(struct deepsad_model **out, const struct training_set *set,
            const struct deepsad_recipe *recipe, const struct retrain_options *options,
            struct deepsad_error *error);

/* The recipe and the seed that the model's manifest records. */
int retrain_recipe(struct deepsad_recipe **out, uint64_t *seed,
                   const struct deepsad_model *model, struct deepsad_error *error);

/* scores (base + traffic): blended score of each unlabeled row, the networks' part by the
 * member of its fold (fold_hash), which never saw it. */
int retrain_unlabeled_scores(float *scores, const struct deepsad_model *model,
                             const struct training_set *set, struct deepsad_error *error);

/* ranks (set->labels): share of the set's unlabeled rows whose score by member k is at
 * least the label's by the same member, k = its fold = ordinal mod members: 0 = more
 * anomalous than all. Comparable between two models of the same number of members.
 * `out_of_fold` is false where the model has no folds of labels (one member, no networks,
 * or fewer than FOLD_ANOMALIES_MIN anomalies): ranks are then by the whole model. */
int retrain_label_ranks(float *ranks, bool *out_of_fold,
                        const struct deepsad_model *model, const struct training_set *set,
                        struct deepsad_error *error);

/* The calibration of a model that is not yet published made anew on the rows of the set,
 * by its members as they are; its components and normalisers stay. The set takes the
 * place of what the model kept. Its manifest then says {"recalibrated_from": parent}. */
int retrain_recalibrate(struct deepsad_model *model, const struct training_set *set,
                        unsigned parent, struct deepsad_error *error);

/* Sets a member of the manifest of a model that is not yet published (takes over the
 * reference to `value`): the gate's decision, the labels' digest. */
int retrain_annotate(struct deepsad_model *model, const char *key, json_t *value,
                     struct deepsad_error *error);

#endif
