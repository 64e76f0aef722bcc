/* SPDX-License-Identifier: Apache-2.0 */
/* What `deepsad score --explain K` adds: of each row the reference's score and the K
 * features that contribute most (deepsad_explain()). */
#ifndef TOOL_EXPLANATIONS_H
#define TOOL_EXPLANATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "deepsad.h"

struct explained_feature {
    uint32_t index;
    float value, contribution;
};

struct explanations {
    struct deepsad_model *model;        /* for the features' names; a reference */
    size_t count;                       /* features of each row; 0 = nothing to say */
    float *bases;                       /* (rows) */
    struct explained_feature *features; /* (rows, count), by falling |contribution| */
};

/* Of all rows; more features than there are become all. */
int explanations_make(struct explanations *out, struct deepsad_model *model,
                      const struct deepsad_dataset *dataset, size_t count,
                      struct deepsad_error *error);
void explanations_done(struct explanations *explanations);

/* ",base,top1_feature,top1_contribution,..." and a row's values of these. */
void explanations_append_header(struct buffer *out, const struct explanations *e);
void explanations_append_csv(struct buffer *out, const struct explanations *e,
                             size_t row);
/* ,"base":B,"explanation":[{"feature":F,"value":V,"contribution":C},...] */
void explanations_append_json(struct buffer *out, const struct explanations *e,
                              size_t row);

#endif
