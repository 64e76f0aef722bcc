/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_label_lists.h"

#include <stdio.h>

#include "store/sqlite_label_rows.h"

/* ---- Lists ------------------------------------------------------------------------- */

enum { TEXT_SIZE = 2048 };

/* One condition decides which index is used, the most telling one that is given; unary +
 * keeps the others out of that choice. */
static void compose_list(char text[static TEXT_SIZE],
                         const struct store_label_filter *filter)
{
    bool by_label = filter->label_id != NULL;
    bool by_sample = filter->sample_id != NULL && !by_label;
    bool by_analyst = !by_sample && filter->analyst != NULL && !by_label;
    snprintf(text, TEXT_SIZE, "%s WHERE %sj.model = ?1 AND %sj.kind = 0%s%s%s%s%s%s",
             LABEL_SELECT, by_sample ? "+" : "", by_sample || by_analyst ? "+" : "",
             by_label ? " AND j.label_id = ?7" : " AND ?7 IS NULL",
             by_sample ? " AND j.sample = (SELECT seq FROM sample"
                         " WHERE model = ?1 AND id = ?2)"
                       : "",
             filter->analyst == NULL ? ""
             : by_analyst            ? " AND j.analyst = ?3"
                                     : " AND +j.analyst = ?3",
             filter->has_verdict ? " AND +j.verdict = ?4" : "",
             filter->in_force ? " AND f.label IS NOT NULL" : "",
             " AND j.seq < ?5 ORDER BY j.seq DESC LIMIT ?6");
}

static int list(struct sqlite_db *db, struct store_labels *out, const char *model,
                const struct store_label_filter *filter, struct deepsad_error *error)
{
    char text[TEXT_SIZE];
    sqlite3_stmt *statement = NULL;
    int64_t limit =
        filter->limit > 0 && filter->limit < INT64_MAX ? (int64_t)filter->limit + 1 : -1;
    const struct sqlite_value values[] = {
        SQL_TEXT(model),
        SQL_TEXT(filter->sample_id),
        SQL_TEXT(filter->analyst),
        SQL_INTEGER(filter->verdict),
        SQL_INTEGER(filter->before > 0 ? filter->before : INT64_MAX),
        SQL_INTEGER(limit),
        SQL_TEXT(filter->label_id),
        {.kind = SQLITE_VALUE_END}};
    compose_list(text, filter);
    if (sqlite3_prepare_v2(db->handle, text, -1, &statement, NULL) != SQLITE_OK) {
        return sqlite_fail(db, error);
    }
    int status = sqlite_bind(db, error, statement, values);
    if (status == DEEPSAD_OK) {
        status = sqlite_append_labels(db, out, statement, error);
    }
    sqlite3_finalize(statement);
    return status;
}

int sqlite_labels_list(struct store *store, struct store_labels *out, const char *model,
                       const struct store_label_filter *filter,
                       struct deepsad_error *error)
{
    struct sqlite_readers *readers = sqlite_store_of(store)->readers;
    struct store_labels found = {0};
    struct sqlite_db *db = NULL;
    int status = sqlite_readers_take(readers, &db, error);
    if (status == DEEPSAD_OK) {
        status = list(db, &found, model, filter, error);
        sqlite_readers_give(readers, db);
    }
    if (status != DEEPSAD_OK) {
        store_labels_done(&found);
        return status;
    }
    if (filter->limit > 0 && found.count > filter->limit) {
        found.more = true;
        store_label_done(&found.labels[--found.count]);
    }
    *out = found;
    return DEEPSAD_OK;
}

static int list_in_force(struct sqlite_db *db, struct store_labels *out,
                         const char *model, struct deepsad_error *error)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite_start(
        db, error, &statement,
        LABEL_COLUMNS
        " FROM in_force f CROSS JOIN journal j ON j.seq = f.label" LABEL_JOINS
        " WHERE f.model = ?1 AND s.features = ?2 ORDER BY f.label",
        SQL_TEXT(model), SQL_INTEGER(out->features));
    return status == DEEPSAD_OK ? sqlite_append_labels(db, out, statement, error)
                                : status;
}

