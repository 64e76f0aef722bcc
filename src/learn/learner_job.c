/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/learner_job.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "learn/prune.h"

static void on_phase(void *closure, const char *phase)
{
    struct learner *learner = closure;
    learner_lock(learner);
    snprintf(learner->progress.phase, sizeof learner->progress.phase, "%s", phase);
    learner->progress.loss = learner->progress.seconds_left = (double)NAN;
    learner_unlock(learner);
}

/* From here on the job is not to be cancelled: the version may be live at any moment. */
static bool on_publish(void *closure)
{
    struct learner *learner = closure;
    learner_lock(learner);
    bool cancelled = atomic_load(&learner->cancelled);
    learner->publishing = !cancelled;
    snprintf(learner->progress.phase, sizeof learner->progress.phase, "publish");
    learner_unlock(learner);
    return !cancelled;
}

static void on_progress(void *closure, const struct deepsad_progress *progress)
{
    struct learner *learner = closure;
    struct learner_progress *own = &learner->progress;
    learner_lock(learner);
    snprintf(own->phase, sizeof own->phase, "%s", progress->phase);
    own->member = progress->member;
    own->members = progress->members;
    own->step = progress->step;
    own->steps = progress->steps;
    own->epochs = progress->epochs;
    own->loss = progress->loss;
    own->fraction = progress->fraction;
    own->seconds_left = progress->seconds_left;
    learner_unlock(learner);
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
    char *text = json_print(result->detail, JSON_COMPACT);
    detail = text == NULL ? detail : text;
    bool warn = result->end == ROUND_REJECTED && result->quarantined > 0;
    log_event(warn ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "retraining ended",
              LOG_TEXT("model", record->job.model), LOG_TEXT("job", record->job.id),
              LOG_TEXT("decision", result->decision), LOG_TEXT("reason", result->reason),
              LOG_INTEGER("version", result->version), LOG_INTEGER("live", result->live),
              LOG_INTEGER("quarantined", result->quarantined),
              LOG_NUMBER("seconds", clock_monotonic() - record->started),
              LOG_TEXT("detail", detail));
    free(text);
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
        learner_log_fault("the new version is written but not live; send SIGHUP", model,
                          &error);
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

/* Of the oldest there is no record then but "running", until the next start. */
static void owe(struct learner *learner, struct record *record,
                const struct deepsad_error *error)
{
    learner_log_fault("the record of a retraining is not written yet", record->job.model,
                      error);
    if (learner->owed_count == LEARNER_OWED_MAX) {
        record_done(&learner->owed[0]);
        learner->owed_count--;
        memmove(&learner->owed[0], &learner->owed[1],
                learner->owed_count * sizeof learner->owed[0]);
    }
    learner->owed[learner->owed_count++] = *record;
}

void learner_settle(struct learner *learner)
{
    size_t settled = 0;
    while (settled < learner->owed_count &&
           record_settle(&learner->owed[settled], learner->options.store, NULL) ==
               DEEPSAD_OK) {
        settled++;
    }
    learner->owed_count -= settled;
    memmove(&learner->owed[0], &learner->owed[settled],
            learner->owed_count * sizeof learner->owed[0]);
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
        owe(learner, record, &error);
    }
    tell(learner, &event);
}

void learner_fail_job(struct learner *learner, struct record *record, int status,
                      const struct deepsad_error *fault)
{
    const char *state = status == DEEPSAD_CANCELLED ? "cancelled" : "failed";
    struct deepsad_error error = {0};
    log_event(LOG_LEVEL_WARNING, "retraining did not run through",
              LOG_TEXT("model", record->job.model), LOG_TEXT("job", record->job.id),
              LOG_TEXT("state", state), LOG_TEXT("reason", fault->message));
    if (record_fail(record, learner->options.store, state, fault->message, &error) !=
        DEEPSAD_OK) {
        owe(learner, record, &error);
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
    learner_lock(learner);
    size_t threads = learner->options.threads;
    learner_unlock(learner);
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
        .publish = on_publish,
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

void learner_run_job(struct learner *learner, struct record *record,
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
    learner_lock(learner);
    struct watch *watch = learner_find_watch(learner, record->job.model);
    assert(watch != NULL); /* it found the trigger, and none is ever removed */
    if (status == DEEPSAD_OK) {
        watch_ran(watch, record->job.id, result.journal_seq);
    } else {
        watch_failed(watch, record->job.id, seen);
    }
    /* From here on there is nothing left to cancel. */
    learner->progress = (struct learner_progress){.job = ""};
    learner->publishing = false;
    learner->running[0] = '\0';
    atomic_store(&learner->cancelled, learner->stopping);
    learner_unlock(learner);
    if (status == DEEPSAD_OK) {
        end_well(learner, record, &result, parent);
        prune(learner, record->job.model);
    } else {
        learner_fail_job(learner, record, status, &fault);
    }
}
