/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_retention.h"

/* The oldest are the first that came: samples are looked at in the order of seq, and one
 * with an older time behind a younger one waits for it. */
static int drop_oldest(struct sqlite_db *db, struct deepsad_error *error,
                       const char *model, int64_t count, int64_t before_ms, size_t *room)
{
    int status = sqlite_run(db, error,
                            "DELETE FROM sample WHERE seq IN (SELECT seq FROM sample"
                            " WHERE model = ?1 AND journaled = 0 ORDER BY seq LIMIT ?2)"
                            " AND scored_at_ms < ?3",
                            SQL_TEXT(model), SQL_INTEGER(count), SQL_INTEGER(before_ms));
    if (status == DEEPSAD_OK) {
        *room -= (size_t)sqlite3_changes(db->handle);
    }
    return status;
}

static int trim_model(struct sqlite_db *db, struct deepsad_error *error,
                      const struct store_retention *retention, const char *model,
                      int64_t loose, int64_t now_ms, size_t *room)
{
    int64_t excess = retention->samples > 0 ? loose - (int64_t)retention->samples : 0;
    int status = DEEPSAD_OK;
    if (excess > 0) {
        int64_t most = (int64_t)*room;
        status =
            drop_oldest(db, error, model, excess < most ? excess : most, INT64_MAX, room);
    }
    if (status == DEEPSAD_OK && retention->samples_age > 0) {
        status = drop_oldest(db, error, model, (int64_t)*room,
                             now_ms - (int64_t)(retention->samples_age * 1e3), room);
    }
    return status;
}

static int trim_samples(struct sqlite_db *db, struct deepsad_error *error,
                        const struct store_retention *retention, int64_t now_ms,
                        size_t *room)
{
    sqlite3_stmt *models = NULL;
    bool row = true;
    int status =
        sqlite_start(db, error, &models, "SELECT name, loose FROM model WHERE loose > ?1",
                     SQL_INTEGER(0));
    while (status == DEEPSAD_OK && *room > 0) {
        status = sqlite_step(db, error, models, &row);
        if (status != DEEPSAD_OK || !row) {
            break;
        }
        char model[STORE_MODEL_MAX + 1];
        sqlite_copy_id(model, sizeof model, models, 0);
        status = trim_model(db, error, retention, model, sqlite3_column_int64(models, 1),
                            now_ms, room);
    }
    sqlite_end(models);
    return status;
}

static int trim_keys(struct sqlite_db *db, struct deepsad_error *error,
                     const struct store_retention *retention, int64_t now_ms,
                     size_t *room)
{
    if (!(retention->idempotency_age > 0) || *room == 0) {
        return DEEPSAD_OK;
    }
    int status =
        sqlite_run(db, error,
                   "DELETE FROM idempotency WHERE rowid IN"
                   " (SELECT rowid FROM idempotency WHERE used_at_ms < ?1 LIMIT ?2)",
                   SQL_INTEGER(now_ms - (int64_t)(retention->idempotency_age * 1e3)),
                   SQL_INTEGER(*room));
    if (status == DEEPSAD_OK) {
        *room -= (size_t)sqlite3_changes(db->handle);
    }
    return status;
}

static int trim_jobs(struct sqlite_db *db, struct deepsad_error *error,
                     const struct store_retention *retention, size_t *room)
{
    if (retention->jobs == 0 || *room == 0) {
        return DEEPSAD_OK;
    }
    int status = sqlite_run(db, error,
                            "DELETE FROM job WHERE id IN (SELECT id FROM job"
                            " WHERE state NOT IN ('queued', 'running')"
                            " ORDER BY id DESC LIMIT ?1 OFFSET ?2)",
                            SQL_INTEGER(*room), SQL_INTEGER(retention->jobs));
    if (status == DEEPSAD_OK) {
        *room -= (size_t)sqlite3_changes(db->handle);
    }
    return status;
}

int sqlite_retention_bite(struct sqlite_db *db, const struct store_retention *retention,
                          int64_t now_ms, size_t bite, bool *more,
                          struct deepsad_error *error)
{
    size_t room = bite;
    int status = trim_samples(db, error, retention, now_ms, &room);
    if (status == DEEPSAD_OK) {
        status = trim_keys(db, error, retention, now_ms, &room);
    }
    if (status == DEEPSAD_OK) {
        status = trim_jobs(db, error, retention, &room);
    }
    if (status == DEEPSAD_OK) {
        *more = room == 0;
    }
    return status;
}
