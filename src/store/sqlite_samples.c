/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_samples.h"

#include <stdlib.h>
#include <string.h>

/* ---- Keeping ----------------------------------------------------------------------- */

/* A copy of struct store_keep in one block: this, then what the pointers point to. */
struct kept {
    struct store_keep rows;
    float *x, *scores, *p_values; /* of rows, to be filled */
    const char **ids;
    char *text;
};

/* Bytes of a copy; 0 where that many cannot be. */
static size_t copy_size(const struct store_keep *rows)
{
    size_t values = 0, size = sizeof(struct kept) + strlen(rows->model) + 1;
    if (__builtin_mul_overflow(rows->count, rows->features + 2, &values) ||
        values > SIZE_MAX / 4 / sizeof(float) ||
        rows->count > SIZE_MAX / 4 / sizeof(char *)) {
        return 0;
    }
    size += values * sizeof(float) + rows->count * sizeof(char *);
    for (size_t i = 0; i < rows->count; i++) {
        size += strlen(rows->ids[i]) + 1;
    }
    return size;
}

static char *place_text(struct kept *kept, const char *text)
{
    size_t size = strlen(text) + 1;
    char *place = memcpy(kept->text, text, size);
    kept->text += size;
    return place;
}

static struct kept *copy_rows(const struct store_keep *rows, size_t size)
{
    struct kept *kept = size > 0 ? malloc(size) : NULL;
    if (kept == NULL) {
        return NULL;
    }
    size_t count = rows->count;
    kept->ids = (const char **)(kept + 1); /* aligned as the struct is */
    void *values = kept->ids + count;
    kept->scores = values;
    kept->p_values = kept->scores + count;
    kept->x = kept->p_values + count;
    kept->text = (char *)(kept->x + count * rows->features);
    memcpy(kept->scores, rows->scores, count * sizeof(float));
    memcpy(kept->p_values, rows->p_values, count * sizeof(float));
    memcpy(kept->x, rows->x, count * rows->features * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        kept->ids[i] = place_text(kept, rows->ids[i]);
    }
    kept->rows = *rows;
    kept->rows.model = place_text(kept, rows->model);
    kept->rows.ids = kept->ids;
    kept->rows.x = kept->x;
    kept->rows.scores = kept->scores;
    kept->rows.p_values = kept->p_values;
    return kept;
}

/* *inserted: false where there is one of that id. */
static int insert_sample(struct sqlite_db *db, const struct store_keep *rows, size_t i,
                         bool *inserted, struct deepsad_error *error)
{
    int status = sqlite_run(
        db, error,
        "INSERT INTO sample (model, id, scored_at_ms, version, score, p_value, features, "
        "x)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (model, id) DO NOTHING",
        SQL_TEXT(rows->model), SQL_TEXT(rows->ids[i]), SQL_INTEGER(rows->scored_at_ms),
        SQL_INTEGER(rows->version), SQL_REAL(rows->scores[i]),
        SQL_REAL(rows->p_values[i]), SQL_INTEGER(rows->features),
        SQL_BLOB(rows->x + i * rows->features, rows->features * sizeof(float)));
    *inserted = status == DEEPSAD_OK && sqlite3_changes(db->handle) > 0;
    return status;
}

static int keep_sample(struct sqlite_db *db, const struct store_keep *rows, size_t i,
                       struct deepsad_error *error)
{
    bool inserted = false;
    int status = insert_sample(db, rows, i, &inserted, error);
    if (status != DEEPSAD_OK || inserted) {
        return status;
    }
    status = sqlite_run(db, error,
                        "DELETE FROM sample WHERE model = ?1 AND id = ?2"
                        " AND journaled = 0",
                        SQL_TEXT(rows->model), SQL_TEXT(rows->ids[i]));
    return status == DEEPSAD_OK ? insert_sample(db, rows, i, &inserted, error) : status;
}

static int keep_work(struct sqlite_db *db, void *argument, struct deepsad_error *error)
{
    const struct store_keep *rows = &((struct kept *)argument)->rows;
    int status = DEEPSAD_OK;
    for (size_t i = 0; status == DEEPSAD_OK && i < rows->count; i++) {
        status = keep_sample(db, rows, i, error);
    }
    return status;
}

bool sqlite_keep(struct store *store, const struct store_keep *rows)
{
    struct sqlite_writer *writer = sqlite_store_of(store)->writer;
    if (rows->count == 0) {
        return true;
    }
    size_t size = copy_size(rows);
    struct kept *kept = copy_rows(rows, size);
    if (kept == NULL) {
        sqlite_writer_count_dropped(writer, rows->count);
        return false;
    }
    return sqlite_writer_post(writer, keep_work, kept, size, rows->count);
}

/* ---- Reading ----------------------------------------------------------------------- */

#define SAMPLE_COLUMNS "seq, id, scored_at_ms, version, score, p_value, features, x"

int sqlite_copy_features(float *out, size_t features, sqlite3_stmt *statement, int column,
                         struct deepsad_error *error)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    if (size != features * sizeof(float) || (bytes == NULL && size > 0)) {
        return error_set(error, DEEPSAD_IO,
                         "the label store is damaged: a sample of %zu features has %zu "
                         "bytes",
                         features, size);
    }
    if (size > 0) {
        memcpy(out, bytes, size);
    }
    return DEEPSAD_OK;
}

