/* SPDX-License-Identifier: Apache-2.0 */
#include "data/csv.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/column.h"
#include "data/dataset.h"

enum { CSV_ROWS_FIRST = 256 };

struct csv {
    struct field_reader reader;
    struct columns columns;
    size_t capacity; /* rows that `data` has room for */
    struct deepsad_dataset data;
};

/* ---- The first row ---- */

static int keep_cell(struct csv *csv, const struct field *field, size_t *capacity,
                     struct deepsad_error *error)
{
    if (csv->columns.count == *capacity) {
        size_t more = *capacity == 0 ? 16 : 2 * *capacity;
        struct cell *cells = reallocarray(csv->columns.cells, more, sizeof *cells);
        if (cells == NULL) {
            return error_no_memory(error, csv->columns.path);
        }
        csv->columns.cells = cells;
        *capacity = more;
    }
    char *text = strndup(field->text, field->length);
    if (text == NULL) {
        return error_no_memory(error, csv->columns.path);
    }
    csv->columns.cells[csv->columns.count++] =
        (struct cell){text, field->line, field->column};
    return DEEPSAD_OK;
}

/* One column that holds the separators of other formats: the file is one of those. */
static int check_separator(const struct csv *csv, const struct field *only,
                           struct deepsad_error *error)
{
    const char *text = csv->columns.cells[0].text;
    size_t at = strcspn(text, ";\t|");
    if (csv->columns.count > 1 || text[at] == '\0') {
        return DEEPSAD_OK;
    }
    return error_set(error, DEEPSAD_INVALID,
                     "%s:%zu:%zu: the fields seem to be separated by %s; separate them "
                     "by commas",
                     csv->columns.path, only->line, only->column + at,
                     text[at] == '\t'  ? "tabs"
                     : text[at] == ';' ? "semicolons"
                                       : "bars");
}

static int read_first_row(struct csv *csv, struct deepsad_error *error)
{
    bool more = false;
    int status = field_reader_more(&csv->reader, &more, error);
    if (status == DEEPSAD_OK && !more) {
        return error_set(error, DEEPSAD_INVALID, "%s: the file is empty",
                         csv->columns.path);
    }
    struct field field = {0};
    size_t capacity = 0;
    while (status == DEEPSAD_OK && !field.last) {
        status = field_reader_next(&csv->reader, &field, error);
        if (status == DEEPSAD_OK) {
            status = keep_cell(csv, &field, &capacity, error);
        }
        float value;
        csv->columns.header |=
            status == DEEPSAD_OK && !column_parse_value(&value, field.text, field.length);
    }
    return status == DEEPSAD_OK ? check_separator(csv, &field, error) : status;
}

/* ---- Rows ---- */

static int resize(struct csv *csv, size_t rows, struct deepsad_error *error)
{
    int status = dataset_resize(&csv->data, rows, csv->columns.path, error);
    if (status == DEEPSAD_OK) {
        csv->capacity = rows;
    }
    return status;
}

static int read_cell(struct csv *csv, size_t column, const struct field *field, float *x,
                     signed char *label, struct deepsad_error *error)
{
    switch ((enum column_use)csv->columns.uses[column]) {
    case COLUMN_FEATURE:
        return column_parse_value(x, field->text, field->length) && !isinf(*x)
                   ? DEEPSAD_OK
                   : column_value_fault(&csv->columns, column, field, error);
    case COLUMN_LABEL:
        return column_parse_label(&csv->columns, label, field, error);
    case COLUMN_IGNORED:
    default:
        return DEEPSAD_OK;
    }
}

static int check_width(const struct csv *csv, size_t line, size_t column, bool last,
                       struct deepsad_error *error)
{
    size_t count = csv->columns.count;
    if (last == (column + 1 == count)) {
        return DEEPSAD_OK;
    }
    return error_set(error, DEEPSAD_INVALID,
                     "%s:%zu:1: the row has %s%zu field%s, the first row has %zu; quote "
                     "fields that hold commas, complete rows that are cut off",
                     csv->columns.path, line, last ? "" : "more than ", column + 1,
                     column == 0 ? "" : "s", count);
}

