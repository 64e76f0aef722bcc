/* SPDX-License-Identifier: Apache-2.0 */
/* A job as the store keeps it: from the trigger to the decision, with its numbers. */
#ifndef LEARN_RECORD_H
#define LEARN_RECORD_H

#include "learn/round.h"
#include "store/store.h"

struct record {
    struct store_job job;
    /* Still to be written, where the store failed when it ended: record_settle(). The
     * versions' detail is the job's. */
    bool owed;
    struct store_version versions[2];
    size_t version_count;
    const char *trigger; /* static: "labels", "interval", "hand" */
    char analyst[256];   /* who asked for it by hand; "" = nobody in particular */
    double started;      /* clock_monotonic() */
};

void record_init(struct record *record, const char *model, const char *id,
                 const char *trigger, const char *analyst);

/* Writes the state it is in: "queued", "running". */
int record_put(struct record *record, struct store *store, const char *state,
               struct deepsad_error *error);

/* Writes how it ended; where that fails the record is owed. `state`: "failed" or
 * "cancelled" with the reason, ... */
int record_fail(struct record *record, struct store *store, const char *state,
                const char *reason, struct deepsad_error *error);
/* ... or what the round came to, whose detail it takes over; and the version's record. */
int record_end(struct record *record, struct store *store, struct round_result *result,
               unsigned parent, struct deepsad_error *error);

/* Writes what is owed. */
int record_settle(struct record *record, struct store *store,
                  struct deepsad_error *error);
/* Forgets what is owed. */
void record_done(struct record *record);

/* A job that a crash cut off: promoted if its version is there (`version`), else failed.
 */
int record_recover(struct store_job *job, struct store *store, unsigned version,
                   struct deepsad_error *error);

/* The name of the state that a round's end comes to. */
const char *record_state(enum round_end end);

#endif
