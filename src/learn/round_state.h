/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a round (round.h) share: collecting (round.c) and deciding
 * (decide.c). */
#ifndef LEARN_ROUND_STATE_H
#define LEARN_ROUND_STATE_H

#include "learn/collect.h"
#include "learn/gate.h"
#include "learn/publish.h"
#include "learn/round.h"

struct round {
    const struct round_options *options;
    const struct catalog_entry *entry;
    const struct catalog_version *champion;
    struct gate_limits limits;
    struct publish_place place;
    struct deepsad_recipe *recipe;
    struct retrain_options how;
    struct collected collected;
    struct training_set old_set, full_set; /* without the new labels; with them */
    struct deepsad_model *challenger, *control;
    size_t held;
    bool moved; /* the traffic is not what the champion was trained on */
    struct round_result result;
};

void round_enter(const struct round *round, const char *phase);
/* How it ends, and why, in a sentence. */
__attribute__((format(printf, 4, 5))) void round_conclude(struct round *round,
                                                          enum round_end end,
                                                          const char *decision,
                                                          const char *format, ...);
/* A number for the record; takes over the reference. */
void round_note(struct round *round, const char *key, json_t *value);
/* The new labels for which held (new_count), or where NULL all, go to quarantine. */
int round_quarantine(struct round *round, const bool *held, const char *reason,
                     struct deepsad_error *error);

#endif
