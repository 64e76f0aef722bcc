/* SPDX-License-Identifier: Apache-2.0 */
/* Two models seen through the same rows, for the gate; and which labels to ask about
 * again. */
#ifndef LEARN_JUDGE_H
#define LEARN_JUDGE_H

#include <jansson.h>

#include "learn/gate.h"
#include "model/retrain.h"

/* `set`: the unlabeled rows as they are now, and the old labels. */
int judge(struct gate_measures *out, const struct deepsad_model *champion,
          const struct deepsad_model *challenger, const struct training_set *set,
          const struct gate_limits *limits, struct deepsad_error *error);

/* The measures as JSON, for the job and the version; a new reference or NULL. */
json_t *judge_describe(const struct gate_measures *measures);

/* An array of label ids: of each class the 5 % that the model disagrees with most, out of
 * fold, and by far: anomalies that most unlabeled rows outscore, normals that hardly any
 * does. Empty where the model folds no labels. `set`: what it was trained on. */
int judge_second_looks(json_t **out, const struct deepsad_model *model,
                       const struct training_set *set, struct deepsad_error *error);

#endif
