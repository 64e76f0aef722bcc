/* SPDX-License-Identifier: Apache-2.0 */
/* The models that are watched, and the jobs asked for by hand: at most one a model. */
#ifndef LEARN_LEARNER_QUEUE_H
#define LEARN_LEARNER_QUEUE_H

#include "learn/learner_state.h"
#include "learn/record.h"

/* A watch for each model of the catalog that has none yet. Called without the mutex. */
void learner_watch_models(struct learner *learner, const struct catalog *catalog);

/* A new job of the model. Under the mutex. */
void learner_start_record(struct learner *learner, struct record *record,
                          const char *model, const char *trigger);

/* Takes the job that was asked for by hand, if one was. Under the mutex. */
bool learner_take_asked(struct watch *watch, struct record *record);

/* Takes a job out of the queue, whichever model's it is. */
bool learner_dequeue(struct learner *learner, const char *job, struct record *record);

#endif