int sqlite_labels_in_force(struct store *store, struct store_labels *out,
                           const char *model, size_t features,
                           struct deepsad_error *error)
{
    struct sqlite_readers *readers = sqlite_store_of(store)->readers;
    struct store_labels found = {.features = features};
    struct sqlite_db *db = NULL;
    int status = sqlite_readers_take(readers, &db, error);
    if (status == DEEPSAD_OK) {
        status = list_in_force(db, &found, model, error);
        sqlite_readers_give(readers, db);
    }
    if (status != DEEPSAD_OK) {
        store_labels_done(&found);
        return status;
    }
    *out = found;
    return DEEPSAD_OK;
}

/* ---- Counts ------------------------------------------------------------------------ */

static int count_verdicts(struct sqlite_db *db, struct store_counts *out,
                          const char *model, struct deepsad_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    int status = sqlite_start(db, error, &statement,
                              "SELECT verdict, count(*) FROM in_force WHERE model = ?1"
                              " GROUP BY verdict",
                              SQL_TEXT(model));
    while (status == DEEPSAD_OK && row) {
        status = sqlite_step(db, error, statement, &row);
        if (status == DEEPSAD_OK && row) {
            int verdict = sqlite3_column_int(statement, 0);
            size_t *count = verdict == STORE_NORMAL      ? &out->normal
                            : verdict == STORE_ANOMALOUS ? &out->anomalous
                                                         : &out->unsure;
            *count = (size_t)sqlite3_column_int64(statement, 1);
        }
    }
    sqlite_end(statement);
    return status;
}

static int count_others(struct sqlite_db *db, struct store_counts *out, const char *model,
                        struct deepsad_error *error)
{
    int64_t conflicts = 0, quarantined = 0, samples = 0;
    int status = sqlite_get(db, error, &conflicts,
                            "SELECT count(*) FROM sample WHERE model = ?1"
                            " AND conflict = 1",
                            SQL_TEXT(model));
    if (status == DEEPSAD_OK) {
        status = sqlite_get(db, error, &quarantined,
                            "SELECT count(*) FROM quarantine WHERE model = ?1",
                            SQL_TEXT(model));
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_get(db, error, &samples,
                            "SELECT samples FROM model WHERE name = ?1", SQL_TEXT(model));
    }
    if (status == DEEPSAD_OK) {
        status =
            sqlite_get(db, error, &out->last_seq,
                       "SELECT max(seq) FROM journal WHERE model = ?1", SQL_TEXT(model));
    }
    out->conflicts = (size_t)conflicts;
    out->quarantined = (size_t)quarantined;
    out->samples = (size_t)samples;
    return status;
}

int sqlite_counts(struct store *store, struct store_counts *out, const char *model,
                  struct deepsad_error *error)
{
    struct sqlite_readers *readers = sqlite_store_of(store)->readers;
    struct store_counts found = {0};
    struct sqlite_db *db = NULL;
    int status = sqlite_readers_take(readers, &db, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = count_verdicts(db, &found, model, error);
    if (status == DEEPSAD_OK) {
        status = count_others(db, &found, model, error);
    }
    sqlite_readers_give(readers, db);
    if (status == DEEPSAD_OK) {
        *out = found;
    }
    return status;
}

int sqlite_changes(struct store *store, size_t *count, const char *model, int64_t after,
                   struct deepsad_error *error)
{
    struct sqlite_readers *readers = sqlite_store_of(store)->readers;
    struct sqlite_db *db = NULL;
    int64_t found = 0;
    int status = sqlite_readers_take(readers, &db, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = sqlite_get(db, error, &found,
                        "SELECT count(*) FROM journal"
                        " WHERE model = ?1 AND changes = 1 AND seq > ?2",
                        SQL_TEXT(model), SQL_INTEGER(after));
    sqlite_readers_give(readers, db);
    if (status == DEEPSAD_OK) {
        *count = (size_t)found;
    }
    return status;
}
