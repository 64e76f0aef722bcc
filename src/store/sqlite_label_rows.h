/* SPDX-License-Identifier: Apache-2.0 */
/* Labels out of the database: one list of columns, whoever asks. */
#ifndef STORE_SQLITE_LABEL_ROWS_H
#define STORE_SQLITE_LABEL_ROWS_H

#include "store/sqlite_store.h"

/* j: the entry of the verdict, s: its sample, p: what it supersedes, w: its withdrawal,
 * f: it is in force, q: it is in quarantine. Column 14 is the sample's features. */
#define LABEL_COLUMNS                                                                \
    "SELECT j.seq, j.label_id, s.id, j.verdict, j.analyst, j.reason, j.note,"        \
    " p.label_id, j.created_at_ms, w.created_at_ms, j.ordinal, f.label IS NOT NULL," \
    " s.conflict, q.reason, s.x"
/* CROSS JOIN: in this order. */
#define LABEL_JOINS                                           \
    " CROSS JOIN sample s ON s.seq = j.sample"                \
    " LEFT JOIN journal p ON p.seq = j.target"                \
    " LEFT JOIN journal w ON w.target = j.seq AND w.kind = 1" \
    " LEFT JOIN quarantine q ON q.label = j.seq"
#define LABEL_SELECT \
    LABEL_COLUMNS " FROM journal j LEFT JOIN in_force f ON f.label = j.seq" LABEL_JOINS

/* Appends all rows of a statement that was started and selects LABEL_COLUMNS; the
 * features too if out->features > 0. Ends the statement. After a failure clear *out. */
int sqlite_append_labels(struct sqlite_db *db, struct store_labels *out,
                         sqlite3_stmt *statement, struct deepsad_error *error);

/* The `count` entries of the journal from `first` on, all of them verdicts. */
int sqlite_read_labels(struct sqlite_db *db, struct store_labels *out, int64_t first,
                       int64_t count, struct deepsad_error *error);

#endif
