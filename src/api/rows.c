/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rows.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/rows_nest.h"
#include "base/identifier.h"

enum { ROWS_FLOATS_MIN = 1024, ROWS_IDS_MIN = 64, QUOTED_MAX = 80 };

bool rows_fail(struct rows *rows, unsigned status, const char *pointer,
               const char *format, ...)
{
    struct rows_fault *fault = &rows->fault;
    if (fault->status != 0) {
        return false;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->detail, sizeof fault->detail, format, arguments);
    va_end(arguments);
    fault->status = status;
    snprintf(fault->pointer, sizeof fault->pointer, "%s", pointer);
    return false;
}

static bool fail_memory(struct rows *rows)
{
    return rows_fail(rows, 500, "", "out of memory for the rows");
}

void rows_pointer(char out[static ROWS_POINTER_MAX], size_t row)
{
    snprintf(out, ROWS_POINTER_MAX, "#/samples/%zu", row);
}

/* Escapes of JSON pointers (RFC 6901), then of URI fragments. */
static void append_pointer_text(char *out, size_t size, const char *name, size_t length)
{
    size_t used = strlen(out);
    for (size_t i = 0; i < length && used + 4 < size; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c == '~' || c == '/') {
            used += (size_t)snprintf(out + used, size - used, "~%d", c == '/');
        } else if (c < 0x80 && (isalnum(c) || strchr("-._!$&'()*+,;=:@", c) != NULL)) {
            out[used++] = (char)c;
        } else {
            used += (size_t)snprintf(out + used, size - used, "%%%02X", c);
        }
    }
    out[used] = '\0';
}

void rows_pointer_cell(char out[static ROWS_POINTER_MAX], size_t row, const char *name,
                       size_t length, size_t column)
{
    if (name == NULL) {
        snprintf(out, ROWS_POINTER_MAX, "#/samples/%zu/%zu", row, column);
        return;
    }
    snprintf(out, ROWS_POINTER_MAX, "#/samples/%zu/", row);
    append_pointer_text(out, ROWS_POINTER_MAX, name, length);
}

static bool grow_columns(struct rows *rows, size_t count)
{
    if (count <= rows->column_capacity) {
        return true;
    }
    uint32_t *seen = calloc(count, sizeof *seen);
    uint32_t *order = calloc(count, sizeof *order);
    if (seen == NULL || order == NULL) {
        free(seen);
        free(order);
        return fail_memory(rows);
    }
    free(rows->seen);
    free(rows->order);
    rows->seen = seen;
    rows->order = order;
    rows->column_capacity = count;
    return true;
}

static struct rows_nest flat_nest(size_t columns)
{
    return (struct rows_nest){
        .depth = 1, .dimensions = 1, .line = columns, .full = columns, .plane = SIZE_MAX};
}

bool rows_reset(struct rows *rows, const struct rows_columns *columns,
                const struct rows_limits *limits)
{
    rows->columns = *columns;
    rows->limits = *limits;
    rows->count = 0;
    rows->first = 0;
    rows->row = NULL;
    rows->filled = 0;
    rows->nest = flat_nest(columns->count);
    rows->stops = 0;
    rows->id_count = 0;
    rows->has_ids = false;
    buffer_clear(&rows->id_text);
    rows->fault.status = 0;
    rows->fault.pointer[0] = '\0';
    if (!grow_columns(rows, columns->count)) {
        return false;
    }
    memset(rows->seen, 0, columns->count * sizeof *rows->seen);
    memset(rows->order, 0, columns->count * sizeof *rows->order);
    return true;
}

void rows_done(struct rows *rows)
{
    free(rows->x);
    free(rows->seen);
    free(rows->order);
    free(rows->ids);
    free(rows->id_table);
    buffer_done(&rows->id_text);
    *rows = (struct rows){.x = NULL};
}

void rows_trim(struct rows *rows, size_t bytes)
{
    size_t held = rows->capacity * sizeof(float) + rows->id_text.capacity +
                  rows->id_capacity * sizeof *rows->ids +
                  rows->id_table_capacity * sizeof *rows->id_table;
    if (held > bytes) {
        rows_done(rows);
    }
}

/* The limits are far below the overflow of the products: the caller's configuration
 * bounds them. */
