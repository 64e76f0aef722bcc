/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kept samples a person should look at next.
 *
 *     mixed      of the highest-scored unlabeled samples, farthest-first in the space of
 *                scaled features, from the top one; one in five where anomalies seem to
 *                end, one in ten at random (learn/select.h)
 *     top        highest score first
 *     uncertain  p-value nearest to alpha first
 *     random     at random: what estimates prevalence and alarm rate without bias
 *
 * Scores are those of the live version, whichever scored the sample first. Second looks
 * (labels in quarantine, conflicts, and those that disagree most with the model out of
 * fold) come first in `mixed`, at most half of the list, and are a strategy of their own.
 * Rows shown to one analyst are leased: others do not get them for a while.
 */
#ifndef LEARN_REVIEW_H
#define LEARN_REVIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/catalog_entry.h"
#include "store/store.h"

enum review_strategy {
    REVIEW_MIXED,
    REVIEW_TOP,
    REVIEW_UNCERTAIN,
    REVIEW_RANDOM,
    REVIEW_SECOND, /* second looks only */
};
extern const char *const review_strategy_names[]; /* NULL-terminated, in that order */

struct review; /* the leases; lock: its own, a leaf */

/* `lease`: seconds. `pool`: so many of the newest unlabeled samples are looked at. */
struct review *review_new(double lease, size_t pool);
void review_free(struct review *review);
void review_set(struct review *review, double lease, size_t pool);

struct review_row {
    struct store_sample sample; /* as it was scored first */
    float score, p_value;       /* by the live version */
    char why[192];              /* one sentence */
    enum review_why {
        REVIEW_WHY_HIGHEST,
        REVIEW_WHY_DIFFERENT, /* high, and unlike those before it */
        REVIEW_WHY_BOUNDARY,  /* where anomalies seem to end */
        REVIEW_WHY_THRESHOLD,
        REVIEW_WHY_RANDOM,
        REVIEW_WHY_QUARANTINE,
        REVIEW_WHY_CONFLICT,
        REVIEW_WHY_DISAGREES,
    } reason;
};
extern const char *const review_why_names[]; /* "highest", "different", ... */

/* Plain value; x (count, features) raw. */
struct review_list {
    size_t count, features;
    struct review_row *rows;
    float *x;
};
void review_list_done(struct review_list *list);

struct review_query {
    enum review_strategy strategy;
    size_t limit;
    const char
        *analyst; /* for whom; NULL = nobody in particular: leases hold, none made */
};

/* `version` of `entry` scores. */
int review_make(struct review_list *out, struct review *review, struct store *store,
                const struct catalog_entry *entry, const struct catalog_version *version,
                struct deepsad_workspace *workspace, const struct review_query *query,
                struct deepsad_error *error);

#endif
