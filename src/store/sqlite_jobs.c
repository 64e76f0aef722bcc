/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_jobs.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Jobs -------------------------------------------------------------------------- */

static const void *detail_or_empty(const char *detail)
{
    return detail != NULL ? detail : "{}";
}

static int put_job(struct sqlite_db *db, void *argument, struct deepsad_error *error)
{
    const struct store_job *job = argument;
    return sqlite_run(
        db, error,
        "INSERT INTO job (id, model, state, created_at_ms, started_at_ms, finished_at_ms,"
        " journal_seq, version, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        " ON CONFLICT (id) DO UPDATE SET model = excluded.model, state = excluded.state,"
        " created_at_ms = excluded.created_at_ms, started_at_ms = excluded.started_at_ms,"
        " finished_at_ms = excluded.finished_at_ms, journal_seq = excluded.journal_seq,"
        " version = excluded.version, detail = excluded.detail",
        SQL_TEXT(job->id), SQL_TEXT(job->model), SQL_TEXT(job->state),
        SQL_INTEGER(job->created_at_ms), SQL_INTEGER(job->started_at_ms),
        SQL_INTEGER(job->finished_at_ms), SQL_INTEGER(job->journal_seq),
        SQL_INTEGER(job->version), SQL_TEXT(detail_or_empty(job->detail)));
}

int sqlite_job_put(struct store *store, const struct store_job *job,
                   struct deepsad_error *error)
{
    struct store_job copy = *job;
    int status = sqlite_check_name(job->id, STORE_ID_MAX, "the job's id", error);
    return status == DEEPSAD_OK
               ? sqlite_writer_run(sqlite_store_of(store)->writer, put_job, &copy, error)
               : status;
}

static int copy_job(struct store_job *out, sqlite3_stmt *statement,
                    struct deepsad_error *error)
{
    bool complete = true;
    *out = (struct store_job){
        .created_at_ms = sqlite3_column_int64(statement, 3),
        .started_at_ms = sqlite3_column_int64(statement, 4),
        .finished_at_ms = sqlite3_column_int64(statement, 5),
        .journal_seq = sqlite3_column_int64(statement, 6),
        .version = (unsigned)sqlite3_column_int64(statement, 7),
        .detail = sqlite_copy_text(statement, 8, &complete),
    };
    sqlite_copy_id(out->id, sizeof out->id, statement, 0);
    sqlite_copy_id(out->model, sizeof out->model, statement, 1);
    sqlite_copy_id(out->state, sizeof out->state, statement, 2);
    return complete && out->detail != NULL ? DEEPSAD_OK : error_no_memory(error, "a job");
}

static int append_job(struct store_jobs *jobs, sqlite3_stmt *statement,
                      struct deepsad_error *error)
{
    if (!sqlite_grow((void **)&jobs->jobs, jobs->count, sizeof *jobs->jobs)) {
        return error_no_memory(error, "jobs");
    }
    int status = copy_job(&jobs->jobs[jobs->count], statement, error);
    jobs->count += status == DEEPSAD_OK;
    return status;
}

