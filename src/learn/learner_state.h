/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the learner (learner.h) share: triggers and queue (learner.c), a job
 * (learner_job.c), the live version by hand (activate.c).
 */
#ifndef LEARN_LEARNER_STATE_H
#define LEARN_LEARNER_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/uuid.h"
#include "learn/learner.h"
#include "learn/record.h"
#include "learn/watch.h"

enum { LEARNER_OWED_MAX = 16 };

struct learner {
    struct learner_options options; /* debounce and threads may be changed */
    char *directory;
    pthread_t thread;

    /* Guards all below, and options.debounce, options.threads; a leaf: neither the store
     * nor the registry is asked while it is held. */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* of the worker */
    bool stopping;
    size_t count, capacity;
    struct watch *watches;
    struct learner_progress progress; /* of the job that runs; job "" = none */
    char running[STORE_MODEL_MAX + 1];
    bool publishing; /* the job that runs cannot be cancelled any more */

    /* Ends of jobs that the store could not take yet; of the worker alone. */
    struct record owed[LEARNER_OWED_MAX];
    size_t owed_count;

    atomic_bool cancelled;  /* the job that runs is to end */
    struct uuid_source ids; /* of the worker and of learner_retrain, under the mutex */
    pthread_mutex_t activating; /* one live.yaml is written at a time; outside `mutex` */
};

void learner_lock(struct learner *learner);
void learner_unlock(struct learner *learner);

/* Under the mutex; valid until it is let go of. */
struct watch *learner_find_watch(struct learner *learner, const char *model);

/* The entry of a model, or DEEPSAD_NOT_FOUND. Release the catalog either way. */
int learner_find_entry(const struct catalog_entry **entry, const struct catalog *catalog,
                       const char *model, struct deepsad_error *error);

void learner_log_fault(const char *message, const char *model,
                       const struct deepsad_error *error);

#endif
