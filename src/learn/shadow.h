/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labelled rows cast a shadow on the unlabeled ones: what somebody has judged is no
 * longer unlabeled. Of the first training's rows, which have no ids, the one that equals
 * a labelled normal is taken out, and all that equal a labelled anomaly. Rows are
 * compared by their hashes (model/fold.h).
 */
#ifndef LEARN_SHADOW_H
#define LEARN_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Plain value. */
struct shadow {
    size_t normals, anomalies;
    struct shadow_normal {
        uint64_t hash;
        bool used; /* has taken its row */
    } * normal;
    uint64_t *anomaly;
};

/* Room for so many labels. */
int shadow_new(struct shadow *out, size_t labels, struct deepsad_error *error);
void shadow_done(struct shadow *shadow);

void shadow_add(struct shadow *shadow, uint64_t hash, bool anomalous);
/* After the last, before the first question. */
void shadow_sort(struct shadow *shadow);

bool shadow_is_anomaly(const struct shadow *shadow, uint64_t hash);
/* Whether the row is taken out; a normal takes one row only. */
bool shadow_takes(struct shadow *shadow, uint64_t hash);

#endif
