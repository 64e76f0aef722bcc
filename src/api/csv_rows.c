/* SPDX-License-Identifier: Apache-2.0 */
#include "api/csv_rows.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

/* A cell of a line, without its quotes; a doubled quote within is left as it is (no
 * number has one, and a name with one is unknown). */
struct cell {
    const char *text;
    size_t length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The cell at `at`; returns the address behind it (a comma or `end`), NULL at a fault. */
static const char *take_cell(struct csv_rows *decoder, const char *at, const char *end,
                             struct cell *cell)
{
    while (at < end && is_blank(*at)) {
        at++;
    }
    bool quoted = at < end && *at == '"';
    const char *start = quoted ? at + 1 : at;
    const char *stop = memchr(start, quoted ? '"' : ',', (size_t)(end - start));
    if (quoted && stop == NULL) {
        rows_fail(decoder->rows, 400, "", "line %zu: a quote is not closed on its line",
                  decoder->line);
        return NULL;
    }
    stop = stop == NULL ? end : stop;
    const char *next = quoted ? stop + 1 : stop;
    while (next < end && is_blank(*next)) {
        next++;
    }
    if (next < end && *next != ',') {
        rows_fail(decoder->rows, 400, "", "line %zu: text after a closing quote",
                  decoder->line);
        return NULL;
    }
    while (!quoted && stop > start && is_blank(stop[-1])) {
        stop--;
    }
    *cell = (struct cell){start, (size_t)(stop - start)};
    return next;
}

/* False: it is no number. Empty and nan are NaN. */
static bool read_number(const struct cell *cell, float *value)
{
    const char *end = cell->text + cell->length;
    if (cell->length == 0 ||
        (cell->length == 3 && strncasecmp(cell->text, "nan", 3) == 0)) {
        *value = NAN;
        return true;
    }
    return number_parse_decimal(value, cell->text, end) == end;
}

/* ---- The header -------------------------------------------------------------------- */

/* The first line is a header when one of its cells is neither number nor missing. */
static bool is_header(struct csv_rows *decoder, const char *at, const char *end)
{
    while (at <= end) {
        struct cell cell;
        float value;
        at = take_cell(decoder, at, end, &cell);
        if (at == NULL) {
            return false;
        }
        if (!read_number(&cell, &value)) {
            return true;
        }
        at++;
    }
    return false;
}

static bool add_column(struct csv_rows *decoder, const struct cell *cell)
{
    struct rows *rows = decoder->rows;
    size_t column;
    enum rows_found found = rows_find(rows, cell->text, cell->length, &column);
    if (found != ROWS_FOUND) {
        return rows_fail(rows, 422, "", "line %zu: the header's name \"%.*s\" %s",
                         decoder->line, (int)(cell->length < 64 ? cell->length : 64),
                         cell->text,
                         found == ROWS_TWICE ? "is there twice"
                                             : "is not one of the model's features");
    }
    decoder->columns[decoder->column_count++] = column;
    return true;
}

static bool read_header(struct csv_rows *decoder, const char *at, const char *end)
{
    decoder->has_header = true;
    while (at <= end) {
        struct cell cell;
        at = take_cell(decoder, at, end, &cell);
        if (at == NULL || !add_column(decoder, &cell)) {
            return false;
        }
        at++;
    }
    decoder->rows->filled = 0;
    memset(decoder->rows->seen, 0,
           decoder->rows->columns.count * sizeof *decoder->rows->seen);
    return true;
}

/* ---- Rows -------------------------------------------------------------------------- */

static bool fail_cell(struct csv_rows *decoder, size_t k, const struct cell *cell,
                      const char *problem)
{
    struct rows *rows = decoder->rows;
    char pointer[ROWS_POINTER_MAX];
    size_t column = decoder->has_header ? decoder->columns[k] : k;
    const char *name = rows->columns.name(rows->columns.closure, column);
    rows_pointer_cell(pointer, rows->count, name, strlen(name), 0);
    return rows_fail(rows, 422, pointer, "line %zu, cell %zu (%.64s): \"%.*s\" %s",
                     decoder->line, k + 1, name,
                     (int)(cell->length < 40 ? cell->length : 40), cell->text, problem);
}

/* A cell behind the last column, or a line that ends before it. */
static bool fail_count(struct csv_rows *decoder, size_t cells, bool more)
{
    char pointer[ROWS_POINTER_MAX];
    rows_pointer(pointer, decoder->rows->count);
    return rows_fail(decoder->rows, 422, pointer, "line %zu has %s%zu cells, the %s %zu",
                     decoder->line, more ? "more than " : "", cells,
                     decoder->has_header ? "header has" : "model's features are",
                     decoder->column_count);
}

static bool read_row(struct csv_rows *decoder, const char *at, const char *end)
{
    struct rows *rows = decoder->rows;
    bool begun = decoder->has_header ? rows_begin_named_row(rows) : rows_begin_row(rows);
    if (!begun) {
        return false;
    }
    size_t k = 0;
    for (; at <= end; at++, k++) {
        struct cell cell;
        float value;
        if (k == decoder->column_count) {
            return fail_count(decoder, k, true);
        }
        const char *next = number_parse_float(&value, at, end);
        if (next == NULL || (next < end && *next != ',')) {
            next = take_cell(decoder, at, end, &cell);
            if (next == NULL) {
                return false;
            }
            if (!read_number(&cell, &value)) {
                return fail_cell(decoder, k, &cell, "is not a number");
            }
        } else {
            cell = (struct cell){at, (size_t)(next - at)};
        }
        if (isinf(value)) {
            return fail_cell(decoder, k, &cell,
                             "is out of the range of a float (3.4e38)");
        }
        rows->row[decoder->has_header ? decoder->columns[k] : k] = value;
        at = next;
    }
    if (k != decoder->column_count) {
        return fail_count(decoder, k, false);
    }
    rows->count++;
    return true;
}

static bool read_first(struct csv_rows *decoder, const char *at, const char *end)
{
    decoder->begun = true;
    if (is_header(decoder, at, end)) {
        return read_header(decoder, at, end);
    }
    decoder->column_count = decoder->rows->columns.count;
    return read_row(decoder, at, end);
}

static bool read_line(struct csv_rows *decoder, const char *at, const char *end)
{
    static const char mark[] = "\xEF\xBB\xBF";
    if (decoder->line == 1 && end - at >= 3 && memcmp(at, mark, 3) == 0) {
        at += 3;
    }
    if (end > at && end[-1] == '\r') {
        end--;
    }
    const char *text = at;
    while (text < end && is_blank(*text)) {
        text++;
    }
    if (text == end) {
        return true;
    }
    return decoder->begun ? read_row(decoder, at, end) : read_first(decoder, at, end);
}

/* ---- Parts ------------------------------------------------------------------------- */

bool csv_rows_start(struct csv_rows *decoder, struct rows *rows)
{
    decoder->rows = rows;
    decoder->line = 1;
    decoder->begun = decoder->has_header = false;
    decoder->column_count = 0;
    buffer_clear(&decoder->carry);
    if (rows->columns.count > decoder->column_capacity) {
        free(decoder->columns);
        decoder->columns = calloc(rows->columns.count, sizeof *decoder->columns);
        decoder->column_capacity = decoder->columns == NULL ? 0 : rows->columns.count;
    }
    return decoder->columns != NULL || rows_fail(rows, 500, "", "out of memory");
}

void csv_rows_done(struct csv_rows *decoder)
{
    free(decoder->columns);
    buffer_done(&decoder->carry);
    *decoder = (struct csv_rows){.rows = NULL};
}

static bool carry(struct csv_rows *decoder, const char *bytes, size_t size)
{
    if (decoder->carry.length + size > CSV_LINE_MAX) {
        return rows_fail(decoder->rows, 422, "", "line %zu is longer than %d bytes",
                         decoder->line, (int)CSV_LINE_MAX);
    }
    buffer_append(&decoder->carry, bytes, size);
    return !decoder->carry.failed || rows_fail(decoder->rows, 500, "", "out of memory");
}

static bool finish_carried(struct csv_rows *decoder)
{
    const char *text = decoder->carry.data;
    bool fine = read_line(decoder, text, text + decoder->carry.length);
    buffer_clear(&decoder->carry);
    return fine;
}

void csv_rows_feed(struct csv_rows *decoder, const char *bytes, size_t size)
{
    const char *end = bytes + size;
    while (bytes < end && decoder->rows->fault.status == 0) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        if (newline == NULL) {
            carry(decoder, bytes, (size_t)(end - bytes));
            return;
        }
        if (decoder->carry.length > 0) {
            if (!carry(decoder, bytes, (size_t)(newline - bytes)) ||
                !finish_carried(decoder)) {
                return;
            }
        } else if (!read_line(decoder, bytes, newline)) {
            return;
        }
        decoder->line++;
        bytes = newline + 1;
    }
}

bool csv_rows_finish(struct csv_rows *decoder)
{
    struct rows *rows = decoder->rows;
    if (rows->fault.status == 0 && decoder->carry.length > 0) {
        finish_carried(decoder);
    }
    return rows_finish(rows);
}