static int read_jobs(struct sqlite_store *self, struct store_jobs *out, const char *text,
                     const struct sqlite_value *values, struct deepsad_error *error)
{
    struct sqlite_db *db = NULL;
    sqlite3_stmt *statement = NULL;
    bool row = true;
    int status = sqlite_readers_take(self->readers, &db, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = sqlite_start_values(db, error, &statement, text, values);
    while (status == DEEPSAD_OK && row) {
        status = sqlite_step(db, error, statement, &row);
        if (status == DEEPSAD_OK && row) {
            status = append_job(out, statement, error);
        }
    }
    sqlite_end(statement);
    sqlite_readers_give(self->readers, db);
    if (status != DEEPSAD_OK) {
        store_jobs_done(out);
    }
    return status;
}

#define JOB_COLUMNS                                                                 \
    "id, model, state, created_at_ms, started_at_ms, finished_at_ms, journal_seq, " \
    "version, detail"

int sqlite_job_get(struct store *store, struct store_job *out, const char *id,
                   struct deepsad_error *error)
{
    struct store_jobs found = {0};
    const struct sqlite_value values[] = {SQL_TEXT(id), {.kind = SQLITE_VALUE_END}};
    int status =
        read_jobs(sqlite_store_of(store), &found,
                  "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1", values, error);
    if (status == DEEPSAD_OK && found.count == 0) {
        status = error_set(error, DEEPSAD_NOT_FOUND, "there is no job \"%s\"", id);
    }
    if (status == DEEPSAD_OK) {
        *out = found.jobs[0];
        free(found.jobs);
    }
    return status;
}

/* Unary + keeps a condition out of the choice of the index: the model's is best where a
 * model is named, and then the state's. */
static const char *jobs_text(const char *model, const char *state)
{
    if (model != NULL) {
        return "SELECT " JOB_COLUMNS " FROM job WHERE model = ?1"
               " AND (?2 IS NULL OR +state = ?2) AND (?3 IS NULL OR id < ?3)"
               " ORDER BY id DESC LIMIT ?4";
    }
    if (state != NULL) {
        return "SELECT " JOB_COLUMNS " FROM job WHERE ?1 IS NULL AND state = ?2"
               " AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4";
    }
    return "SELECT " JOB_COLUMNS " FROM job WHERE ?1 IS NULL AND ?2 IS NULL"
           " AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4";
}

int sqlite_jobs_list(struct store *store, struct store_jobs *out, const char *model,
                     const char *state, const char *before, size_t limit,
                     struct deepsad_error *error)
{
    struct store_jobs found = {0};
    int64_t most = limit > 0 && limit < INT64_MAX ? (int64_t)limit + 1 : -1;
    const struct sqlite_value values[] = {SQL_TEXT(model),
                                          SQL_TEXT(state),
                                          SQL_TEXT(before),
                                          SQL_INTEGER(most),
                                          {.kind = SQLITE_VALUE_END}};
    int status =
        read_jobs(sqlite_store_of(store), &found, jobs_text(model, state), values, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (limit > 0 && found.count > limit) {
        store_job_done(&found.jobs[--found.count]);
        found.more = true;
    }
    *out = found;
    return DEEPSAD_OK;
}

/* ---- Versions ---------------------------------------------------------------------- */

static int put_version(struct sqlite_db *db, void *argument, struct deepsad_error *error)
{
    const struct store_version *version = argument;
    return sqlite_run(
        db, error,
        "INSERT INTO version (model, number, parent, job, created_at_ms, detail)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (model, number) DO UPDATE SET"
        " parent = excluded.parent, job = excluded.job,"
        " created_at_ms = excluded.created_at_ms, detail = excluded.detail",
        SQL_TEXT(version->model), SQL_INTEGER(version->number),
        SQL_INTEGER(version->parent), SQL_TEXT(version->job),
        SQL_INTEGER(version->created_at_ms), SQL_TEXT(detail_or_empty(version->detail)));
}

int sqlite_version_put(struct store *store, const struct store_version *version,
                       struct deepsad_error *error)
{
    struct store_version copy = *version;
    int status =
        sqlite_check_name(version->model, STORE_MODEL_MAX, "the model's name", error);
    return status == DEEPSAD_OK ? sqlite_writer_run(sqlite_store_of(store)->writer,
                                                    put_version, &copy, error)
                                : status;
}

static int read_version(struct sqlite_db *db, struct store_version *out,
                        const char *model, unsigned number, struct deepsad_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = false, complete = true;
    int status = sqlite_start(db, error, &statement,
                              "SELECT parent, job, created_at_ms, detail FROM version"
                              " WHERE model = ?1 AND number = ?2",
                              SQL_TEXT(model), SQL_INTEGER(number));
    if (status == DEEPSAD_OK) {
        status = sqlite_step(db, error, statement, &row);
    }
    if (status == DEEPSAD_OK && !row) {
        status = error_set(error, DEEPSAD_NOT_FOUND,
                           "nothing is recorded of version %u "
                           "of model %s",
                           number, model);
    }
    if (status == DEEPSAD_OK) {
        out->number = number;
        out->parent = (unsigned)sqlite3_column_int64(statement, 0);
        sqlite_copy_id(out->job, sizeof out->job, statement, 1);
        out->created_at_ms = sqlite3_column_int64(statement, 2);
        out->detail = sqlite_copy_text(statement, 3, &complete);
        status = complete ? DEEPSAD_OK : error_no_memory(error, "a version");
    }
    sqlite_end(statement);
    return status;
}

int sqlite_version_get(struct store *store, struct store_version *out, const char *model,
                       unsigned number, struct deepsad_error *error)
{
    struct sqlite_readers *readers = sqlite_store_of(store)->readers;
    struct store_version found = {0};
    struct sqlite_db *db = NULL;
    int status = sqlite_readers_take(readers, &db, error);
    if (status == DEEPSAD_OK) {
        status = read_version(db, &found, model, number, error);
        sqlite_readers_give(readers, db);
    }
    if (status == DEEPSAD_OK) {
        snprintf(found.model, sizeof found.model, "%s", model);
        *out = found;
    }
    return status;
}
