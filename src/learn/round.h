/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One round of retraining, from the labels to a version: collect, hold back what is
 * implausible, train the challenger, judge it, publish what won.
 *
 *     old labels (+ new ones) -> challenger --gate against the champion--> promoted
 *                                    |  only the ranks moved, or labels were taken back:
 *                                    +--> control (old labels only) is the judge
 *     stopped: where one of several analysts gave all that is wrong, his new labels go to
 *     quarantine and the others' are promoted; else all new ones go there, the challenger
 *     is kept as a version that is not live, and the champion's p-values are made anew if
 *     its rows have moved
 *
 * Nothing here is shared with other threads but the store: a round may run at the lowest
 * priority (learn/quiet.h).
 */
#ifndef LEARN_ROUND_H
#define LEARN_ROUND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "learn/train.h"
#include "model/catalog_entry.h"
#include "store/store.h"

struct round_options {
    const struct catalog_entry *entry; /* the model as it is served */
    struct store *store;
    const char *directory; /* of the models */
    const char *job;       /* its id */
    bool by_hand;          /* trains even where nothing has changed */
    struct train_options train;
    void (*phase)(void *closure, const char *phase); /* "collect", "gate" */
    /* Before a version is written. False: cancelled; true: it is too late for that. */
    bool (*publish)(void *closure);
    void *closure;
};

/* How it ended: the states of a job that ran through. */
enum round_end {
    ROUND_PROMOTED, /* a version went live */
    ROUND_WAITING,  /* passed the gate; to be activated by somebody: manual, or held */
    ROUND_REJECTED, /* stopped by the gate, or there was nothing to train on */
};

struct round_result {
    enum round_end end;
    char decision[32];  /* "promoted", "control promoted", "waiting", "stopped", "held",
                           "unchanged" */
    char reason[320];   /* one sentence for people */
    unsigned version;   /* that was written, 0 = none */
    unsigned live;      /* that went live, 0 = none */
    size_t quarantined; /* labels */
    int64_t journal_seq;
    json_t *detail; /* the numbers; json_decref it */
};

int round_run(struct round_result *out, const struct round_options *options,
              struct deepsad_error *error);

#endif
