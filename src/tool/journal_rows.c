/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/journal_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/identifier.h"
#include "base/utf8.h"
#include "data/field.h"
#include "tool/journal_csv.h"
#include "tool/journal_json.h"

enum { ROWS_FIRST = 64 };

const char *const journal_member_names[JOURNAL_MEMBERS] = {
    [JOURNAL_ID] = "label_id",
    [JOURNAL_SAMPLE_ID] = "sample_id",
    [JOURNAL_VERDICT] = "verdict",
    [JOURNAL_ANALYST] = "analyst",
    [JOURNAL_REASON] = "reason",
    [JOURNAL_NOTE] = "note",
    [JOURNAL_CREATED_AT] = "created_at",
    [JOURNAL_SUPERSEDES] = "supersedes",
    [JOURNAL_WITHDRAWN_AT] = "withdrawn_at",
};

enum journal_member journal_member_find(const char *name, size_t length)
{
    for (int i = 0; i < JOURNAL_MEMBERS; i++) {
        const char *member = journal_member_names[i];
        if (strlen(member) == length && memcmp(member, name, length) == 0) {
            return (enum journal_member)i;
        }
    }
    return JOURNAL_MEMBERS;
}

const char *journal_verdict_name(enum store_verdict verdict)
{
    return verdict == STORE_ANOMALOUS ? "anomalous"
           : verdict == STORE_NORMAL  ? "normal"
                                      : "unsure";
}

/* ---- Rows -------------------------------------------------------------------------- */

void journal_rows_init(struct journal_rows *rows, const char *path,
                       const struct deepsad_model *model)
{
    *rows = (struct journal_rows){.path = path, .model = model};
}

void journal_rows_done(struct journal_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        for (int j = 0; j < JOURNAL_MEMBERS; j++) {
            free(rows->rows[i].texts[j]);
        }
    }
    free(rows->rows);
    free(rows->x);
    *rows = (struct journal_rows){0};
}

static int grow(struct journal_rows *rows, struct deepsad_error *error)
{
    size_t capacity = rows->capacity == 0 ? ROWS_FIRST : 2 * rows->capacity;
    size_t features = deepsad_model_features(rows->model), values;
    struct journal_row *more = reallocarray(rows->rows, capacity, sizeof *more);
    if (more == NULL) {
        return error_no_memory(error, rows->path);
    }
    rows->rows = more;
    if (__builtin_mul_overflow(capacity, features, &values)) {
        return error_no_memory(error, rows->path);
    }
    float *x = reallocarray(rows->x, values, sizeof *x);
    if (x == NULL) {
        return error_no_memory(error, rows->path);
    }
    rows->x = x;
    rows->capacity = capacity;
    return DEEPSAD_OK;
}

int journal_rows_add(struct journal_rows *rows, size_t line, struct deepsad_error *error)
{
    if (rows->count == rows->capacity) {
        int status = grow(rows, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    rows->rows[rows->count] = (struct journal_row){.line = line};
    float *x = journal_rows_x(rows, rows->count);
    for (size_t j = 0; j < deepsad_model_features(rows->model); j++) {
        x[j] = NAN;
    }
    rows->count++;
    return DEEPSAD_OK;
}

/* ---- Members ----------------------------------------------------------------------- */

static int say_wrong(const struct journal_rows *rows, size_t column, const char *text,
                     size_t length, const char *expected, struct deepsad_error *error)
{
    char excerpt[FIELD_EXCERPT];
    field_excerpt(excerpt, text, length);
    return error_set(error, DEEPSAD_INVALID, "%s:%zu:%zu: expected %s, not \"%s\"",
                     rows->path, rows->rows[rows->count - 1].line, column, expected,
                     excerpt);
}

static int check_id(const struct journal_rows *rows, const char *text, size_t length,
                    size_t column, struct deepsad_error *error)
{
    return identifier_valid(text, length, STORE_ID_MAX)
               ? DEEPSAD_OK
               : say_wrong(rows, column, text, length,
                           "1 to 64 letters, digits or . _ : -", error);
}

/* What analysts write: UTF-8 without NUL, as the API takes it. */
static int check_text(const struct journal_rows *rows, const char *text, size_t length,
                      size_t column, enum journal_member member,
                      struct deepsad_error *error)
{
    if (length > JOURNAL_TEXT_MAX) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s:%zu:%zu: the %s has %zu bytes; the limit is %zu", rows->path,
                         rows->rows[rows->count - 1].line, column,
                         journal_member_names[member], length, (size_t)JOURNAL_TEXT_MAX);
    }
    for (size_t i = 0; i < length;) {
        size_t step = text[i] == '\0' ? 0 : utf8_length(text + i, length - i);
        if (step == 0) {
            return say_wrong(rows, column + i, text, length, "UTF-8 text", error);
        }
        i += step;
    }
    return DEEPSAD_OK;
}

