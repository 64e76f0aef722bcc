/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker knows of a model between its jobs: when its triggers are due. Times are
 * of clock_monotonic() unless they say ms.
 */
#ifndef LEARN_WATCH_H
#define LEARN_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/catalog_entry.h"
#include "store/store.h"

struct watch {
    char model[STORE_MODEL_MAX + 1];
    double noticed_first,
        noticed_last;             /* labels came; 0 = none since they were counted */
    char asked[STORE_ID_MAX + 1]; /* the job asked for by hand, "" = none */
    char asked_by[256];
    int64_t asked_at_ms;
    int64_t seen_seq;    /* of the journal: looked at by the last job that ran through */
    int64_t skipped_seq; /* seen by one that was cancelled or failed, which is not tried
                            again before more comes, or retry_at */
    unsigned failures;   /* in a row */
    double retry_at;
    double last_run; /* 0 = never */
    int64_t last_finished_at_ms;
    char last_job[STORE_ID_MAX + 1];
};

/* From the jobs in the store, after a start. */
int watch_load(struct watch *watch, struct store *store, const char *model,
               struct deepsad_error *error);

/* Why a model cannot be retrained, in words for people; "" = it can. `models`: the models
 * directory. */
enum { WATCH_OBSTACLE = 256 };
void watch_obstacle(char out[static WATCH_OBSTACLE], const struct catalog_entry *entry,
                    struct store *store, const char *models);

/* The trigger that is due, "labels" or "interval", or NULL; *at: when to look again at
 * the latest. Counts the journal's changes where labels were noticed or `poll`. */
const char *watch_due(struct watch *watch, const struct catalog_entry *entry,
                      struct store *store, double debounce, bool poll, double *at);

/* After a job. */
void watch_ran(struct watch *watch, const char *job, int64_t journal_seq);
void watch_failed(struct watch *watch, const char *job, int64_t journal_seq);

#endif
