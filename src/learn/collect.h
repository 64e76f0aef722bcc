/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a round of retraining works on: the rows that the champion keeps, the labels in
 * force sorted into those the champion learnt from ("old") and those it did not ("new"),
 * and kept traffic. And the training sets made of them.
 *
 * A verdict that its analyst gave again is the old label under a new id. A sample counts
 * once, whoever judged it. Unsure verdicts, samples in conflict and labels in quarantine
 * are left out of both lists.
 */
#ifndef LEARN_COLLECT_H
#define LEARN_COLLECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/policy.h"
#include "model/training_set.h"
#include "store/store.h"

/* One label to be trained on. */
struct collected_label {
    size_t at;      /* in `in_force` */
    size_t analyst; /* index of who gave it, below `analysts` */
    bool confirmed; /* another analyst's label in force agrees */
    size_t known;   /* of an old one: its place among the champion's labels */
};

struct collected {
    struct training_set
        champion; /* what it was trained on; empty where it keeps nothing */
    struct store_labels in_force;
    struct store_samples traffic; /* newest first */
    size_t old_count, new_count;
    struct collected_label *old, *fresh; /* by seq */
    size_t
        removed; /* labels that the champion learnt from and that are no longer to be */
    size_t analysts;
};

/* Takes over the rows that the champion keeps (none: only `features` is set). At most
 * `rows` * `traffic` kept samples, of `policy`. */
int collect(struct collected *out, struct training_set *champion, struct store *store,
            const char *model, const struct policy *policy, struct deepsad_error *error);
void collected_done(struct collected *collected);

/* Takes the new labels whose `held` (new_count) is true out of the list. */
void collected_drop(struct collected *collected, const bool *held);

#endif
