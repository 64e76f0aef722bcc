/* SPDX-License-Identifier: Apache-2.0 */
#include "api/label_rows.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/rows_nest.h"
#include "base/identifier.h"

const char *const label_verdict_names[] = {"normal", "anomalous", "unsure", NULL};
const enum store_verdict label_verdicts[] = {STORE_NORMAL, STORE_ANOMALOUS, STORE_UNSURE};

const char *label_verdict_name(enum store_verdict verdict)
{
    return verdict == STORE_NORMAL      ? "normal"
           : verdict == STORE_ANOMALOUS ? "anomalous"
                                        : "unsure";
}

void label_rows_done(struct label_rows *rows)
{
    free(rows->rows);
    free(rows->x);
    json_decref(rows->json);
    *rows = (struct label_rows){.count = 0};
}

/* ---- Faults ------------------------------------------------------------------------ */

struct reading {
    struct label_rows rows;
    const struct rows_columns *columns;
    const struct label_limits *limits;
    struct label_fault *fault;
    size_t index;                 /* of the label being read */
    char place[ROWS_POINTER_MAX]; /* in the array of its features: "/3/12", else "" */
};

/* A member's name as a part of a pointer (RFC 6901), cut to what fits. */
static void append_part(char *out, size_t size, const char *name)
{
    size_t used = strlen(out);
    out[used++] = '/';
    for (; *name != '\0' && used + 4 < size; name++) {
        if (*name == '~' || *name == '/') {
            out[used++] = '~';
            out[used++] = *name == '~' ? '0' : '1';
        } else {
            out[used++] = *name;
        }
    }
    out[used] = '\0';
}

/* At "#/labels/<index>/<member>/<name>", as far as they are given, and the place in an
 * array. Returns false. */
__attribute__((format(printf, 4, 5))) static bool fail_at(struct reading *reading,
                                                          const char *member,
                                                          const char *name,
                                                          const char *format, ...)
{
    struct label_fault *fault = reading->fault;
    va_list arguments;
    fault->status = 422;
    int used =
        snprintf(fault->detail, sizeof fault->detail, "label %zu: ", reading->index);
    va_start(arguments, format);
    vsnprintf(fault->detail + used, sizeof fault->detail - (size_t)used, format,
              arguments);
    va_end(arguments);
    snprintf(fault->pointer, sizeof fault->pointer, "#/labels/%zu", reading->index);
    const char *const parts[] = {member, name};
    for (size_t i = 0; i < 2 && parts[i] != NULL; i++) {
        append_part(fault->pointer, sizeof fault->pointer, parts[i]);
    }
    size_t end = strlen(fault->pointer);
    snprintf(fault->pointer + end, sizeof fault->pointer - end, "%s", reading->place);
    return false;
}

/* Of the body as a whole. Returns false. */
__attribute__((format(printf, 4, 5))) static bool fail_body(struct label_fault *fault,
                                                            unsigned status,
                                                            const char *pointer,
                                                            const char *format, ...)
{
    va_list arguments;
    fault->status = status;
    va_start(arguments, format);
    vsnprintf(fault->detail, sizeof fault->detail, format, arguments);
    va_end(arguments);
    snprintf(fault->pointer, sizeof fault->pointer, "%s", pointer);
    return false;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
        [JSON_STRING] = "a string",  [JSON_INTEGER] = "a number",
        [JSON_REAL] = "a number",    [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };
    return names[json_typeof(value)];
}

/* ---- Features ---------------------------------------------------------------------- */

/* `name`: of the column, as the body names it; NULL: its place in the array does. */
static bool read_cell(struct reading *reading, float *out, const json_t *value,
                      const char *name)
{
    const char *shown = name == NULL ? reading->place + 1 : name;
    if (json_is_null(value)) {
        *out = NAN;
        return true;
    }
    if (!json_is_number(value)) {
        return fail_at(reading, "features", name,
                       "feature %.60s: expected a number or null, found %s", shown,
                       type_name(value));
    }
    float number = (float)json_number_value(value);
    if (!isfinite(number)) {
        return fail_at(reading, "features", name,
                       "feature %.60s is outside the range of a float", shown);
    }
    *out = number;
    return true;
}

/* Channels, height and width of an image, or as many of the last of them; the number of
 * features where it is flat. */
struct sides {
    size_t count;
    size_t of[3];
};

static size_t volume(const size_t *sides, size_t count)
{
    return count == 0 ? 1 : sides[0] * volume(sides + 1, count - 1);
}

static bool fail_size(struct reading *reading, const json_t *values, bool nested,
                      const size_t *sides, size_t count)
{
    char shape[ROWS_SHAPE_MAX];
    if (!nested) {
        return fail_at(
            reading, "features", NULL,
            "%zu features, but the model has %zu; null stands for a missing one",
            json_array_size(values), sides[0]);
    }
    const char *elements = count == 1 ? "values" : count == 2 ? "lines" : "channels";
    rows_shape_print(shape, reading->columns);
    return fail_at(reading, "features", NULL,
                   "features%s: %zu %s, the model's images are %s", reading->place,
                   json_array_size(values), elements, shape);
}

