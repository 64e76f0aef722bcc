/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/journal_csv.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/number.h"
#include "data/column.h"
#include "data/field.h"

/* What a column holds: a member of a label, or feature number `use` - JOURNAL_MEMBERS. */
struct journal_csv {
    struct journal_rows *rows;
    struct field_reader reader;
    size_t *uses; /* (count) */
    size_t count, capacity;
};

/* ---- The header -------------------------------------------------------------------- */

static int say_unknown(const struct journal_csv *csv, const struct field *field,
                       struct deepsad_error *error)
{
    const struct deepsad_model *model = csv->rows->model;
    char name[FIELD_EXCERPT];
    field_excerpt(name, field->text, field->length);
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < JOURNAL_MEMBERS; i++) {
        nearest_try(&nearest, journal_member_names[i]);
    }
    for (size_t i = 0; i < deepsad_model_features(model); i++) {
        nearest_try(&nearest, deepsad_model_feature_name(model, i));
    }
    return error_set(error, DEEPSAD_INVALID,
                     "%s:%zu:%zu: column \"%s\" is neither a feature of the model nor a "
                     "member of a label%s%s%s; the first row names the columns",
                     csv->rows->path, field->line, field->column, name,
                     nearest.best != NULL ? " (did you mean " : "",
                     nearest.best != NULL ? nearest.best : "",
                     nearest.best != NULL ? "?)" : "");
}

static int find_use(size_t *use, const struct journal_csv *csv, const struct field *field,
                    struct deepsad_error *error)
{
    enum journal_member member = journal_member_find(field->text, field->length);
    size_t feature =
        deepsad_model_feature_index(csv->rows->model, field->text, field->length);
    if (member == JOURNAL_MEMBERS && feature == SIZE_MAX) {
        return say_unknown(csv, field, error);
    }
    *use = member != JOURNAL_MEMBERS ? (size_t)member : JOURNAL_MEMBERS + feature;
    for (size_t i = 0; i < csv->count; i++) {
        if (csv->uses[i] == *use) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s:%zu:%zu: the column \"%.*s\" is "
                             "there twice",
                             csv->rows->path, field->line, field->column,
                             (int)field->length, field->text);
        }
    }
    return DEEPSAD_OK;
}

