/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answer says about where a score comes from: the reference's score and the
 * features that contribute most (deepsad_explain() in deepsad.h).
 */
#ifndef API_EXPLANATION_H
#define API_EXPLANATION_H

#include "base/buffer.h"
#include "deepsad.h"

/* Of one answer: a feature takes some 60 bytes of it, a row 10 to 50 times the time of
 * its score, and a server's thread should not be gone for seconds. */
enum { EXPLANATION_FEATURES_MAX = 1 << 18, EXPLANATION_ROWS_MAX = 10000 };

/* Memory that is used again; zeroed before the first use. */
struct explanation {
    size_t capacity; /* features */
    float *contributions;
    uint32_t *order;
};
void explanation_done(struct explanation *explanation);

/* Appends ,"base":B,"explanation":[{"feature":F,"value":V,"contribution":C},...]: the
 * `count` (at most all) features of the row x (features) with the largest |C|, falling;
 * V is null where missing. False: out of memory. */
bool explanation_append(struct explanation *explanation, struct buffer *out,
                        const struct deepsad_model *model,
                        struct deepsad_workspace *workspace, const float *x,
                        size_t count);

#endif
