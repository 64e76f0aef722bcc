/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/learner.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "learn/learner_job.h"
#include "learn/learner_queue.h"

/* Labels written by another process are noticed after so many seconds at the latest. */
static const double poll_interval = 1;

/* ---- Choosing ---------------------------------------------------------------------- */

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
        if (gone && learner_dequeue(learner, job, &record)) {
            struct deepsad_error fault = {0};
            int status = error_set(&fault, DEEPSAD_NOT_FOUND,
                                   "model %s was removed before the job ran", model);
            learner_fail_job(learner, &record, status, &fault);
        }
    }
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
    bool asked = watch != NULL && learner_take_asked(watch, record);
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
        learner_start_record(learner, record, entry->name, trigger);
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
    learner_watch_models(learner, catalog);
    end_orphans(learner, catalog);
    bool ran = false;
    for (size_t i = 0; i < catalog->count && !atomic_load(&learner->cancelled); i++) {
        const struct catalog_entry *entry = &catalog->entries[i];
        struct record record;
        if (find_trigger(learner, entry, poll, &record, at)) {
            mark_running(learner, &record);
            learner_run_job(learner, &record, entry);
            *at = 0; /* the catalog has changed: look again at once */
            ran = true;
        }
    }
    registry_release(learner->options.registry, catalog);
    if (ran) {
        memory_trim(); /* or each retraining would leave a bit in another heap */
    }
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
        learner_settle(learner);
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
        json_t *card = json_read(entry->versions[i].card);
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
    for (size_t i = 0; i < learner->owed_count; i++) {
        record_done(&learner->owed[i]);
    }
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
