/* SPDX-License-Identifier: Apache-2.0 */
/* Training that ends within a batch when it is told to stop or takes too long. */
#ifndef LEARN_TRAIN_H
#define LEARN_TRAIN_H

#include <stdatomic.h>

#include "base/error.h"
#include "model/retrain.h"

struct train_options {
    size_t threads;  /* 0 = one per core */
    double deadline; /* clock_monotonic() at which it is given up */
    const atomic_bool *cancelled;
    void (*progress)(void *closure, const struct deepsad_progress *progress);
    void *closure;
};

/* retrain() that way; progress and threads of `how` are set here. DEEPSAD_CANCELLED: told
 * to stop, or over the deadline; the message says which. */
int train_within(struct deepsad_model **out, const struct training_set *set,
                 const struct deepsad_recipe *recipe, const struct retrain_options *how,
                 const struct train_options *options, struct deepsad_error *error);

#endif
