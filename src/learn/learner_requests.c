/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/learner_requests.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "learn/learner_queue.h"

void learner_notice(struct learner *learner, const char *model)
{
    double now = clock_monotonic();
    learner_lock(learner);
    struct watch *watch = learner_find_watch(learner, model);
    if (watch != NULL) {
        watch->noticed_first = watch->noticed_first > 0 ? watch->noticed_first : now;
        watch->noticed_last = now;
        pthread_cond_signal(&learner->changed);
    } /* else the worker finds it when it looks at the model first */
    learner_unlock(learner);
}

/* The job of the model that is queued or runs, or "". Under the mutex. */
static const char *busy_job(struct learner *learner, const char *model)
{
    const struct watch *watch = learner_find_watch(learner, model);
    if (strcmp(learner->running, model) == 0) {
        return learner->progress.job;
    }
    return watch == NULL ? "" : watch->asked;
}

/* Puts a job into the queue. False: another was first, and `job` is its id. */
static bool enqueue(struct learner *learner, const struct record *record,
                    char job[static STORE_ID_MAX + 1])
{
    learner_lock(learner);
    const char *busy = busy_job(learner, record->job.model);
    bool first = busy[0] == '\0';
    snprintf(job, STORE_ID_MAX + 1, "%s", first ? record->job.id : busy);
    struct watch *watch = learner_find_watch(learner, record->job.model);
    if (first) {
        assert(watch != NULL); /* it was there, and none is ever removed */
        memcpy(watch->asked, record->job.id, sizeof watch->asked);
        snprintf(watch->asked_by, sizeof watch->asked_by, "%s", record->analyst);
        watch->asked_at_ms = record->job.created_at_ms;
        pthread_cond_signal(&learner->changed);
    }
    learner_unlock(learner);
    return first;
}

static int refuse_second(const char *job, const char *model, struct deepsad_error *error)
{
    return error_set(error, DEEPSAD_INVALID,
                     "job %s of model %s is queued or running; wait for it, or DELETE it",
                     job, model);
}

int learner_retrain(struct learner *learner, char job[static STORE_ID_MAX + 1],
                    const char *model, const char *analyst, struct deepsad_error *error)
{
    char obstacle[WATCH_OBSTACLE] = "";
    struct record record = {.trigger = "hand"};
    const struct catalog_entry *entry;
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    job[0] = '\0';
    int status = learner_find_entry(&entry, catalog, model, error);
    if (status == DEEPSAD_OK) {
        learner_watch_models(learner, catalog);
        watch_obstacle(obstacle, entry, learner->options.store, learner->directory);
    }
    registry_release(learner->options.registry, catalog);
    if (status == DEEPSAD_OK && obstacle[0] != '\0') {
        status = error_set(error, DEEPSAD_INVALID, "model %s cannot be retrained: %s",
                           model, obstacle);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    learner_lock(learner);
    bool watched = learner_find_watch(learner, model) != NULL;
    learner_start_record(learner, &record, model, "hand");
    snprintf(job, STORE_ID_MAX + 1, "%s", busy_job(learner, model));
    learner_unlock(learner);
    if (!watched) {
        return error_set(error, DEEPSAD_IO,
                         "the jobs of model %s cannot be read now; try again", model);
    }
    snprintf(record.analyst, sizeof record.analyst, "%s", analyst == NULL ? "" : analyst);
    if (job[0] != '\0') {
        return refuse_second(job, model, error);
    }
    status = record_put(&record, learner->options.store, "queued", error);
    if (status == DEEPSAD_OK && !enqueue(learner, &record, job)) {
        record_fail(&record, learner->options.store, "cancelled", "another was first",
                    NULL);
        record_done(&record);
        status = refuse_second(job, model, error);
    }
    return status;
}

int learner_cancel(struct learner *learner, const char *job, struct deepsad_error *error)
{
    struct record record;
    learner_lock(learner);
    bool running = job[0] != '\0' && strcmp(learner->progress.job, job) == 0;
    bool late = running && learner->publishing;
    if (running && !late) {
        atomic_store(&learner->cancelled, true);
    }
    learner_unlock(learner);
    if (late) {
        return error_set(error, DEEPSAD_INVALID,
                         "job %s is publishing its version: activate the one before, if "
                         "you do not want it",
                         job);
    }
    if (running) {
        return DEEPSAD_OK;
    }
    if (job[0] != '\0' && learner_dequeue(learner, job, &record)) {
        int status = record_fail(&record, learner->options.store, "cancelled",
                                 "cancelled before it ran", error);
        char busy[STORE_ID_MAX + 1];
        if (status != DEEPSAD_OK) {
            record_done(&record);
            enqueue(learner, &record, busy); /* it is queued still, as its record says */
        }
        return status;
    }
    return error_set(error, DEEPSAD_NOT_FOUND, "job %s is neither queued nor running",
                     job);
}

/* When a trigger is due by the clock, 0 = never: by the interval, or to try again what
 * failed. */
static int64_t next_time(const struct watch *watch, double interval)
{
    double now = clock_monotonic(), next = (double)INFINITY;
    if (interval > 0) {
        next = watch->last_run + interval;
    }
    if (watch->retry_at > now) {
        next = fmin(next, watch->retry_at);
    }
    return isfinite(next) ? clock_realtime_ms() + (int64_t)(1e3 * fmax(next - now, 0))
                          : 0;
}

int learner_status(struct learner *learner, struct learner_status *out, const char *model,
                   struct deepsad_error *error)
{
    struct learner_status status = {.next_at_ms = 0};
    const struct catalog_entry *entry;
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    int code = learner_find_entry(&entry, catalog, model, error);
    double interval = 0;
    if (code == DEEPSAD_OK) {
        learner_watch_models(learner, catalog);
        watch_obstacle(status.obstacle, entry, learner->options.store,
                       learner->directory);
        status.can_retrain = status.obstacle[0] == '\0';
        status.min_labels = entry->policy.retraining.min_labels;
        status.hold = entry->live.hold;
        interval = entry->policy.retraining.interval;
    }
    registry_release(learner->options.registry, catalog);
    if (code != DEEPSAD_OK) {
        return code;
    }
    int64_t seen = 0;
    learner_lock(learner);
    const struct watch *watch = learner_find_watch(learner, model);
    if (watch != NULL) {
        seen = watch->seen_seq;
        status.queued = watch->asked[0] != '\0';
        status.last_finished_at_ms = watch->last_finished_at_ms;
        memcpy(status.last_job, watch->last_job, sizeof status.last_job);
        status.next_at_ms = next_time(watch, interval);
    }
    status.running = strcmp(learner->running, model) == 0;
    if (status.running) {
        status.progress = learner->progress;
    }
    learner_unlock(learner);
    code = store_changes(learner->options.store, &status.changes, model, seen, error);
    if (code == DEEPSAD_OK) {
        *out = status;
    }
    return code;
}
