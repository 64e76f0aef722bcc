/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/learner.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "learn/prune.h"
#include "learn/quiet.h"
#include "learn/record.h"
#include "learn/watch.h"
#include "model/live.h"
#include "model/model_file.h"
#include "model/version.h"

/* Labels written by another process are noticed after so many seconds at the latest. */
static const double poll_interval = 1;

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

    atomic_bool cancelled;  /* the job that runs is to end */
    struct uuid_source ids; /* of the worker and of learner_retrain, under the mutex */
    pthread_mutex_t activating; /* one live.yaml is written at a time; outside `mutex` */
};

static void lock(struct learner *learner)
{
    int failed = pthread_mutex_lock(&learner->mutex);
    assert(failed == 0);
    (void)failed;
}

static void unlock(struct learner *learner)
{
    int failed = pthread_mutex_unlock(&learner->mutex);
    assert(failed == 0);
    (void)failed;
}

/* ---- Watches ----------------------------------------------------------------------- */

/* Under the mutex; valid until it is let go of. */
static struct watch *find_watch(struct learner *learner, const char *model)
{
    for (size_t i = 0; i < learner->count; i++) {
        if (strcmp(learner->watches[i].model, model) == 0) {
            return &learner->watches[i];
        }
    }
    return NULL;
}

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
        lock(learner);
        bool known = find_watch(learner, model) != NULL;
        unlock(learner);
        struct watch watch;
        if (known ||
            watch_load(&watch, learner->options.store, model, NULL) != DEEPSAD_OK) {
            continue;
        }
        lock(learner);
        if (find_watch(learner, model) == NULL) {
            add_watch(learner, &watch);
        }
        unlock(learner);
    }
}

/* ---- A job ------------------------------------------------------------------------- */

static void on_phase(void *closure, const char *phase)
{
    struct learner *learner = closure;
    lock(learner);
    snprintf(learner->progress.phase, sizeof learner->progress.phase, "%s", phase);
    learner->progress.loss = learner->progress.seconds_left = (double)NAN;
    unlock(learner);
}

static void on_progress(void *closure, const struct deepsad_progress *progress)
{
    struct learner *learner = closure;
    struct learner_progress *own = &learner->progress;
    lock(learner);
    snprintf(own->phase, sizeof own->phase, "%s", progress->phase);
    own->member = progress->member;
    own->members = progress->members;
    own->step = progress->step;
    own->steps = progress->steps;
    own->epochs = progress->epochs;
    own->loss = progress->loss;
    own->fraction = progress->fraction;
    own->seconds_left = progress->seconds_left;
    unlock(learner);
}

static void tell(struct learner *learner, const struct learner_event *event)
{
    if (learner->options.observe != NULL) {
        learner->options.observe(learner->options.closure, event);
    }
}

static void log_end(const struct record *record, const struct round_result *result)
{
    const char *detail = "";
    char *text = json_dumps(result->detail, JSON_COMPACT);
    detail = text == NULL ? detail : text;
    log_event(result->end == ROUND_REJECTED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "retraining ended", LOG_TEXT("model", record->job.model),
              LOG_TEXT("job", record->job.id), LOG_TEXT("decision", result->decision),
              LOG_TEXT("reason", result->reason), LOG_INTEGER("version", result->version),
              LOG_INTEGER("live", result->live),
              LOG_INTEGER("quarantined", result->quarantined),
              LOG_NUMBER("seconds", clock_monotonic() - record->started),
              LOG_TEXT("detail", detail));
    free(text);
}

static void log_fault(const char *message, const char *model,
                      const struct deepsad_error *error)
{
    log_event(LOG_LEVEL_ERROR, message, LOG_TEXT("model", model),
              LOG_TEXT("reason", error->message));
}

/* The next catalog, on its way through a quiet thread. */
struct quiet_catalog {
    struct registry *registry;
    struct catalog *next;
    const struct catalog *base;
    int status;
};

static void prepare_quietly(void *closure)
{
    struct quiet_catalog *catalog = closure;
    catalog->status =
        registry_prepare(catalog->registry, &catalog->next, &catalog->base, NULL);
}