static int add_column(struct journal_csv *csv, const struct field *field,
                      struct deepsad_error *error)
{
    size_t use = 0;
    int status = find_use(&use, csv, field, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (csv->count == csv->capacity) {
        size_t capacity = csv->capacity == 0 ? 32 : 2 * csv->capacity;
        size_t *uses = reallocarray(csv->uses, capacity, sizeof *uses);
        if (uses == NULL) {
            return error_no_memory(error, csv->rows->path);
        }
        csv->uses = uses;
        csv->capacity = capacity;
    }
    csv->uses[csv->count++] = use;
    return DEEPSAD_OK;
}

/* All features or none: a value that is not there would be a missing one, unasked. */
static int check_header(const struct journal_csv *csv, struct deepsad_error *error)
{
    const struct deepsad_model *model = csv->rows->model;
    size_t features = 0;
    for (size_t i = 0; i < csv->count; i++) {
        features += csv->uses[i] >= JOURNAL_MEMBERS;
    }
    for (size_t j = 0; features > 0 && j < deepsad_model_features(model); j++) {
        size_t i = 0;
        while (i < csv->count && csv->uses[i] != JOURNAL_MEMBERS + j) {
            i++;
        }
        if (i == csv->count) {
            return error_set(
                error, DEEPSAD_INVALID,
                "%s:1:1: there is no column for the feature \"%s\"; give all "
                "of the model's features, or none and the column sample_id",
                csv->rows->path, deepsad_model_feature_name(model, j));
        }
    }
    return DEEPSAD_OK;
}

static int read_header(struct journal_csv *csv, struct deepsad_error *error)
{
    bool more = false;
    struct field field = {0};
    int status = field_reader_more(&csv->reader, &more, error);
    if (status == DEEPSAD_OK && !more) {
        return error_set(error, DEEPSAD_INVALID, "%s: the file is empty",
                         csv->rows->path);
    }
    while (status == DEEPSAD_OK && !field.last) {
        status = field_reader_next(&csv->reader, &field, error);
        if (status == DEEPSAD_OK) {
            status = add_column(csv, &field, error);
        }
    }
    return status == DEEPSAD_OK ? check_header(csv, error) : status;
}

/* ---- Rows -------------------------------------------------------------------------- */

static int read_feature(struct journal_csv *csv, size_t feature,
                        const struct field *field, struct deepsad_error *error)
{
    struct journal_rows *rows = csv->rows;
    float *value = journal_rows_x(rows, rows->count - 1) + feature;
    if (column_parse_value(value, field->text, field->length) && !isinf(*value)) {
        rows->rows[rows->count - 1].features |= field->length > 0;
        return DEEPSAD_OK;
    }
    char excerpt[FIELD_EXCERPT];
    field_excerpt(excerpt, field->text, field->length);
    return error_set(error, DEEPSAD_INVALID,
                     "%s:%zu:%zu: \"%s\" of feature \"%s\" is not a number within the "
                     "range of a float",
                     rows->path, field->line, field->column, excerpt,
                     deepsad_model_feature_name(rows->model, feature));
}

static int check_width(const struct journal_csv *csv, size_t line, size_t column,
                       bool last, struct deepsad_error *error)
{
    if (last == (column + 1 == csv->count)) {
        return DEEPSAD_OK;
    }
    return error_set(error, DEEPSAD_INVALID,
                     "%s:%zu:1: the row has %s%zu fields, the first row has %zu; quote "
                     "fields that hold commas",
                     csv->rows->path, line, last ? "" : "more than ", column + 1,
                     csv->count);
}

static int read_row(struct journal_csv *csv, struct deepsad_error *error)
{
    size_t line = csv->reader.line;
    int status = journal_rows_add(csv->rows, line, error);
    for (size_t i = 0; i < csv->count && status == DEEPSAD_OK; i++) {
        struct field field = {0};
        status = field_reader_next(&csv->reader, &field, error);
        if (status == DEEPSAD_OK) {
            size_t use = csv->uses[i];
            status = use < JOURNAL_MEMBERS
                         ? journal_rows_set(csv->rows, (enum journal_member)use,
                                            field.text, field.length, field.column, error)
                         : read_feature(csv, use - JOURNAL_MEMBERS, &field, error);
        }
        if (status == DEEPSAD_OK) {
            status = check_width(csv, line, i, field.last, error);
        }
    }
    return status == DEEPSAD_OK ? journal_rows_check(csv->rows, error) : status;
}

static int read_all(struct journal_csv *csv, struct deepsad_error *error)
{
    bool more = true;
    int status = read_header(csv, error);
    while (status == DEEPSAD_OK) {
        status = field_reader_more(&csv->reader, &more, error);
        if (status != DEEPSAD_OK || !more) {
            break;
        }
        status = read_row(csv, error);
    }
    return status;
}

int journal_csv_read(struct journal_rows *rows, struct stream *stream,
                     struct deepsad_error *error)
{
    struct journal_csv csv = {.rows = rows};
    int status = field_reader_init(&csv.reader, stream, error);
    if (status == DEEPSAD_OK) {
        status = read_all(&csv, error);
        field_reader_done(&csv.reader);
    }
    free(csv.uses);
    return status;
}

/* ---- Writing ----------------------------------------------------------------------- */

int journal_csv_check_names(const struct deepsad_model *model,
                            struct deepsad_error *error)
{
    for (size_t j = 0; j < deepsad_model_features(model); j++) {
        const char *name = deepsad_model_feature_name(model, j);
        if (journal_member_find(name, strlen(name)) != JOURNAL_MEMBERS) {
            return error_set(error, DEEPSAD_INVALID,
                             "a feature of the model is called \"%s\", as is a column of "
                             "the labels; write a .jsonl file",
                             name);
        }
    }
    return DEEPSAD_OK;
}

/* Quoted always: a leading blank, a comma, a line end all stay what they are. */
static void append_text(struct buffer *out, const char *text)
{
    if (text == NULL || *text == '\0') {
        return;
    }
    buffer_append(out, "\"", 1);
    for (const char *c = text; *c != '\0'; c++) {
        buffer_append(out, c, 1);
        if (*c == '"') {
            buffer_append(out, c, 1);
        }
    }
    buffer_append(out, "\"", 1);
}

static void append_time(struct buffer *out, int64_t realtime_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    if (realtime_ms != 0) {
        clock_format_rfc3339(text, realtime_ms);
        buffer_append_text(out, text);
    }
}

void journal_csv_header(struct buffer *out, const struct deepsad_model *model)
{
    for (size_t i = 0; i < JOURNAL_MEMBERS; i++) {
        buffer_printf(out, "%s%s", i == 0 ? "" : ",", journal_member_names[i]);
    }
    for (size_t j = 0; j < deepsad_model_features(model); j++) {
        buffer_append(out, ",", 1);
        append_text(out, deepsad_model_feature_name(model, j));
    }
    buffer_append(out, "\n", 1);
}

static void append_values(struct buffer *out, const float *x, size_t features)
{
    for (size_t j = 0; j < features; j++) {
        buffer_append(out, ",", 1);
        char *room = isnan(x[j]) ? NULL : buffer_reserve(out, NUMBER_FLOAT_MAX);
        if (room != NULL) {
            out->length += number_format_float(room, x[j]);
        }
    }
    buffer_append(out, "\n", 1);
}

void journal_csv_append(struct buffer *out, const struct store_label *label,
                        const float *x, size_t features)
{
    buffer_printf(out, "%s,%s,%s,", label->id, label->sample_id,
                  journal_verdict_name(label->verdict));
    append_text(out, label->analyst);
    buffer_append(out, ",", 1);
    append_text(out, label->reason);
    buffer_append(out, ",", 1);
    append_text(out, label->note);
    buffer_append(out, ",", 1);
    append_time(out, label->created_at_ms);
    buffer_printf(out, ",%s,", label->supersedes);
    append_time(out, label->withdrawn_at_ms);
    append_values(out, x, features);
}