static int append_sample(struct store_samples *samples, sqlite3_stmt *statement,
                         struct deepsad_error *error)
{
    size_t count = samples->count, features = samples->features;
    if (!sqlite_grow((void **)&samples->samples, count, sizeof *samples->samples) ||
        features > SIZE_MAX / sizeof(float) ||
        !sqlite_grow((void **)&samples->x, count, features * sizeof(float))) {
        return error_no_memory(error, "samples");
    }
    struct store_sample *sample = &samples->samples[count];
    sample->seq = sqlite3_column_int64(statement, 0);
    sqlite_copy_id(sample->id, sizeof sample->id, statement, 1);
    sample->scored_at_ms = sqlite3_column_int64(statement, 2);
    sample->version = (unsigned)sqlite3_column_int64(statement, 3);
    sample->score = sqlite_real(statement, 4);
    sample->p_value = sqlite_real(statement, 5);
    int status = sqlite_copy_features(samples->x + count * features, features, statement,
                                      7, error);
    samples->count += status == DEEPSAD_OK;
    return status;
}

static int read_one(struct sqlite_db *db, struct store_samples *out, const char *model,
                    const char *id, struct deepsad_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    int status =
        sqlite_start(db, error, &statement,
                     "SELECT " SAMPLE_COLUMNS " FROM sample WHERE model = ?1 AND id = ?2",
                     SQL_TEXT(model), SQL_TEXT(id));
    if (status == DEEPSAD_OK) {
        status = sqlite_step(db, error, statement, &row);
    }
    if (status == DEEPSAD_OK && row) {
        out->features = (size_t)sqlite3_column_int64(statement, 6);
        status = append_sample(out, statement, error);
    }
    sqlite_end(statement);
    return status;
}

static int look_up(struct sqlite_store *self, struct store_samples *out,
                   const char *model, const char *id, struct deepsad_error *error)
{
    struct sqlite_db *db = NULL;
    int status = sqlite_readers_take(self->readers, &db, error);
    if (status == DEEPSAD_OK) {
        status = read_one(db, out, model, id, error);
        sqlite_readers_give(self->readers, db);
    }
    return status;
}

int sqlite_sample_get(struct store *store, struct store_samples *out, const char *model,
                      const char *id, struct deepsad_error *error)
{
    struct sqlite_store *self = sqlite_store_of(store);
    struct store_samples found = {0};
    int status = look_up(self, &found, model, id, error);
    if (status == DEEPSAD_OK && found.count == 0) {
        sqlite_writer_flush(self->writer); /* it may have been kept just now */
        status = look_up(self, &found, model, id, error);
    }
    if (status == DEEPSAD_OK && found.count == 0) {
        status = error_set(error, DEEPSAD_NOT_FOUND,
                           "sample \"%s\" is not kept for model %s", id, model);
    }
    if (status != DEEPSAD_OK) {
        store_samples_done(&found);
        return status;
    }
    *out = found;
    return DEEPSAD_OK;
}

static int read_newest(struct sqlite_db *db, struct store_samples *out, const char *model,
                       const char *text, size_t limit, struct deepsad_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    int64_t most = limit < INT64_MAX ? (int64_t)limit : INT64_MAX;
    const struct sqlite_value values[] = {SQL_TEXT(model),
                                          SQL_INTEGER(out->features),
                                          SQL_INTEGER(most),
                                          {.kind = SQLITE_VALUE_END}};
    int status = sqlite_start_values(db, error, &statement, text, values);
    while (status == DEEPSAD_OK && row) {
        status = sqlite_step(db, error, statement, &row);
        if (status == DEEPSAD_OK && row) {
            status = append_sample(out, statement, error);
        }
    }
    sqlite_end(statement);
    return status;
}

#define NEWEST(journaled, condition)                                           \
    "SELECT " SAMPLE_COLUMNS " FROM sample WHERE model = ?1 AND features = ?2" \
    " AND journaled = " journaled condition

int sqlite_samples_list(struct store *store, struct store_samples *out, const char *model,
                        size_t features, enum store_select select, size_t limit,
                        struct deepsad_error *error)
{
    /* Two lists, each in the order of its index, are merged. */
    static const char ALL[] =
        NEWEST("0", "") " UNION ALL " NEWEST("1", "") " ORDER BY seq DESC LIMIT ?3";
    static const char UNLABELED[] = NEWEST("0", "") " UNION ALL " NEWEST(
        "1", " AND labels = 0 AND brought = 0") " ORDER BY seq DESC LIMIT ?3";
    struct sqlite_readers *readers = sqlite_store_of(store)->readers;
    sqlite_writer_flush(sqlite_store_of(store)->writer); /* what was kept just now, too */
    struct store_samples found = {.features = features};
    struct sqlite_db *db = NULL;
    int status = sqlite_readers_take(readers, &db, error);
    if (status == DEEPSAD_OK) {
        status = read_newest(db, &found, model, select == STORE_ALL ? ALL : UNLABELED,
                             limit, error);
        sqlite_readers_give(readers, db);
    }
    if (status != DEEPSAD_OK) {
        store_samples_done(&found);
        return status;
    }
    *out = found;
    return DEEPSAD_OK;
}
