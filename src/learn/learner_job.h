/* SPDX-License-Identifier: Apache-2.0 */
/* One job of the learner, from its start in the store to its end there. */
#ifndef LEARN_LEARNER_JOB_H
#define LEARN_LEARNER_JOB_H

#include "learn/learner_state.h"
#include "learn/record.h"

/* Runs the round quietly, swaps, tells the watch, the store, the log and the observer.
 * The job has been marked as running. */
void learner_run_job(struct learner *learner, struct record *record,
                     const struct catalog_entry *entry);

/* The end of a job that did not run through, or could not begin: `status` and `fault` say
 * why. */
void learner_fail_job(struct learner *learner, struct record *record, int status,
                      const struct deepsad_error *fault);

/* Writes the ends of jobs that the store could not take before; of the worker alone. */
void learner_settle(struct learner *learner);

#endif
