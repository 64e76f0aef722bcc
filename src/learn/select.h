/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing rows for review among candidates that are already scored. No store, no locks.
 *
 * mixed: of the 50 highest-scored (five for each row asked for, where that is more, and
 * five for each anomaly found so far), farthest-first in the space of scaled features,
 * starting from the top one; each next row is the one whose nearest chosen row is
 * farthest. One in five is a probe, once an anomaly is known: a row between those judged
 * anomalous and those judged normal, whose verdict tells how far down anomalies go, and
 * so where alarms should begin. One in ten is drawn at random from all.
 */
#ifndef LEARN_SELECT_H
#define LEARN_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "data/scaler.h"
#include "store/store.h"

enum select_strategy { SELECT_MIXED, SELECT_TOP, SELECT_UNCERTAIN, SELECT_ANY };
enum select_why {
    SELECT_HIGHEST,
    SELECT_DIFFERENT,
    SELECT_BOUNDARY,
    SELECT_THRESHOLD,
    SELECT_RANDOM
};

enum {
    SELECT_POOL = 50,
    SELECT_POOL_PER_ROW = 5,
    SELECT_POOL_PER_ANOMALY = 5,
    SELECT_RANDOM_PART = 10,
    SELECT_PROBE_PART = 5,
};

/* A row that was judged before. */
struct select_label {
    float score; /* of today */
    bool anomalous;
};

struct select_rows {
    size_t count, features;
    const struct store_sample *samples; /* (count) with score and p_value of today */
    const float *x;                     /* (count, features), raw */
    const struct scaler *scaler;
    double alpha;
    size_t label_count;
    const struct select_label *labels; /* (label_count) in any order */
    uint64_t seed;
};

struct select_choice {
    size_t at;   /* which row */
    size_t rank; /* by score, 0 = highest */
    enum select_why why;
};

/* choices (wanted); *count: as many as there are rows for, no row twice. */
int select_choose(struct select_choice *choices, size_t *count, size_t wanted,
                  enum select_strategy strategy, const struct select_rows *rows,
                  struct deepsad_error *error);

#endif