static bool grow(struct rows *rows, size_t floats)
{
    size_t capacity = rows->capacity < ROWS_FLOATS_MIN ? ROWS_FLOATS_MIN : rows->capacity;
    while (capacity < floats) {
        capacity *= 2;
    }
    float *x = realloc(rows->x, capacity * sizeof *x);
    if (x == NULL) {
        return fail_memory(rows);
    }
    rows->x = x;
    rows->capacity = capacity;
    return true;
}

bool rows_begin_row(struct rows *rows)
{
    size_t columns = rows->columns.count;
    size_t start = (rows->count - rows->first) * columns;
    char pointer[ROWS_POINTER_MAX];
    if (rows->count >= rows->limits.rows) {
        rows_pointer(pointer, rows->count);
        return rows_fail(rows, 413, pointer,
                         "more rows than the limit of %zu (limits.rows); send them in "
                         "several requests",
                         rows->limits.rows);
    }
    if ((rows->count + 1) > rows->limits.bytes / sizeof(float) / columns) {
        rows_pointer(pointer, rows->count);
        return rows_fail(rows, 413, pointer,
                         "the rows take more than the limit of %zu bytes as floats "
                         "(limits.decoded); send them in several requests",
                         rows->limits.bytes);
    }
    if (start + columns > rows->capacity && !grow(rows, start + columns)) {
        return false;
    }
    rows->row = rows->x + start;
    rows->filled = 0;
    if (rows->nest.dimensions > 1) {
        rows->nest = flat_nest(columns);
    }
    return true;
}

bool rows_begin_named_row(struct rows *rows)
{
    if (!rows_begin_row(rows)) {
        return false;
    }
    for (size_t i = 0; i < rows->columns.count; i++) {
        rows->row[i] = NAN;
    }
    return true;
}

void rows_drop(struct rows *rows, size_t first)
{
    size_t columns = rows->columns.count, gone = (first - rows->first) * columns;
    size_t start = (rows->count - first) * columns; /* of the row being filled */
    if (gone == 0) {
        return; /* there may be no x yet */
    }
    bool filling = rows->row == rows->x + start + gone;
    memmove(rows->x, rows->x + gone, (start + (filling ? columns : 0)) * sizeof *rows->x);
    rows->first = first;
    if (filling) {
        rows->row = rows->x + start;
    }
}

static bool is_name(const struct rows *rows, size_t column, const char *name,
                    size_t length)
{
    const char *own = rows->columns.name(rows->columns.closure, column);
    return strlen(own) == length && memcmp(own, name, length) == 0;
}

static bool fail_name(struct rows *rows, const char *name, size_t length,
                      const char *problem)
{
    char pointer[ROWS_POINTER_MAX];
    rows_pointer_cell(pointer, rows->count, name, length, 0);
    int shown = (int)(length < QUOTED_MAX ? length : QUOTED_MAX);
    return rows_fail(rows, 422, pointer, "row %zu: feature \"%.*s\" %s", rows->count,
                     shown, name, problem);
}

enum rows_found rows_find(struct rows *rows, const char *name, size_t length,
                          size_t *column)
{
    /* Most clients name the features in the same order in each row. */
    size_t guess = rows->filled < rows->columns.count ? rows->order[rows->filled] : 0;
    size_t found = guess;
    if (!is_name(rows, guess, name, length)) {
        bool text = memchr(name, '\0', length) == NULL; /* no name holds a NUL */
        found =
            text ? rows->columns.index(rows->columns.closure, name, length) : SIZE_MAX;
    }
    if (found == SIZE_MAX) {
        return ROWS_UNKNOWN;
    }
    if (rows->seen[found] == rows->count + 1) {
        return ROWS_TWICE;
    }
    rows->seen[found] = (uint32_t)(rows->count + 1);
    rows->order[rows->filled++] = (uint32_t)found;
    *column = found;
    return ROWS_FOUND;
}

bool rows_choose(struct rows *rows, const char *name, size_t length, size_t *column)
{
    enum rows_found found = rows_find(rows, name, length, column);
    if (found == ROWS_FOUND) {
        return true;
    }
    return fail_name(rows, name, length,
                     found == ROWS_TWICE ? "is named twice"
                                         : "is not one of the model's");
}

bool rows_end_row(struct rows *rows)
{
    if (rows->filled != rows->columns.count) {
        char pointer[ROWS_POINTER_MAX], shape[ROWS_SHAPE_MAX] = "";
        bool image = rows->columns.channels > 0;
        rows_pointer(pointer, rows->count);
        if (image) {
            rows_shape_print(shape, &rows->columns);
        }
        return rows_fail(
            rows, 422, pointer,
            "row %zu has %zu values, the model has %zu features%s%s; null stands "
            "for a missing value",
            rows->count, rows->filled, rows->columns.count,
            image ? ", as images of " : "", shape);
    }
    rows->count++;
    return true;
}