/* The innermost arrays hold numbers, all others `sides->of` arrays, from `level` on. */
static bool read_values(struct reading *reading, float *x, const json_t *values,
                        const struct sides *sides, size_t level)
{
    const size_t *left = sides->of + level;
    size_t count = sides->count - level, step = volume(left + 1, count - 1);
    size_t used = strlen(reading->place);
    if (!json_is_array(values)) {
        return fail_at(reading, "features", NULL,
                       "features%s: expected an array, as before it, found %s",
                       reading->place, type_name(values));
    }
    if (json_array_size(values) != left[0]) {
        return fail_size(reading, values, sides->count > 1, left, count);
    }
    for (size_t i = 0; i < left[0]; i++) {
        const json_t *value = json_array_get(values, i);
        snprintf(reading->place + used, sizeof reading->place - used, "/%zu", i);
        if (!(count == 1 ? read_cell(reading, x + i, value, NULL)
                         : read_values(reading, x + i * step, value, sides, level + 1))) {
            return false;
        }
    }
    reading->place[used] = '\0';
    return true;
}

/* The first elements say how many dimensions the array has. */
static bool read_array(struct reading *reading, float *x, const json_t *values)
{
    const struct rows_columns *columns = reading->columns;
    const json_t *first = json_array_get(values, 0);
    struct sides flat = {1, {columns->count}},
                 plane = {2, {columns->height, columns->width}},
                 image = {3, {columns->channels, columns->height, columns->width}};
    if (columns->channels == 0 || !json_is_array(first)) {
        return read_values(reading, x, values, &flat, 0);
    }
    if (json_is_array(json_array_get(first, 0))) {
        return read_values(reading, x, values, &image, 0);
    }
    if (columns->channels > 1) {
        char shape[ROWS_SHAPE_MAX];
        rows_shape_print(shape, columns);
        return fail_at(reading, "features", NULL,
                       "features are an array of lines, the model's images are %s: send "
                       "an array of %zu such arrays, one for each channel",
                       shape, columns->channels);
    }
    return read_values(reading, x, values, &plane, 0);
}

static bool read_named(struct reading *reading, float *x, json_t *values)
{
    const struct rows_columns *columns = reading->columns;
    const char *name;
    json_t *value;
    for (size_t i = 0; i < columns->count; i++) {
        x[i] = NAN;
    }
    json_object_foreach(values, name, value)
    {
        size_t column = columns->index(columns->closure, name, strlen(name));
        if (column == SIZE_MAX) {
            return fail_at(reading, "features", name,
                           "\"%.60s\" is not one of the model's features", name);
        }
        if (!read_cell(reading, &x[column], value, name)) {
            return false;
        }
    }
    return true;
}

static bool read_features(struct reading *reading, struct label_row *row, json_t *values)
{
    struct label_rows *rows = &reading->rows;
    float *x = rows->x + rows->featured * reading->columns->count;
    bool fine;
    if (json_is_array(values)) {
        fine = read_array(reading, x, values);
    } else if (json_is_object(values)) {
        fine = read_named(reading, x, values);
    } else {
        fine = fail_at(reading, "features", NULL,
                       "features: expected an array or an object, found %s",
                       type_name(values));
    }
    row->x = x;
    rows->featured += fine;
    return fine;
}

/* ---- Members ----------------------------------------------------------------------- */

/* null is as good as nothing. */
static bool read_text(struct reading *reading, const char **out, const json_t *value,
                      const char *member)
{
    if (json_is_null(value)) {
        return true;
    }
    if (!json_is_string(value)) {
        return fail_at(reading, member, NULL, "%s: expected a string, found %s", member,
                       type_name(value));
    }
    size_t length = json_string_length(value);
    if (length == 0) {
        return fail_at(reading, member, NULL, "%s is empty; leave it out", member);
    }
    if (length > reading->limits->text) {
        return fail_at(reading, member, NULL,
                       "%s has %zu bytes; the limit is %zu (limits.label_text)", member,
                       length, reading->limits->text);
    }
    *out = json_string_value(value);
    return true;
}

static bool read_sample_id(struct reading *reading, struct label_row *row,
                           const json_t *value)
{
    if (!json_is_string(value)) {
        return fail_at(reading, "sample_id", NULL,
                       "sample_id: expected a string, found %s", type_name(value));
    }
    const char *text = json_string_value(value);
    if (!identifier_valid(text, json_string_length(value), STORE_ID_MAX)) {
        return fail_at(reading, "sample_id", NULL,
                       "sample_id is not 1 to %d letters, digits or . _ : -",
                       STORE_ID_MAX);
    }
    row->sample_id = text;
    return true;
}

