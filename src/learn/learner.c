/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/learner.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "learn/learner_job.h"

/* Labels written by another process are noticed after so many seconds at the latest. */
static const double poll_interval = 1;

/* ---- Watches ----------------------------------------------------------------------- */

static bool add_watch(struct learner *learner, const struct watch *watch)
{
    if (learner->count == learner->capacity) {
        size_t capacity = learner->capacity == 0 ? 8 : 2 * learner->capacity;
        struct watch *larger =
            reallocarray(learner->watches, capacity, sizeof *learner->watches);
        if (larger == NULL) {
            return false;
        }
        learner->watches = larger;
        learner->capacity = capacity;
    }
    learner->watches[learner->count++] = *watch;
    return true;
}

/* A watch for each model of the catalog that has none yet. Called without the mutex. */
static void watch_models(struct learner *learner, const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++) {
        const char *model = catalog->entries[i].name;
        learner_lock(learner);
        bool known = learner_find_watch(learner, model) != NULL;
        learner_unlock(learner);
        struct watch watch;
        if (known ||
            watch_load(&watch, learner->options.store, model, NULL) != DEEPSAD_OK) {
            continue;
        }
        learner_lock(learner);
        if (learner_find_watch(learner, model) == NULL) {
            add_watch(learner, &watch);
        }
        learner_unlock(learner);
    }
}

/* ---- Choosing ---------------------------------------------------------------------- */

/* Takes the job that was asked for by hand, if one was. Under the mutex. */
static bool take_asked(struct watch *watch, struct record *record)
{
    if (watch->asked[0] == '\0') {
        return false;
    }
    record_init(record, watch->model, watch->asked, "hand", watch->asked_by);
    record->job.created_at_ms = watch->asked_at_ms;
    watch->asked[0] = '\0';
    return true;
}

/* Takes a job out of the queue. */
static bool dequeue(struct learner *learner, const char *job, struct record *record)
{
    bool found = false;
    learner_lock(learner);
    for (size_t i = 0; i < learner->count && !found; i++) {
        struct watch *watch = &learner->watches[i];
        found = strcmp(watch->asked, job) == 0 && take_asked(watch, record);
    }
    learner_unlock(learner);
    return found;
}

/* The job asked for by hand of watch number `i`, "" = none; false: there is no such
 * watch. */
static bool asked_of(struct learner *learner, size_t i,
                     char model[static STORE_MODEL_MAX + 1],
                     char job[static STORE_ID_MAX + 1])
{
    learner_lock(learner);
    bool is = i < learner->count;
    if (is) {
        memcpy(model, learner->watches[i].model, STORE_MODEL_MAX + 1);
        memcpy(job, learner->watches[i].asked, STORE_ID_MAX + 1);
    }
    learner_unlock(learner);
    return is;
}

/* What was asked for of a model that is gone since: nothing else would ever end it. */
static void end_orphans(struct learner *learner, const struct catalog *catalog)
{
    char model[STORE_MODEL_MAX + 1], job[STORE_ID_MAX + 1];
    for (size_t i = 0; asked_of(learner, i, model, job); i++) {
        struct record record;
        bool gone = job[0] != '\0' && catalog_find(catalog, model) == NULL;
        if (gone && dequeue(learner, job, &record)) {
            record_fail(&record, learner->options.store, "failed",
                        "the model was removed before the job ran", NULL);
        }
    }
}

static void start_record(struct learner *learner, struct record *record,
                         const char *model, const char *trigger)
{
    char id[UUID_SIZE + 1];
    uuid_make(&learner->ids, clock_realtime_ms(), id);
    id[UUID_SIZE] = '\0';
    record_init(record, model, id, trigger, NULL);
}

