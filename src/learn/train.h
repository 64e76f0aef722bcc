/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training beside a server that must not feel it: in a thread of its own with the lowest
 * priority (which the training's helpers inherit), with a cap on threads, a deadline, and
 * an end within a batch when told to stop. Only the training runs at that priority: what
 * takes locks that scoring takes, too, stays outside.
 */
#ifndef LEARN_TRAIN_H
#define LEARN_TRAIN_H

#include <stdatomic.h>

#include "base/error.h"
#include "model/retrain.h"

/* SCHED_IDLE: runs when nothing else wants to; SCHED_OTHER with nice 10; as the rest. */
enum train_priority { TRAIN_IDLE, TRAIN_NICE, TRAIN_NORMAL };

struct train_options {
    size_t threads;  /* 0 = one per core */
    int priority;    /* enum train_priority */
    double deadline; /* clock_monotonic() at which it is given up */
    const atomic_bool *cancelled;
    /* From the training thread, between batches. */
    void (*progress)(void *closure, const struct deepsad_progress *progress);
    void *closure;
};

/* retrain() that way; progress and threads of `how` are set here. DEEPSAD_CANCELLED: told
 * to stop, or over the deadline; the message says which. */
int train_quietly(struct deepsad_model **out, const struct training_set *set,
                  const struct deepsad_recipe *recipe, const struct retrain_options *how,
                  const struct train_options *options, struct deepsad_error *error);

#endif