static int read_row(struct csv *csv, float *x, signed char *label,
                    struct deepsad_error *error)
{
    size_t line = csv->reader.line;
    *label = 0;
    for (size_t j = 0; j < csv->columns.count; j++) {
        bool feature = csv->columns.uses[j] == COLUMN_FEATURE;
        struct field field = {0};
        int status = DEEPSAD_OK;
        if (!feature || !field_reader_next_number(&csv->reader, x, &field.last)) {
            status = field_reader_next(&csv->reader, &field, error);
            if (status == DEEPSAD_OK) {
                status = read_cell(csv, j, &field, x, label, error);
            }
        }
        if (status == DEEPSAD_OK) {
            status = check_width(csv, line, j, field.last, error);
        }
        if (status != DEEPSAD_OK) {
            return status;
        }
        x += feature;
    }
    return DEEPSAD_OK;
}

/* Where there is no header the first row's cells are data. */
static int read_cells_of_first_row(struct csv *csv, struct deepsad_error *error)
{
    float *x = csv->data.x;
    for (size_t j = 0; j < csv->columns.count; j++) {
        const struct cell *cell = &csv->columns.cells[j];
        struct field field = {.text = cell->text,
                              .length = strlen(cell->text),
                              .line = cell->line,
                              .column = cell->column};
        int status = read_cell(csv, j, &field, x, csv->data.labels, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        x += csv->columns.uses[j] == COLUMN_FEATURE;
    }
    csv->data.labels[0] = 0;
    csv->data.rows = 1;
    return DEEPSAD_OK;
}

static int read_rows(struct csv *csv, struct deepsad_error *error)
{
    struct deepsad_dataset *data = &csv->data;
    for (;;) {
        bool more = false;
        int status = field_reader_more(&csv->reader, &more, error);
        if (status != DEEPSAD_OK || !more) {
            return status;
        }
        if (data->rows == csv->capacity) {
            status = resize(csv, 2 * csv->capacity, error);
        }
        if (status == DEEPSAD_OK) {
            status = read_row(csv, data->x + data->rows * data->features,
                              data->labels + data->rows, error);
        }
        if (status != DEEPSAD_OK) {
            return status;
        }
        data->rows++;
    }
}

static int read_all(struct csv *csv, struct deepsad_error *error)
{
    int status = read_first_row(csv, error);
    if (status == DEEPSAD_OK) {
        status = columns_choose(&csv->columns, error);
    }
    if (status == DEEPSAD_OK) {
        csv->data.features = csv->columns.features;
        status = resize(csv, CSV_ROWS_FIRST, error);
    }
    if (status == DEEPSAD_OK && !csv->columns.header) {
        status = read_cells_of_first_row(csv, error);
    }
    if (status == DEEPSAD_OK) {
        status = read_rows(csv, error);
    }
    if (status == DEEPSAD_OK && csv->data.rows == 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: a header and no rows of data; is the file complete?",
                         csv->columns.path);
    }
    if (status == DEEPSAD_OK && csv->columns.header) {
        status = columns_take_names(&csv->columns, &csv->data.names, error);
    }
    return status == DEEPSAD_OK ? resize(csv, csv->data.rows, error) : status;
}

int csv_read(struct deepsad_dataset *out, struct stream *stream,
             const struct deepsad_read_options *options, struct deepsad_error *error)
{
    static const struct deepsad_read_options defaults;
    struct csv csv = {.columns = {.path = stream->path,
                                  .options = options != NULL ? options : &defaults}};
    int status = field_reader_init(&csv.reader, stream, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = read_all(&csv, error);
    if (status == DEEPSAD_OK) {
        *out = csv.data;
    } else {
        deepsad_dataset_clear(&csv.data);
    }
    columns_done(&csv.columns);
    field_reader_done(&csv.reader);
    return status;
}
