/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/journal_json.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/number.h"

/* ---- Reading ----------------------------------------------------------------------- */

static size_t line_of(const struct journal_rows *rows)
{
    return rows->rows[rows->count - 1].line;
}

static int read_value(struct journal_rows *rows, size_t feature, const json_t *value,
                      struct deepsad_error *error)
{
    float *x = journal_rows_x(rows, rows->count - 1) + feature;
    if (json_is_null(value)) {
        return DEEPSAD_OK;
    }
    *x = (float)json_number_value(value);
    if (!json_is_number(value) || !isfinite(*x)) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s:%zu:1: feature \"%s\" is not a number within the range of a "
                         "float, nor null",
                         rows->path, line_of(rows),
                         deepsad_model_feature_name(rows->model, feature));
    }
    return DEEPSAD_OK;
}

static int read_array(struct journal_rows *rows, const json_t *array,
                      struct deepsad_error *error)
{
    size_t features = deepsad_model_features(rows->model), j;
    json_t *value;
    if (json_array_size(array) != features) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s:%zu:1: %zu features; the model has %zu", rows->path,
                         line_of(rows), json_array_size(array), features);
    }
    int status = DEEPSAD_OK;
    json_array_foreach(array, j, value)
    {
        if (status == DEEPSAD_OK) {
            status = read_value(rows, j, value, error);
        }
    }
    return status;
}

static int read_object(struct journal_rows *rows, json_t *object,
                       struct deepsad_error *error)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        size_t feature = deepsad_model_feature_index(rows->model, name, strlen(name));
        if (feature == SIZE_MAX) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s:%zu:1: the model has no feature \"%.100s\"", rows->path,
                             line_of(rows), name);
        }
        int status = read_value(rows, feature, value, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    return DEEPSAD_OK;
}

static int read_features(struct journal_rows *rows, json_t *features,
                         struct deepsad_error *error)
{
    rows->rows[rows->count - 1].features = true;
    if (json_is_array(features)) {
        return read_array(rows, features, error);
    }
    if (json_is_object(features)) {
        return read_object(rows, features, error);
    }
    return error_set(error, DEEPSAD_INVALID,
                     "%s:%zu:1: features are an array in the model's order, or an object "
                     "by name",
                     rows->path, line_of(rows));
}

static int read_member(struct journal_rows *rows, const char *name, json_t *value,
                       struct deepsad_error *error)
{
    enum journal_member member = journal_member_find(name, strlen(name));
    if (strcmp(name, "features") == 0) {
        return read_features(rows, value, error);
    }
    if (member == JOURNAL_MEMBERS) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s:%zu:1: a label has no member \"%.100s\"", rows->path,
                         line_of(rows), name);
    }
    if (json_is_null(value)) {
        return DEEPSAD_OK;
    }
    if (!json_is_string(value)) {
        return error_set(error, DEEPSAD_INVALID, "%s:%zu:1: %s is not a string",
                         rows->path, line_of(rows), name);
    }
    return journal_rows_set(rows, member, json_string_value(value),
                            json_string_length(value), 1, error);
}

static int read_line(struct journal_rows *rows, const char *text, size_t length,
                     size_t line, struct deepsad_error *error)
{
    json_error_t fault;
    bool no_memory;
    json_t *value, *object = json_parse_text(text, length, JSON_REJECT_DUPLICATES, &fault,
                                             &no_memory);
    const char *name;
    if (no_memory) {
        return error_no_memory(error, rows->path);
    }
    if (object == NULL) {
        return error_set(error, DEEPSAD_INVALID, "%s:%zu:%d: %s", rows->path, line,
                         fault.column < 1 ? 1 : fault.column, fault.text);
    }
    int status =
        json_is_object(object)
            ? journal_rows_add(rows, line, error)
            : error_set(error, DEEPSAD_INVALID,
                        "%s:%zu:1: expected an object on each line", rows->path, line);
    json_object_foreach(object, name, value)
    {
        if (status == DEEPSAD_OK) {
            status = read_member(rows, name, value, error);
        }
    }
    json_decref(object);
    return status == DEEPSAD_OK ? journal_rows_check(rows, error) : status;
}

int journal_json_read(struct journal_rows *rows, FILE *file, struct deepsad_error *error)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    int status = DEEPSAD_OK;
    for (size_t line = 1;
         status == DEEPSAD_OK && (length = getline(&text, &size, file)) >= 0; line++) {
        if (strspn(text, " \t\r\n") != (size_t)length) {
            status = read_line(rows, text, (size_t)length, line, error);
        }
    }
    if (status == DEEPSAD_OK && feof(file) == 0) {
        status = error_system(error, errno, "%s", rows->path);
    }
    free(text);
    return status;
}

/* ---- Writing ----------------------------------------------------------------------- */

static void append_member(struct buffer *out, const char *name, const char *text)
{
    if (text != NULL && *text != '\0') {
        buffer_printf(out, ",\"%s\":", name);
        buffer_append_json_string(out, text, strlen(text));
    }
}

static void append_time(struct buffer *out, const char *name, int64_t realtime_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    if (realtime_ms != 0) {
        clock_format_rfc3339(text, realtime_ms);
        append_member(out, name, text);
    }
}

static void append_value(struct buffer *out, float value)
{
    if (isnan(value)) {
        buffer_append_text(out, "null");
        return;
    }
    char *room = buffer_reserve(out, NUMBER_FLOAT_MAX);
    if (room != NULL) {
        out->length += number_format_float(room, value);
    }
}

void journal_json_append(struct buffer *out, const struct store_label *label,
                         const float *x, size_t features)
{
    buffer_printf(out, "{\"label_id\":\"%s\",\"sample_id\":\"%s\",\"verdict\":\"%s\"",
                  label->id, label->sample_id, journal_verdict_name(label->verdict));
    append_member(out, "analyst", label->analyst);
    append_member(out, "reason", label->reason);
    append_member(out, "note", label->note);
    append_time(out, "created_at", label->created_at_ms);
    append_member(out, "supersedes", label->supersedes);
    append_time(out, "withdrawn_at", label->withdrawn_at_ms);
    buffer_append_text(out, ",\"features\":[");
    for (size_t j = 0; j < features; j++) {
        buffer_append_text(out, j == 0 ? "" : ",");
        append_value(out, x[j]);
    }
    buffer_append_text(out, "]}\n");
}
