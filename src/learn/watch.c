/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/watch.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "model/policy.h"

enum {
    WATCH_JOBS = 64,         /* newest of a model that are looked at after a start */
    WATCH_ROWS_MIN = 100,    /* kept samples without which there is nothing to train on */
    WATCH_DEBOUNCE_MAX = 10, /* a stream of labels delays a job at most so many times the
                                debounce */
};
static const double retry_first = 10, retry_most = 3600; /* seconds */

/* ---- After a start ----------------------------------------------------------------- */

static bool ran_through(const struct store_job *job)
{
    return strcmp(job->state, "promoted") == 0 || strcmp(job->state, "rejected") == 0 ||
           strcmp(job->state, "waiting") == 0;
}

int watch_load(struct watch *watch, struct store *store, const char *model,
               struct deepsad_error *error)
{
    struct store_jobs jobs = {0};
    *watch = (struct watch){.seen_seq = 0};
    snprintf(watch->model, sizeof watch->model, "%s", model);
    int status = store_jobs_list(store, &jobs, model, NULL, NULL, WATCH_JOBS, error);
    for (size_t i = 0; i < jobs.count && status == DEEPSAD_OK; i++) {
        const struct store_job *job = &jobs.jobs[i];
        if (ran_through(job) && job->journal_seq > watch->seen_seq) {
            watch->seen_seq = job->journal_seq;
        }
        if (job->finished_at_ms > watch->last_finished_at_ms) {
            watch->last_finished_at_ms = job->finished_at_ms;
            memcpy(watch->last_job, job->id, sizeof watch->last_job);
        }
    }
    store_jobs_done(&jobs);
    if (watch->last_finished_at_ms > 0) {
        double ago = 1e-3 * (double)(clock_realtime_ms() - watch->last_finished_at_ms);
        watch->last_run = clock_monotonic() - fmax(ago, 0);
    }
    return status;
}

/* ---- Obstacles --------------------------------------------------------------------- */

static json_int_t rows_kept_with(const struct catalog_version *version)
{
    json_t *card = json_read(version->card);
    json_int_t rows =
        json_integer_value(json_object_get(json_object_get(card, "reservoir"), "rows"));
    json_decref(card);
    return rows;
}

static bool can_write(const char *models, const char *model)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", models, model);
    return access(path, W_OK | X_OK) == 0;
}

void watch_obstacle(char out[static WATCH_OBSTACLE], const struct catalog_entry *entry,
                    struct store *store, const char *models)
{
    struct store_counts counts = {0};
    out[0] = '\0';
    if (entry->unloaded) {
        snprintf(out, WATCH_OBSTACLE, "the model is unloaded");
    } else if (entry->version_count == 0) {
        snprintf(out, WATCH_OBSTACLE, "no version of the model loads");
    } else if (entry->policy.retraining.mode == POLICY_NEVER) {
        snprintf(out, WATCH_OBSTACLE, "retraining.mode is never in its model.yaml");
    } else if (!can_write(models, entry->name)) {
        snprintf(out, WATCH_OBSTACLE,
                 "its directory in the models directory cannot be written by this user; "
                 "change its owner (chown)");
    } else if (rows_kept_with(&entry->versions[0]) < WATCH_ROWS_MIN &&
               store_counts(store, &counts, entry->name, NULL) == DEEPSAD_OK &&
               counts.samples < WATCH_ROWS_MIN) {
        snprintf(out, WATCH_OBSTACLE,
                 "version %u keeps no rows to train on, and %zu samples were kept; score "
                 "at least %d rows with \"keep\": true, or train with --set "
                 "reservoir=10000",
                 entry->versions[0].number, counts.samples, WATCH_ROWS_MIN);
    }
}

/* ---- Triggers ---------------------------------------------------------------------- */

/* Whether the labels noticed so far have been quiet for long enough. */
static bool settled(const struct watch *watch, double debounce, double now, double *at)
{
    if (watch->noticed_last <= 0) {
        return false;
    }
    double ready = fmin(watch->noticed_last + debounce,
                        watch->noticed_first + WATCH_DEBOUNCE_MAX * debounce);
    if (now < ready) {
        *at = fmin(*at, ready);
    }
    return now >= ready;
}

static bool interval_over(const struct watch *watch, const struct policy *policy,
                          double now, double *at)
{
    double interval = policy->retraining.interval;
    if (interval <= 0) {
        return false;
    }
    double next = watch->last_run + interval;
    if (now < next) {
        *at = fmin(*at, next);
    } /* else a job starts now, or something is in its way for longer than that */
    return now >= next;
}

const char *watch_due(struct watch *watch, const struct catalog_entry *entry,
                      struct store *store, double debounce, bool poll, double *at)
{
    double now = clock_monotonic();
    const struct policy *policy = &entry->policy;
    bool ready = settled(watch, debounce, now, at);
    bool interval = interval_over(watch, policy, now, at);
    if (!ready && !interval && !(poll && watch->noticed_last <= 0)) {
        return NULL;
    }
    size_t changes = 0;
    int64_t after = now < watch->retry_at && watch->skipped_seq > watch->seen_seq
                        ? watch->skipped_seq
                        : watch->seen_seq;
    if (store_changes(store, &changes, watch->model, after, NULL) != DEEPSAD_OK) {
        return NULL; /* the store says why; later */
    }
    watch->noticed_first = watch->noticed_last = ready ? 0 : watch->noticed_last;
    if (changes >= policy->retraining.min_labels) {
        return "labels";
    }
    return interval ? "interval" : NULL;
}

static void ended(struct watch *watch, const char *job)
{
    snprintf(watch->last_job, sizeof watch->last_job, "%s", job);
    watch->last_finished_at_ms = clock_realtime_ms();
    watch->last_run = clock_monotonic();
}

void watch_ran(struct watch *watch, const char *job, int64_t journal_seq)
{
    ended(watch, job);
    watch->seen_seq = journal_seq > watch->seen_seq ? journal_seq : watch->seen_seq;
    watch->failures = 0;
    watch->retry_at = 0;
}

void watch_failed(struct watch *watch, const char *job, int64_t journal_seq)
{
    ended(watch, job);
    watch->skipped_seq = journal_seq;
    double pause = retry_first * pow(2, fmin(watch->failures, 20));
    watch->failures++;
    watch->retry_at = clock_monotonic() + fmin(pause, retry_most);
}