static bool read_verdict(struct reading *reading, struct label_row *row,
                         const json_t *value)
{
    const char *text = json_string_value(value);
    if (text == NULL) {
        return fail_at(reading, "verdict", NULL, "verdict: expected a string, found %s",
                       type_name(value));
    }
    for (size_t i = 0; label_verdict_names[i] != NULL; i++) {
        if (strcmp(label_verdict_names[i], text) == 0) {
            row->verdict = label_verdicts[i];
            return true;
        }
    }
    return fail_at(reading, "verdict", NULL,
                   "verdict \"%.40s\" is not normal, anomalous or unsure", text);
}

static bool read_member(struct reading *reading, struct label_row *row, const char *name,
                        json_t *value)
{
    if (strcmp(name, "verdict") == 0) {
        return read_verdict(reading, row, value);
    }
    if (strcmp(name, "sample_id") == 0) {
        return read_sample_id(reading, row, value);
    }
    if (strcmp(name, "features") == 0) {
        return read_features(reading, row, value);
    }
    if (strcmp(name, "analyst") == 0) {
        return read_text(reading, &row->analyst, value, name);
    }
    if (strcmp(name, "reason") == 0) {
        return read_text(reading, &row->reason, value, name);
    }
    if (strcmp(name, "note") == 0) {
        return read_text(reading, &row->note, value, name);
    }
    return fail_at(reading, name, NULL,
                   "\"%.60s\" is not a member of a label; there are sample_id, features, "
                   "verdict, analyst, reason, note",
                   name);
}

static bool read_label(struct reading *reading, struct label_row *row, json_t *label)
{
    const char *name;
    json_t *value;
    if (!json_is_object(label)) {
        return fail_at(reading, NULL, NULL, "expected an object, found %s",
                       type_name(label));
    }
    json_object_foreach(label, name, value)
    {
        if (!read_member(reading, row, name, value)) {
            return false;
        }
    }
    if (json_object_get(label, "verdict") == NULL) {
        return fail_at(reading, "verdict", NULL, "verdict is missing");
    }
    if ((row->sample_id == NULL) == (row->x == NULL)) {
        return fail_at(reading, NULL, NULL,
                       row->x == NULL
                           ? "neither sample_id nor features names a sample"
                           : "both sample_id and features; one names a sample");
    }
    return true;
}

/* ---- The body ---------------------------------------------------------------------- */

static bool check_body(json_t *json, struct label_fault *fault)
{
    const char *name;
    json_t *value;
    if (!json_is_object(json)) {
        return fail_body(fault, 422, "#", "expected an object, found %s",
                         type_name(json));
    }
    json_object_foreach(json, name, value)
    {
        if (strcmp(name, "labels") != 0) {
            return fail_body(fault, 422, "#",
                             "\"%.60s\" is not a member of the body; there is labels",
                             name);
        }
    }
    const json_t *labels = json_object_get(json, "labels");
    if (!json_is_array(labels)) {
        return fail_body(fault, 422, "#/labels", "labels: expected an array%s%s",
                         labels == NULL ? "" : ", found ",
                         labels == NULL ? "" : type_name(labels));
    }
    if (json_array_size(labels) == 0) {
        return fail_body(fault, 422, "#/labels", "labels is empty");
    }
    return true;
}

/* A row of features may stand for more floats than the body has bytes. */
static size_t count_featured(const json_t *labels)
{
    size_t count = 0, index;
    json_t *label;
    json_array_foreach(labels, index, label)
    {
        count += json_object_get(label, "features") != NULL;
    }
    return count;
}

static bool reserve(struct reading *reading, const json_t *labels)
{
    const struct label_limits *limits = reading->limits;
    size_t count = json_array_size(labels), features = reading->columns->count;
    if (count > limits->labels) {
        return fail_body(reading->fault, 413, "#/labels",
                         "%zu labels; the limit of a request is %zu (limits.labels)",
                         count, limits->labels);
    }
    size_t featured = count_featured(labels);
    size_t row = features * sizeof(float);
    if (row > 0 && featured > limits->bytes / row) {
        return fail_body(reading->fault, 413, "#/labels",
                         "the features of %zu labels are more than the limit of %zu "
                         "bytes (limits.decoded)",
                         featured, limits->bytes);
    }
    reading->rows.rows = calloc(count, sizeof *reading->rows.rows);
    reading->rows.x = malloc(featured * row + 1);
    if (reading->rows.rows == NULL || reading->rows.x == NULL) {
        return fail_body(reading->fault, 500, "#", "out of memory for the labels");
    }
    reading->rows.count = count;
    return true;
}

bool label_rows_read(struct label_rows *out, json_t *json,
                     const struct rows_columns *columns,
                     const struct label_limits *limits, struct label_fault *fault)
{
    struct reading reading = {
        .rows = {.json = json}, .columns = columns, .limits = limits, .fault = fault};
    const json_t *labels = json_object_get(json, "labels");
    bool fine = check_body(json, fault) && reserve(&reading, labels);
    for (size_t i = 0; fine && i < reading.rows.count; i++) {
        reading.index = i;
        fine = read_label(&reading, &reading.rows.rows[i], json_array_get(labels, i));
    }
    if (!fine) {
        label_rows_done(&reading.rows);
        return false;
    }
    *out = reading.rows;
    return true;
}