/* The version is on disk: the next request is to see it. */
static void swap(struct learner *learner, const char *model)
{
    struct quiet_catalog catalog = {.registry = learner->options.registry,
                                    .status = DEEPSAD_IO};
    struct deepsad_error error = {0};
    quiet_run(learner->options.priority, prepare_quietly, &catalog, NULL);
    if (catalog.status == DEEPSAD_OK &&
        registry_commit(learner->options.registry, catalog.next, catalog.base)) {
        return;
    }
    if (registry_reload(learner->options.registry, NULL, &error) != DEEPSAD_OK) {
        log_fault("the new version is written but not live; send SIGHUP", model, &error);
    }
}

/* Makes room on the disk. Nothing is activated meanwhile: it could be what goes. */
static void prune(struct learner *learner, const char *model)
{
    char *directory;
    size_t gone = 0;
    pthread_mutex_lock(&learner->activating);
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    const struct catalog_entry *entry = catalog_find(catalog, model);
    if (entry != NULL && asprintf(&directory, "%s/%s", learner->directory, model) >= 0) {
        gone = prune_versions(entry, directory, learner->options.store);
        free(directory);
    }
    registry_release(learner->options.registry, catalog);
    if (gone > 0) {
        swap(learner, model); /* what is gone is listed no more */
    }
    pthread_mutex_unlock(&learner->activating);
    if (gone > 0) {
        log_event(LOG_LEVEL_INFO, "old versions removed (retraining.versions)",
                  LOG_TEXT("model", model), LOG_INTEGER("versions", gone));
    }
}

static void end_well(struct learner *learner, struct record *record,
                     struct round_result *result, unsigned parent)
{
    struct deepsad_error error = {0};
    struct learner_event event = {.model = record->job.model,
                                  .state = record_state(result->end),
                                  .decision = result->decision,
                                  .seconds = clock_monotonic() - record->started,
                                  .version = result->live,
                                  .quarantined = result->quarantined};
    log_end(record, result);
    if (record_end(record, learner->options.store, result, parent, &error) !=
        DEEPSAD_OK) {
        log_fault("the record of a retraining was not written", record->job.model,
                  &error);
    }
    tell(learner, &event);
}

static void end_badly(struct learner *learner, struct record *record, int status,
                      const struct deepsad_error *fault)
{
    const char *state = status == DEEPSAD_CANCELLED ? "cancelled" : "failed";
    struct deepsad_error error = {0};
    log_event(LOG_LEVEL_WARNING, "retraining did not run through",
              LOG_TEXT("model", record->job.model), LOG_TEXT("job", record->job.id),
              LOG_TEXT("state", state), LOG_TEXT("reason", fault->message));
    if (record_fail(record, learner->options.store, state, fault->message, &error) !=
        DEEPSAD_OK) {
        log_fault("the record of a retraining was not written", record->job.model,
                  &error);
    }
    struct learner_event event = {.model = record->job.model,
                                  .state = state,
                                  .decision = "",
                                  .seconds = clock_monotonic() - record->started};
    tell(learner, &event);
}

static struct round_options options_of(struct learner *learner,
                                       const struct record *record,
                                       const struct catalog_entry *entry)
{
    lock(learner);
    size_t threads = learner->options.threads;
    unlock(learner);
    return (struct round_options){
        .entry = entry,
        .store = learner->options.store,
        .directory = learner->directory,
        .job = record->job.id,
        .by_hand = strcmp(record->trigger, "hand") == 0,
        .train = {.threads = threads,
                  .deadline = record->started + entry->policy.retraining.deadline,
                  .cancelled = &learner->cancelled,
                  .progress = on_progress,
                  .closure = learner},
        .phase = on_phase,
        .closure = learner,
    };
}

/* A round on its way through a quiet thread. */
struct quiet_round {
    struct round_options options;
    struct round_result result;
    int status;
    struct deepsad_error error;
};

static void run_quietly(void *closure)
{
    struct quiet_round *round = closure;
    round->status = round_run(&round->result, &round->options, &round->error);
}

static int run_round(struct learner *learner, struct round_result *result,
                     const struct record *record, const struct catalog_entry *entry,
                     struct deepsad_error *error)
{
    struct quiet_round round = {.options = options_of(learner, record, entry)};
    int status = quiet_run(learner->options.priority, run_quietly, &round, error);
    if (status == DEEPSAD_OK && round.status != DEEPSAD_OK) {
        status = error_set(error, (enum deepsad_status)round.status, "%s",
                           round.error.message);
    }
    if (status == DEEPSAD_OK) {
        *result = round.result;
    }
    return status;
}

