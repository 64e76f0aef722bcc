/* SPDX-License-Identifier: Apache-2.0 */
/* Raw scores of prepared rows by single members of a model's ensembles. */
#ifndef MODEL_MEMBER_SCORES_H
#define MODEL_MEMBER_SCORES_H

#include "model/model.h"
#include "model/training.h"

enum { MEMBER_SCORES_ALL = FOLD_NONE }; /* no member alone: the whole model */

/* raw: of the components, (rows) each, in the order of the training's rows. Components
 * whose members have no folds score by all they have. */
struct member_scores {
    const struct deepsad_model *model;
    const struct training *training;
    float *raw[MODEL_COMPONENTS_MAX];
    float *rows, *scratch; /* of a block */
};

/* Members of the model's ensembles; 0 = it has none. */
size_t member_scores_members(const struct deepsad_model *model);

/* The components without members have scored; the others are to do so by the functions
 * below. The training must outlive it. */
int member_scores_new(struct member_scores *out, const struct deepsad_model *model,
                      const struct training *training, struct deepsad_error *error);
void member_scores_done(struct member_scores *scores);

/* All rows by member k, or MEMBER_SCORES_ALL. */
void member_scores_by(struct member_scores *scores, size_t k);

/* The whole: each row by the member of its fold, rows without one by all members. */
int member_scores_fit(struct member_scores *out, const struct deepsad_model *model,
                      const struct training *training, struct deepsad_error *error);

#endif