/* The model's trigger, looked at on a copy of its watch, for the store is asked. */
static bool find_trigger(struct learner *learner, const struct catalog_entry *entry,
                         bool poll, struct record *record, double *at)
{
    char obstacle[WATCH_OBSTACLE];
    learner_lock(learner);
    struct watch *watch = learner_find_watch(learner, entry->name);
    struct watch seen = {.seen_seq = 0};
    if (watch != NULL) {
        seen = *watch;
    }
    bool asked = watch != NULL && take_asked(watch, record);
    double debounce = learner->options.debounce;
    learner_unlock(learner);
    if (watch == NULL || asked) {
        return asked;
    }
    struct watch next = seen;
    const char *trigger =
        watch_due(&next, entry, learner->options.store, debounce, poll, at);
    if (trigger != NULL) {
        watch_obstacle(obstacle, entry, learner->options.store, learner->directory);
        trigger = obstacle[0] == '\0' ? trigger : NULL;
    }
    learner_lock(learner);
    watch = learner_find_watch(learner, entry->name);
    assert(watch != NULL);
    if (watch->noticed_last <= seen.noticed_last) { /* nothing came in between */
        watch->noticed_first = next.noticed_first;
        watch->noticed_last = next.noticed_last;
    }
    if (trigger != NULL) {
        start_record(learner, record, entry->name, trigger);
    }
    learner_unlock(learner);
    return trigger != NULL;
}

static void mark_running(struct learner *learner, const struct record *record)
{
    learner_lock(learner);
    learner->progress =
        (struct learner_progress){.loss = (double)NAN, .seconds_left = (double)NAN};
    snprintf(learner->progress.job, sizeof learner->progress.job, "%s", record->job.id);
    snprintf(learner->running, sizeof learner->running, "%s", record->job.model);
    learner_unlock(learner);
}

/* Runs every job that is due; *at: when to look again. */
static void look(struct learner *learner, bool poll, double *at)
{
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    watch_models(learner, catalog);
    end_orphans(learner, catalog);
    for (size_t i = 0; i < catalog->count && !atomic_load(&learner->cancelled); i++) {
        const struct catalog_entry *entry = &catalog->entries[i];
        struct record record;
        if (find_trigger(learner, entry, poll, &record, at)) {
            mark_running(learner, &record);
            learner_run_job(learner, &record, entry);
            *at = 0; /* the catalog has changed: look again at once */
        }
    }
    registry_release(learner->options.registry, catalog);
}

static void wait_until(struct learner *learner, double at)
{
    struct timespec until = {.tv_sec = (time_t)at};
    until.tv_nsec = (long)((at - (double)until.tv_sec) * 1e9);
    pthread_cond_timedwait(&learner->changed, &learner->mutex, &until);
}

static void *work(void *closure)
{
    struct learner *learner = closure;
    double next_poll = 0;
    for (;;) {
        double now = clock_monotonic(), at = now + poll_interval;
        bool poll = now >= next_poll;
        next_poll = poll ? now + poll_interval : next_poll;
        look(learner, poll, &at);
        learner_lock(learner);
        if (!learner->stopping && at > clock_monotonic()) {
            wait_until(learner, at);
        }
        bool stopping = learner->stopping;
        learner_unlock(learner);
        if (stopping) {
            return NULL;
        }
    }
}

/* ---- Start and stop ---------------------------------------------------------------- */

/* The version that the job wrote before it was cut off, 0 = none. */
static unsigned version_of_job(const struct catalog *catalog, const struct store_job *job)
{
    const struct catalog_entry *entry = catalog_find(catalog, job->model);
    for (size_t i = 0; entry != NULL && i < entry->version_count; i++) {
        json_t *card = json_loads(entry->versions[i].card, 0, NULL);
        const char *id =
            json_string_value(json_object_get(json_object_get(card, "gate"), "job"));
        bool same = id != NULL && strcmp(id, job->id) == 0;
        json_decref(card);
        if (same) {
            return entry->versions[i].number;
        }
    }
    return 0;
}