/* The journal as far as it goes now; what a job that does not run through has seen. */
static int64_t journal_end(struct learner *learner, const char *model)
{
    struct store_counts counts = {0};
    return store_counts(learner->options.store, &counts, model, NULL) == DEEPSAD_OK
               ? counts.last_seq
               : 0;
}

static void run_job(struct learner *learner, struct record *record,
                    const struct catalog_entry *entry)
{
    unsigned parent = entry->version_count > 0 ? entry->versions[0].number : 0;
    struct deepsad_error fault = {0};
    struct round_result result = {.journal_seq = 0};
    int64_t seen = journal_end(learner, record->job.model);
    int status = record_put(record, learner->options.store, "running", &fault);
    if (status == DEEPSAD_OK) {
        status = run_round(learner, &result, record, entry, &fault);
    }
    if (status == DEEPSAD_OK && result.version != 0) {
        swap(learner, record->job.model);
    }
    lock(learner);
    struct watch *watch = find_watch(learner, record->job.model);
    assert(watch != NULL); /* it found the trigger, and none is ever removed */
    if (status == DEEPSAD_OK) {
        watch_ran(watch, record->job.id, result.journal_seq);
    } else {
        watch_failed(watch, record->job.id, seen);
    }
    learner->progress =
        (struct learner_progress){.job = ""}; /* there is nothing left to */
    learner->running[0] = '\0';               /* cancel */
    atomic_store(&learner->cancelled, learner->stopping);
    unlock(learner);
    if (status == DEEPSAD_OK) {
        end_well(learner, record, &result, parent);
        prune(learner, record->job.model);
    } else {
        end_badly(learner, record, status, &fault);
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
    lock(learner);
    for (size_t i = 0; i < learner->count && !found; i++) {
        struct watch *watch = &learner->watches[i];
        found = strcmp(watch->asked, job) == 0 && take_asked(watch, record);
    }
    unlock(learner);
    return found;
}

/* The job asked for by hand of watch number `i`, "" = none; false: there is no such
 * watch.
 */
static bool asked_of(struct learner *learner, size_t i, char model[STORE_MODEL_MAX + 1],
                     char job[STORE_ID_MAX + 1])
{
    lock(learner);
    bool is = i < learner->count;
    if (is) {
        memcpy(model, learner->watches[i].model, STORE_MODEL_MAX + 1);
        memcpy(job, learner->watches[i].asked, STORE_ID_MAX + 1);
    }
    unlock(learner);
    return is;
}

/* What was asked for of a model that is gone since: nothing else would ever end it. */
static void end_orphans(struct learner *learner)
{
    char model[STORE_MODEL_MAX + 1], job[STORE_ID_MAX + 1];
    for (size_t i = 0; asked_of(learner, i, model, job); i++) {
        struct record record;
        struct deepsad_error fault = {0};
        const struct catalog *catalog = registry_acquire(learner->options.registry);
        bool gone = job[0] != '\0' && catalog_find(catalog, model) == NULL;
        registry_release(learner->options.registry, catalog);
        if (gone && dequeue(learner, job, &record)) {
            int status = error_set(&fault, DEEPSAD_NOT_FOUND,
                                   "model %s was removed before the job ran", model);
            end_badly(learner, &record, status, &fault);
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
    lock(learner);
    struct watch *watch = find_watch(learner, entry->name);
    struct watch seen = {.seen_seq = 0};
    if (watch != NULL) {
        seen = *watch;
    }
    bool asked = watch != NULL && take_asked(watch, record);
    double debounce = learner->options.debounce;
    unlock(learner);
    if (watch == NULL || asked) {
        return asked;
    }
    struct watch next = seen;
    const char *trigger =
        watch_due(&next, entry, learner->options.store, debounce, poll, at);
    if (trigger != NULL) {
        watch_obstacle(obstacle, entry, learner->options.store);
        trigger = obstacle[0] == '\0' ? trigger : NULL;
    }
    lock(learner);
    watch = find_watch(learner, entry->name);
    assert(watch != NULL);
    if (watch->noticed_last <= seen.noticed_last) { /* nothing came in between */
        watch->noticed_first = next.noticed_first;
        watch->noticed_last = next.noticed_last;
    }
    if (trigger != NULL) {
        start_record(learner, record, entry->name, trigger);
    }
    unlock(learner);
    return trigger != NULL;
}

static void mark_running(struct learner *learner, const struct record *record)
{
    lock(learner);
    learner->progress =
        (struct learner_progress){.loss = (double)NAN, .seconds_left = (double)NAN};
    snprintf(learner->progress.job, sizeof learner->progress.job, "%s", record->job.id);
    snprintf(learner->running, sizeof learner->running, "%s", record->job.model);
    unlock(learner);
}

/* Runs every job that is due; *at: when to look again. */
static void look(struct learner *learner, bool poll, double *at)
{
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    watch_models(learner, catalog);
    end_orphans(learner);
    for (size_t i = 0; i < catalog->count && !atomic_load(&learner->cancelled); i++) {
        const struct catalog_entry *entry = &catalog->entries[i];
        struct record record;
        if (find_trigger(learner, entry, poll, &record, at)) {
            mark_running(learner, &record);
            run_job(learner, &record, entry);
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
        lock(learner);
        if (!learner->stopping && at > clock_monotonic()) {
            wait_until(learner, at);
        }
        bool stopping = learner->stopping;
        unlock(learner);
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
    lock(learner);
    learner->stopping = true;
    atomic_store(&learner->cancelled, true);
    pthread_cond_signal(&learner->changed);
    unlock(learner);
    pthread_join(learner->thread, NULL);
    destroy(learner);
}

void learner_set_options(struct learner *learner, double debounce, size_t threads)
{
    lock(learner);
    learner->options.debounce = debounce;
    learner->options.threads = threads;
    unlock(learner);
}

/* ---- For the endpoints ------------------------------------------------------------- */

void learner_notice(struct learner *learner, const char *model)
{
    double now = clock_monotonic();
    lock(learner);
    struct watch *watch = find_watch(learner, model);
    if (watch != NULL) {
        watch->noticed_first = watch->noticed_first > 0 ? watch->noticed_first : now;
        watch->noticed_last = now;
        pthread_cond_signal(&learner->changed);
    } /* else the worker finds it when it looks at the model first */
    unlock(learner);
}

/* The entry of a model, or DEEPSAD_NOT_FOUND. Release the catalog either way. */
static int find_entry(const struct catalog_entry **entry, const struct catalog *catalog,
                      const char *model, struct deepsad_error *error)
{
    *entry = catalog_find(catalog, model);
    return *entry != NULL
               ? DEEPSAD_OK
               : error_set(error, DEEPSAD_NOT_FOUND, "there is no model \"%s\"", model);
}

/* The job of the model that is queued or runs, or "". Under the mutex. */
static const char *busy_job(struct learner *learner, const char *model)
{
    const struct watch *watch = find_watch(learner, model);
    if (strcmp(learner->running, model) == 0) {
        return learner->progress.job;
    }
    return watch == NULL ? "" : watch->asked;
}

/* Puts a job into the queue. False: another was first, and `job` is its id. */
static bool enqueue(struct learner *learner, const struct record *record,
                    char job[static STORE_ID_MAX + 1])
{
    lock(learner);
    const char *busy = busy_job(learner, record->job.model);
    bool first = busy[0] == '\0';
    snprintf(job, STORE_ID_MAX + 1, "%s", first ? record->job.id : busy);
    struct watch *watch = find_watch(learner, record->job.model);
    if (first && watch != NULL) {
        memcpy(watch->asked, record->job.id, sizeof watch->asked);
        snprintf(watch->asked_by, sizeof watch->asked_by, "%s", record->analyst);
        watch->asked_at_ms = record->job.created_at_ms;
        pthread_cond_signal(&learner->changed);
    }
    unlock(learner);
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
    int status = find_entry(&entry, catalog, model, error);
    if (status == DEEPSAD_OK) {
        watch_models(learner, catalog);
        watch_obstacle(obstacle, entry, learner->options.store);
    }
    registry_release(learner->options.registry, catalog);
    if (status == DEEPSAD_OK && obstacle[0] != '\0') {
        status = error_set(error, DEEPSAD_INVALID, "model %s cannot be retrained: %s",
                           model, obstacle);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    lock(learner);
    start_record(learner, &record, model, "hand");
    snprintf(job, STORE_ID_MAX + 1, "%s", busy_job(learner, model));
    unlock(learner);
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
    lock(learner);
    bool running = job[0] != '\0' && strcmp(learner->progress.job, job) == 0;
    if (running) {
        atomic_store(&learner->cancelled, true);
    }
    unlock(learner);
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

int learner_status(struct learner *learner, struct learner_status *out, const char *model,
                   struct deepsad_error *error)
{
    struct learner_status status = {.next_at_ms = 0};
    const struct catalog_entry *entry;
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    int code = find_entry(&entry, catalog, model, error);
    double interval = 0;
    if (code == DEEPSAD_OK) {
        watch_models(learner, catalog);
        watch_obstacle(status.obstacle, entry, learner->options.store);
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
    lock(learner);
    const struct watch *watch = find_watch(learner, model);
    if (watch != NULL) {
        seen = watch->seen_seq;
        status.queued = watch->asked[0] != '\0';
        status.last_finished_at_ms = watch->last_finished_at_ms;
        memcpy(status.last_job, watch->last_job, sizeof status.last_job);
        double next = watch->last_run + interval - clock_monotonic();
        status.next_at_ms =
            interval > 0 ? clock_realtime_ms() + (int64_t)(1e3 * fmax(next, 0)) : 0;
    }
    status.running = strcmp(learner->running, model) == 0;
    if (status.running) {
        status.progress = learner->progress;
    }
    unlock(learner);
    code = store_changes(learner->options.store, &status.changes, model, seen, error);
    if (code == DEEPSAD_OK) {
        *out = status;
    }
    return code;
}

/* ---- Activating -------------------------------------------------------------------- */

static bool is_available(const struct catalog_entry *entry, unsigned version)
{
    for (size_t i = 0; i < entry->available_count; i++) {
        if (entry->available[i] == version) {
            return true;
        }
    }
    return false;
}

/* That it loads is found out before it is made live. */
static int check_loads(struct learner *learner, const char *model, unsigned version,
                       struct deepsad_error *error)
{
    char *path;
    struct deepsad_model *loaded;
    if (asprintf(&path, "%s/%s/%u/%s", learner->directory, model, version, VERSION_FILE) <
        0) {
        return error_no_memory(error, "a path");
    }
    int status = model_file_read(&loaded, path, error);
    free(path);
    if (status == DEEPSAD_OK) {
        deepsad_model_unref(loaded);
    }
    return status;
}

/* Writes live.yaml of the model and swaps. */
static int write_live(struct learner *learner, const char *model, const struct live *live,
                      struct deepsad_error *error)
{
    char *directory;
    if (asprintf(&directory, "%s/%s", learner->directory, model) < 0) {
        return error_no_memory(error, "a path");
    }
    int status = live_write(live, directory, error);
    free(directory);
    return status == DEEPSAD_OK ? registry_reload(learner->options.registry, NULL, error)
                                : status;
}

int learner_activate(struct learner *learner, const char *model, unsigned version,
                     bool hold, struct deepsad_error *error)
{
    const struct catalog_entry *entry;
    pthread_mutex_lock(&learner->activating);
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    int status = find_entry(&entry, catalog, model, error);
    if (status == DEEPSAD_OK && !is_available(entry, version)) {
        status = error_set(error, DEEPSAD_NOT_FOUND, "model %s has no version %u", model,
                           version);
    }
    if (status == DEEPSAD_OK) {
        status = check_loads(learner, model, version, error);
    }
    if (status == DEEPSAD_OK) {
        struct live live = {
            .version = version, .newest = entry->available[0], .hold = hold};
        status = write_live(learner, model, &live, error);
    }
    registry_release(learner->options.registry, catalog);
    pthread_mutex_unlock(&learner->activating);
    if (status == DEEPSAD_OK) {
        log_event(LOG_LEVEL_INFO, "version activated", LOG_TEXT("model", model),
                  LOG_INTEGER("version", version), LOG_TEXT("hold", hold ? "yes" : "no"));
    }
    return status;
}

int learner_release(struct learner *learner, const char *model,
                    struct deepsad_error *error)
{
    const struct catalog_entry *entry;
    pthread_mutex_lock(&learner->activating);
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    int status = find_entry(&entry, catalog, model, error);
    if (status == DEEPSAD_OK && entry->live.hold) {
        struct live live = entry->live;
        live.hold = false;
        status = write_live(learner, model, &live, error);
    }
    registry_release(learner->options.registry, catalog);
    pthread_mutex_unlock(&learner->activating);
    if (status == DEEPSAD_OK) {
        learner_notice(learner, model);
        log_event(LOG_LEVEL_INFO, "promotion released", LOG_TEXT("model", model));
    }
    return status;
}
