/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts of a file, before they go into a store: what a row of CSV and a line of JSON
 * have in common. The members are those of the labels API; label_id and withdrawn_at come
 * from an export, so that importing it again doubles nothing.
 */
#ifndef TOOL_JOURNAL_ROWS_H
#define TOOL_JOURNAL_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "deepsad.h"
#include "store/store.h"

/* Members of a label that are not features, in the order of an export. */
enum journal_member {
    JOURNAL_ID,
    JOURNAL_SAMPLE_ID,
    JOURNAL_VERDICT,
    JOURNAL_ANALYST,
    JOURNAL_REASON,
    JOURNAL_NOTE,
    JOURNAL_CREATED_AT,
    JOURNAL_SUPERSEDES,
    JOURNAL_WITHDRAWN_AT,
    JOURNAL_MEMBERS,
};
extern const char *const journal_member_names[JOURNAL_MEMBERS];

enum { JOURNAL_TEXT_MAX = 1 << 16 }; /* bytes of analyst, reason, note, each */

/* JOURNAL_MEMBERS where there is none of that name. */
enum journal_member journal_member_find(const char *name, size_t length);

/* "anomalous", "unsure", "normal" */
const char *journal_verdict_name(enum store_verdict verdict);

struct journal_row {
    size_t line;                  /* of the file */
    char *texts[JOURNAL_MEMBERS]; /* NULL = none; owned */
    enum store_verdict verdict;
    bool features; /* it brings some */
};

/* Plain value. */
struct journal_rows {
    const char *path; /* borrowed, for messages */
    const struct deepsad_model *model;
    size_t count, capacity;
    struct journal_row *rows;
    float *x; /* (count, features of the model); NaN = missing */
};

void journal_rows_init(struct journal_rows *rows, const char *path,
                       const struct deepsad_model *model);
void journal_rows_done(struct journal_rows *rows);

/* A new last row, nothing in it, its features missing. */
int journal_rows_add(struct journal_rows *rows, size_t line, struct deepsad_error *error);

static inline float *journal_rows_x(struct journal_rows *rows, size_t row)
{
    return rows->x + row * deepsad_model_features(rows->model);
}

/* Checks a member's text and puts it into the last row; an empty one is none. `column` is
 * where it stands, from 1. */
int journal_rows_set(struct journal_rows *rows, enum journal_member member,
                     const char *text, size_t length, size_t column,
                     struct deepsad_error *error);

/* Whether the last row is whole: a verdict, and a sample_id or features. */
int journal_rows_check(const struct journal_rows *rows, struct deepsad_error *error);

/* Reads FILE.csv[.gz] or FILE.jsonl, every row checked; errors PATH:LINE:COLUMN. */
int journal_rows_read(struct journal_rows *rows, struct deepsad_error *error);

/* What the extension says: true JSON lines, false CSV; an error for any other. */
int journal_path_is_json(bool *json, const char *path, struct deepsad_error *error);

#endif