static int recover(struct learner *learner, const char *state,
                   struct deepsad_error *error)
{
    struct store_jobs jobs = {0};
    struct store *store = learner->options.store;
    int status = store_jobs_list(store, &jobs, NULL, state, NULL, 1000, error);
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    for (size_t i = 0; i < jobs.count && status == DEEPSAD_OK; i++) {
        unsigned version = version_of_job(catalog, &jobs.jobs[i]);
        log_event(LOG_LEVEL_WARNING, "a retraining was cut off when the daemon ended",
                  LOG_TEXT("model", jobs.jobs[i].model), LOG_TEXT("job", jobs.jobs[i].id),
                  LOG_INTEGER("version", version));
        status = record_recover(&jobs.jobs[i], store, version, error);
    }
    registry_release(learner->options.registry, catalog);
    store_jobs_done(&jobs);
    return status;
}

static int make(struct learner **out, const struct learner_options *options,
                const char *directory, struct deepsad_error *error)
{
    struct learner *learner = calloc(1, sizeof *learner);
    if (learner == NULL || (learner->directory = strdup(directory)) == NULL) {
        free(learner);
        return error_no_memory(error, "the retraining worker");
    }
    learner->options = *options;
    uuid_source_init(&learner->ids);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&learner->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&learner->mutex, NULL);
    pthread_mutex_init(&learner->activating, NULL);
    *out = learner;
    return DEEPSAD_OK;
}

static void destroy(struct learner *learner)
{
    pthread_cond_destroy(&learner->changed);
    pthread_mutex_destroy(&learner->mutex);
    pthread_mutex_destroy(&learner->activating);
    free(learner->watches);
    free(learner->directory);
    free(learner);
}

int learner_start(struct learner **out, const struct learner_options *options,
                  const char *directory, struct deepsad_error *error)
{
    struct learner *learner;
    int status = make(&learner, options, directory, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = recover(learner, "running", error);
    if (status == DEEPSAD_OK) {
        status = recover(learner, "queued", error);
    }
    if (status == DEEPSAD_OK) {
        int number = pthread_create(&learner->thread, NULL, work, learner);
        status = number == 0
                     ? DEEPSAD_OK
                     : error_system(error, number, "cannot start the retraining worker");
    }
    if (status != DEEPSAD_OK) {
        destroy(learner);
        return status;
    }
    *out = learner;
    return DEEPSAD_OK;
}

void learner_stop(struct learner *learner)
{
    if (learner == NULL) {
        return;
    }
    learner_lock(learner);
    learner->stopping = true;
    atomic_store(&learner->cancelled, true);
    pthread_cond_signal(&learner->changed);
    learner_unlock(learner);
    pthread_join(learner->thread, NULL);
    destroy(learner);
}

void learner_set_options(struct learner *learner, double debounce, size_t threads)
{
    learner_lock(learner);
    learner->options.debounce = debounce;
    learner->options.threads = threads;
    learner_unlock(learner);
}

/* ---- For the endpoints ------------------------------------------------------------- */

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
    if (first && watch != NULL) {
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
        watch_models(learner, catalog);
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
    start_record(learner, &record, model, "hand");
    snprintf(job, STORE_ID_MAX + 1, "%s", busy_job(learner, model));
    learner_unlock(learner);
    snprintf(record.analyst, sizeof record.analyst, "%s", analyst == NULL ? "" : analyst);
    if (job[0] != '\0') {
        return refuse_second(job, model, error);
    }
    status = record_put(&record, learner->options.store, "queued", error);
    if (status == DEEPSAD_OK && !enqueue(learner, &record, job)) {
        record_fail(&record, learner->options.store, "cancelled", "another was first",
                    NULL);
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
    if (job[0] != '\0' && dequeue(learner, job, &record)) {
        return record_fail(&record, learner->options.store, "cancelled",
                           "cancelled before it ran", error);
    }
    return error_set(error, DEEPSAD_NOT_FOUND, "job %s is neither queued nor running",
                     job);
}

/* When a trigger is due by the clock, 0 = never: by the interval, or to try again what
 * failed. */
static int64_t next_time(const struct watch *watch, double interval)
{
    double now = clock_monotonic(), next = INFINITY;
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
        watch_models(learner, catalog);
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
