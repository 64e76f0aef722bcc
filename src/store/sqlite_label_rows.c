/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_label_rows.h"

#include <stdlib.h>

#include "store/sqlite_samples.h"

static bool copy_label(struct store_label *out, sqlite3_stmt *statement)
{
    bool complete = true;
    *out = (struct store_label){
        .seq = sqlite3_column_int64(statement, 0),
        .verdict = (enum store_verdict)sqlite3_column_int(statement, 3),
        .analyst = sqlite_copy_text(statement, 4, &complete),
        .reason = sqlite_copy_text(statement, 5, &complete),
        .note = sqlite_copy_text(statement, 6, &complete),
        .created_at_ms = sqlite3_column_int64(statement, 8),
        .withdrawn_at_ms = sqlite3_column_int64(statement, 9),
        .ordinal = (uint32_t)sqlite3_column_int64(statement, 10),
        .in_force = sqlite3_column_int(statement, 11) != 0,
        .conflict = sqlite3_column_int(statement, 12) != 0,
        .quarantine = sqlite_copy_text(statement, 13, &complete),
    };
    sqlite_copy_id(out->id, sizeof out->id, statement, 1);
    sqlite_copy_id(out->sample_id, sizeof out->sample_id, statement, 2);
    sqlite_copy_id(out->supersedes, sizeof out->supersedes, statement, 7);
    return complete;
}

static int append(struct store_labels *labels, sqlite3_stmt *statement,
                  struct deepsad_error *error)
{
    size_t count = labels->count, features = labels->features;
    if (!sqlite_grow((void **)&labels->labels, count, sizeof *labels->labels)) {
        return error_no_memory(error, "labels");
    }
    if (features > 0) {
        if (features > SIZE_MAX / sizeof(float) ||
            !sqlite_grow((void **)&labels->x, count, features * sizeof(float))) {
            return error_no_memory(error, "the samples of labels");
        }
        int status = sqlite_copy_features(labels->x + count * features, features,
                                          statement, 14, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    labels->count++;
    return copy_label(&labels->labels[count], statement)
               ? DEEPSAD_OK
               : error_no_memory(error, "the texts of a label");
}

int sqlite_append_labels(struct sqlite_db *db, struct store_labels *out,
                         sqlite3_stmt *statement, struct deepsad_error *error)
{
    bool row = true;
    int status = DEEPSAD_OK;
    while (status == DEEPSAD_OK && row) {
        status = sqlite_step(db, error, statement, &row);
        if (status == DEEPSAD_OK && row) {
            status = append(out, statement, error);
        }
    }
    sqlite_end(statement);
    return status;
}

int sqlite_read_labels(struct sqlite_db *db, struct store_labels *out, int64_t first,
                       int64_t count, struct deepsad_error *error)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite_start(db, error, &statement,
                              LABEL_SELECT " WHERE j.seq BETWEEN ?1 AND ?2 AND j.kind = 0"
                                           " ORDER BY j.seq",
                              SQL_INTEGER(first), SQL_INTEGER(first + count - 1));
    return status == DEEPSAD_OK ? sqlite_append_labels(db, out, statement, error)
                                : status;
}
