/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress of training that runs in several threads: each task reports its own, the
 * caller's callback hears of the whole, from one thread at a time, and may cancel. One
 * mutex guards all of it, the call of the callback included; it is a leaf.
 */
#ifndef MODEL_MONITOR_H
#define MODEL_MONITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "deepsad.h"
#include "nn/trainer.h"

struct monitor;

/* total_work: sum of the tasks' work, in any unit. NULL when out of memory. */
struct monitor *monitor_new(const struct deepsad_train_options *options,
                            double total_work);
void monitor_free(struct monitor *monitor);

/* One phase of one task, that is one thread: `work` of the total in `steps` steps. */
struct monitor_phase {
    struct monitor *monitor;
    const char *name; /* static */
    size_t member, members;
    double work;
    double reported;            /* of `work` */
    bool epochs;                /* its steps are epochs; false after the start */
    struct trainer_watch watch; /* to be handed to a trainer */
};
void monitor_phase_start(struct monitor_phase *phase, struct monitor *monitor,
                         const char *name, size_t member, size_t members, double work);
/* The rest of its work is done. */
void monitor_phase_end(struct monitor_phase *phase);

/* Somebody asked to stop, or a task failed: */
bool monitor_cancelled(struct monitor *monitor);
void monitor_cancel(struct monitor *monitor);

/* Seconds since monitor_new. */
double monitor_seconds(const struct monitor *monitor);

#endif
