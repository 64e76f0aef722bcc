/* SPDX-License-Identifier: Apache-2.0 */
/* MODELS/NAME/model.yaml: what the operator wants of a model, apart from its versions. */
#ifndef MODEL_POLICY_H
#define MODEL_POLICY_H

#include "base/error.h"

struct policy {
    double alpha; /* false-alarm budget */
};

/* Defaults where the directory has no model.yaml. */
int policy_read(struct policy *out, const char *directory, struct deepsad_error *error);

/* Writes directory/model.yaml with comments, unless there is one. */
int policy_write_new(const struct policy *policy, const char *directory,
                     struct deepsad_error *error);

#endif