static int take_verdict(struct journal_rows *rows, const char *text, size_t length,
                        size_t column, struct deepsad_error *error)
{
    static const enum store_verdict verdicts[] = {STORE_ANOMALOUS, STORE_UNSURE,
                                                  STORE_NORMAL};
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        const char *name = journal_verdict_name(verdicts[i]);
        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            rows->rows[rows->count - 1].verdict = verdicts[i];
            return DEEPSAD_OK;
        }
    }
    return say_wrong(rows, column, text, length, "normal, anomalous or unsure", error);
}

static int check_member(struct journal_rows *rows, enum journal_member member,
                        const char *text, size_t length, size_t column,
                        struct deepsad_error *error)
{
    switch (member) {
    case JOURNAL_ID:
    case JOURNAL_SAMPLE_ID:
        return check_id(rows, text, length, column, error);
    case JOURNAL_VERDICT:
        return take_verdict(rows, text, length, column, error);
    case JOURNAL_ANALYST:
    case JOURNAL_REASON:
    case JOURNAL_NOTE:
        return check_text(rows, text, length, column, member, error);
    case JOURNAL_CREATED_AT:
    case JOURNAL_SUPERSEDES:
    case JOURNAL_WITHDRAWN_AT:
    case JOURNAL_MEMBERS:
    default:
        return DEEPSAD_OK;
    }
}

int journal_rows_set(struct journal_rows *rows, enum journal_member member,
                     const char *text, size_t length, size_t column,
                     struct deepsad_error *error)
{
    if (length == 0) {
        return DEEPSAD_OK;
    }
    int status = check_member(rows, member, text, length, column, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    char *copy = strndup(text, length);
    if (copy == NULL) {
        return error_no_memory(error, rows->path);
    }
    rows->rows[rows->count - 1].texts[member] = copy;
    return DEEPSAD_OK;
}

int journal_rows_check(const struct journal_rows *rows, struct deepsad_error *error)
{
    const struct journal_row *row = &rows->rows[rows->count - 1];
    if (row->texts[JOURNAL_VERDICT] == NULL) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s:%zu:1: the verdict is missing; it is normal, anomalous or "
                         "unsure",
                         rows->path, row->line);
    }
    if (row->texts[JOURNAL_SAMPLE_ID] == NULL && !row->features) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s:%zu:1: of which sample? Give a sample_id or the features",
                         rows->path, row->line);
    }
    return DEEPSAD_OK;
}

/* ---- Files ------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

int journal_path_is_json(bool *json, const char *path, struct deepsad_error *error)
{
    *json = ends_with(path, ".jsonl");
    if (*json || ends_with(path, ".csv") || ends_with(path, ".csv.gz")) {
        return DEEPSAD_OK;
    }
    return error_set(error, DEEPSAD_INVALID,
                     "%s: labels are kept in files that end in .csv or .jsonl", path);
}

static int read_csv(struct journal_rows *rows, struct deepsad_error *error)
{
    struct stream stream;
    int status = stream_open(&stream, rows->path, error);
    if (status == DEEPSAD_OK) {
        status = journal_csv_read(rows, &stream, error);
        stream_close(&stream);
    }
    return status;
}

static int read_json(struct journal_rows *rows, struct deepsad_error *error)
{
    FILE *file = fopen(rows->path, "re");
    if (file == NULL) {
        return error_system(error, errno, "%s", rows->path);
    }
    int status = journal_json_read(rows, file, error);
    fclose(file);
    return status;
}

int journal_rows_read(struct journal_rows *rows, struct deepsad_error *error)
{
    bool json = false;
    int status = journal_path_is_json(&json, rows->path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    return json ? read_json(rows, error) : read_csv(rows, error);
}
