/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The retraining worker: labels in, model versions out. One background thread of low
 * priority with a queue of its own; at most one job per model at a time.
 *
 *     labels in the store -> training set (training_rows.h) -> challenger
 * (model/retrain.h)
 *     -> gate (gate.h) -> version in the model directory (publish.h) -> registry -> next
 *     request
 *
 * A job is written to the store when it is made, when it starts and when it ends; one
 * that a crash cut off is found at the next start, marked failed, and its trigger looked
 * at again. All functions may be called from any thread.
 */
#ifndef LEARN_LEARNER_H
#define LEARN_LEARNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "learn/quiet.h"
#include "model/registry.h"
#include "store/store.h"

struct learner;

/* What the worker does, for metrics; called from its thread. */
struct learner_event {
    const char *model;
    const char *state;    /* promoted, rejected, failed, cancelled: a job has ended */
    const char *decision; /* of the gate: promoted, waiting, stopped, ...; "" = none */
    double seconds;       /* it took */
    unsigned version;     /* live now; 0 = unchanged */
    size_t quarantined;   /* labels that it put in quarantine */
};

struct learner_options {
    struct registry *registry;
    struct store *store;
    double debounce; /* seconds without a new label before a job starts */
    size_t threads;  /* of a training; 0 = one per core */
    int priority;    /* enum quiet_priority */
    void (*observe)(void *closure, const struct learner_event *event);
    void *closure;
};

/* `directory`: of the models. */
int learner_start(struct learner **out, const struct learner_options *options,
                  const char *directory, struct deepsad_error *error);
/* Cancels what runs, joins. Accepts NULL. */
void learner_stop(struct learner *learner);
/* After a reload of the configuration. */
void learner_set_options(struct learner *learner, double debounce, size_t threads);

/* The model's labels have changed: its triggers are looked at. Never waits. */
void learner_notice(struct learner *learner, const char *model);

/* Queues a job by hand; `job` is its id. DEEPSAD_INVALID: one is queued or running (its
 * id is in `job`), or the model's policy or lack of kept rows forbids it (job = "");
 * DEEPSAD_NOT_FOUND: no such model; DEEPSAD_IO: the store. */
int learner_retrain(struct learner *learner, char job[static STORE_ID_MAX + 1],
                    const char *model, const char *analyst, struct deepsad_error *error);

/* Of a job that is queued or running: it ends within a batch, and no version comes of it.
 * DEEPSAD_INVALID: it is publishing its version already; DEEPSAD_NOT_FOUND: neither. */
int learner_cancel(struct learner *learner, const char *job, struct deepsad_error *error);

struct learner_progress {
    char job[STORE_ID_MAX + 1];
    char phase[24]; /* "collect", of deepsad_progress, "gate", "publish" */
    size_t member, members, step, steps;
    bool epochs;
    double loss, fraction, seconds_left; /* NaN = none */
};

struct learner_status {
    bool can_retrain;
    char obstacle[256]; /* why not; "" = none */
    size_t changes;     /* of the journal since the last job */
    size_t min_labels;  /* that trigger one */
    bool queued, running;
    struct learner_progress progress; /* of the one running */
    int64_t last_finished_at_ms;      /* 0 = never */
    char last_job[STORE_ID_MAX + 1];
    int64_t next_at_ms; /* by the interval; 0 = only by labels or by hand */
    bool hold;          /* nothing is promoted until released */
};
/* DEEPSAD_NOT_FOUND: no such model. */
int learner_status(struct learner *learner, struct learner_status *out, const char *model,
                   struct deepsad_error *error);

/* Makes a version live, now: writes live.yaml and swaps. `hold`: nothing is promoted by
 * itself until learner_release(). */
int learner_activate(struct learner *learner, const char *model, unsigned version,
                     bool hold, struct deepsad_error *error);
int learner_release(struct learner *learner, const char *model,
                    struct deepsad_error *error);

#endif
