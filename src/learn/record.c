/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"

const char *record_state(enum round_end end)
{
    static const char *const names[] = {[ROUND_PROMOTED] = "promoted",
                                        [ROUND_WAITING] = "waiting",
                                        [ROUND_REJECTED] = "rejected"};
    return names[end];
}

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text == NULL ? "" : text);
}

void record_init(struct record *record, const char *model, const char *id,
                 const char *trigger, const char *analyst)
{
    *record = (struct record){.trigger = trigger, .started = clock_monotonic()};
    copy(record->job.id, sizeof record->job.id, id);
    copy(record->job.model, sizeof record->job.model, model);
    copy(record->analyst, sizeof record->analyst, analyst);
    record->job.created_at_ms = clock_realtime_ms();
}

/* Out of memory, what the job came to stays, its numbers do not. */
static int write_all(struct record *record, struct store *store,
                     struct deepsad_error *error)
{
    static char none[] = "{}";
    char *text = record->job.detail, *detail = text == NULL ? none : text;
    int status = DEEPSAD_OK;
    while (record->version_count > 0 && status == DEEPSAD_OK) {
        struct store_version version = record->versions[record->version_count - 1];
        version.detail = detail;
        status = store_version_put(store, &version, error);
        record->version_count -= status == DEEPSAD_OK;
    }
    if (status == DEEPSAD_OK) {
        record->job.detail = detail;
        status = store_job_put(store, &record->job, error);
        record->job.detail = text;
    }
    return status;
}

int record_settle(struct record *record, struct store *store, struct deepsad_error *error)
{
    int status = record->owed ? write_all(record, store, error) : DEEPSAD_OK;
    if (status == DEEPSAD_OK) {
        record_done(record);
    }
    return status;
}

void record_done(struct record *record)
{
    free(record->job.detail);
    record->job.detail = NULL;
    record->owed = false;
    record->version_count = 0;
}

/* Takes over `detail`, to which what all jobs tell is added. */
static void set_detail(struct record *record, const char *state, json_t *detail)
{
    json_object_set_new(detail, "trigger", json_string(record->trigger));
    if (record->analyst[0] != '\0') {
        json_object_set_new(detail, "asked_by", json_string(record->analyst));
    }
    free(record->job.detail);
    record->job.detail = json_print(detail, JSON_COMPACT);
    json_decref(detail);
    copy(record->job.state, sizeof record->job.state, state);
}

int record_put(struct record *record, struct store *store, const char *state,
               struct deepsad_error *error)
{
    if (strcmp(state, "running") == 0) {
        record->started = clock_monotonic();
        record->job.started_at_ms = clock_realtime_ms();
    }
    set_detail(record, state, json_object());
    int status = write_all(record, store, error);
    record_done(record);
    return status;
}

int record_fail(struct record *record, struct store *store, const char *state,
                const char *reason, struct deepsad_error *error)
{
    record->job.finished_at_ms = clock_realtime_ms();
    set_detail(record, state,
               json_pack("{s:s, s:f}", "reason", reason, "seconds",
                         clock_monotonic() - record->started));
    record->owed = true;
    return record_settle(record, store, error);
}

static void add_version(struct record *record, unsigned number, unsigned parent)
{
    struct store_version version = {
        .number = number, .parent = parent, .created_at_ms = clock_realtime_ms()};
    copy(version.model, sizeof version.model, record->job.model);
    copy(version.job, sizeof version.job, record->job.id);
    record->versions[record->version_count++] = version;
}

int record_end(struct record *record, struct store *store, struct round_result *result,
               unsigned parent, struct deepsad_error *error)
{
    json_t *detail = result->detail;
    result->detail = NULL;
    json_object_set_new(detail, "decision", json_string(result->decision));
    json_object_set_new(detail, "reason", json_string(result->reason));
    json_object_set_new(detail, "quarantined",
                        json_integer((json_int_t)result->quarantined));
    json_object_set_new(detail, "seconds",
                        json_real(clock_monotonic() - record->started));
    record->job.finished_at_ms = clock_realtime_ms();
    record->job.journal_seq = result->journal_seq;
    record->job.version = result->version;
    record->version_count = 0;
    if (result->live != 0 && result->live != result->version) {
        add_version(record, result->live, parent);
    }
    if (result->version != 0) {
        add_version(record, result->version, parent);
    }
    set_detail(record, record_state(result->end), detail);
    record->owed = true;
    return record_settle(record, store, error);
}

int record_recover(struct store_job *job, struct store *store, unsigned version,
                   struct deepsad_error *error)
{
    copy(job->state, sizeof job->state, version != 0 ? "promoted" : "failed");
    job->version = version;
    job->finished_at_ms = clock_realtime_ms();
    json_t *detail = json_read(job->detail);
    detail = detail == NULL ? json_object() : detail;
    json_object_set_new(detail, "reason",
                        json_string(version != 0
                                        ? "the daemon ended after the version was written"
                                        : "the daemon ended while it ran"));
    char *text = json_print(detail, JSON_COMPACT);
    json_decref(detail);
    if (text == NULL) {
        return error_no_memory(error, "a job");
    }
    free(job->detail);
    job->detail = text;
    return store_job_put(store, job, error);
}