void rows_end_named_row(struct rows *rows)
{
    rows->count++;
}

/* ---- Ids --------------------------------------------------------------------------- */

static bool grow_ids(struct rows *rows)
{
    size_t capacity = rows->id_capacity == 0 ? ROWS_IDS_MIN : 2 * rows->id_capacity;
    struct rows_id *ids = realloc(rows->ids, capacity * sizeof *ids);
    if (ids == NULL) {
        return fail_memory(rows);
    }
    rows->ids = ids;
    rows->id_capacity = capacity;
    return true;
}

bool rows_add_id(struct rows *rows, const char *text, size_t length)
{
    char pointer[ROWS_POINTER_MAX];
    snprintf(pointer, sizeof pointer, "#/ids/%zu", rows->id_count);
    if (rows->id_count >= rows->limits.rows) {
        return rows_fail(rows, 413, pointer,
                         "more ids than the limit of %zu rows (limits.rows)",
                         rows->limits.rows);
    }
    if (!identifier_valid(text, length, ROWS_ID_MAX)) {
        return rows_fail(rows, 422, pointer,
                         "id %zu: write 1 to %d letters, digits or . _ : -",
                         rows->id_count, ROWS_ID_MAX);
    }
    if (rows->id_count == rows->id_capacity && !grow_ids(rows)) {
        return false;
    }
    rows->ids[rows->id_count++] =
        (struct rows_id){(uint32_t)rows->id_text.length, (uint32_t)length};
    buffer_append(&rows->id_text, text, length);
    return rows->id_text.failed ? fail_memory(rows) : true;
}

static uint64_t hash(const char *text, size_t length)
{
    uint64_t value = 0xCBF29CE484222325U; /* FNV-1a */
    for (size_t i = 0; i < length; i++) {
        value = (value ^ (unsigned char)text[i]) * 0x100000001B3U;
    }
    return value ^ value >> 32;
}

static bool same_id(const struct rows *rows, size_t a, size_t b)
{
    struct rows_id one = rows->ids[a], other = rows->ids[b];
    return one.length == other.length &&
           memcmp(rows->id_text.data + one.offset, rows->id_text.data + other.offset,
                  one.length) == 0;
}

static bool reserve_table(struct rows *rows, size_t size)
{
    if (size > rows->id_table_capacity) {
        free(rows->id_table);
        rows->id_table = malloc(size * sizeof *rows->id_table);
        rows->id_table_capacity = rows->id_table == NULL ? 0 : size;
    }
    if (rows->id_table == NULL) {
        return fail_memory(rows);
    }
    memset(rows->id_table, 0, size * sizeof *rows->id_table);
    return true;
}

static bool ids_unique(struct rows *rows)
{
    size_t size = 16;
    while (size < 2 * rows->id_count) {
        size *= 2;
    }
    if (!reserve_table(rows, size)) {
        return false;
    }
    for (size_t i = 0; i < rows->id_count; i++) {
        struct rows_id id = rows->ids[i];
        size_t slot = hash(rows->id_text.data + id.offset, id.length) & (size - 1);
        while (rows->id_table[slot] != 0) {
            if (same_id(rows, rows->id_table[slot] - 1, i)) {
                char pointer[ROWS_POINTER_MAX];
                snprintf(pointer, sizeof pointer, "#/ids/%zu", i);
                return rows_fail(rows, 422, pointer, "id %zu is the same as id %u", i,
                                 rows->id_table[slot] - 1);
            }
            slot = (slot + 1) & (size - 1);
        }
        rows->id_table[slot] = (uint32_t)i + 1;
    }
    return true;
}

bool rows_finish(struct rows *rows)
{
    if (rows->fault.status != 0) {
        return false;
    }
    if (rows->count == 0) {
        return rows_fail(rows, 422, "#/samples", "there are no rows to score");
    }
    if (!rows->has_ids) {
        return true;
    }
    if (rows->id_count != rows->count) {
        return rows_fail(rows, 422, "#/ids", "%zu ids for %zu rows", rows->id_count,
                         rows->count);
    }
    return ids_unique(rows);
}
