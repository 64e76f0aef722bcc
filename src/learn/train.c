/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train.h"

#include "base/clock.h"

struct watched {
    const struct train_options *options;
    bool late;
};

static int on_progress(void *closure, const struct deepsad_progress *progress)
{
    struct watched *watched = closure;
    const struct train_options *options = watched->options;
    if (options->progress != NULL) {
        options->progress(options->closure, progress);
    }
    watched->late = clock_monotonic() > options->deadline;
    return watched->late || atomic_load(options->cancelled);
}

int train_within(struct deepsad_model **out, const struct training_set *set,
                 const struct deepsad_recipe *recipe, const struct retrain_options *how,
                 const struct train_options *options, struct deepsad_error *error)
{
    struct watched watched = {.options = options};
    struct retrain_options own = *how;
    struct deepsad_error fault = {0};
    own.threads = options->threads;
    own.progress = on_progress;
    own.closure = &watched;
    int status = retrain(out, set, recipe, &own, &fault);
    if (status == DEEPSAD_OK) {
        return DEEPSAD_OK;
    }
    return error_set(error, (enum deepsad_status)status, "%s",
                     status == DEEPSAD_CANCELLED && watched.late
                         ? "over the deadline (retraining.deadline of model.yaml)"
                         : fault.message);
}
