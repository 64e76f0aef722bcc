/* SPDX-License-Identifier: Apache-2.0 */
#include "api/npy_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/rows_nest.h"
#include "data/npy.h"

static const char body_name[] = "the body"; /* as a path in the reader's messages */

void npy_rows_start(struct npy_rows *decoder, struct rows *rows)
{
    decoder->rows = rows;
    buffer_clear(&decoder->body);
}

void npy_rows_done(struct npy_rows *decoder)
{
    buffer_done(&decoder->body);
    *decoder = (struct npy_rows){.rows = NULL};
}

void npy_rows_trim(struct npy_rows *decoder, size_t bytes)
{
    if (decoder->body.capacity > bytes) {
        npy_rows_done(decoder);
    }
}

void npy_rows_feed(struct npy_rows *decoder, const char *bytes, size_t size)
{
    if (decoder->rows->fault.status != 0) {
        return;
    }
    buffer_append(&decoder->body, bytes, size);
    if (decoder->body.failed) {
        rows_fail(decoder->rows, 500, "", "out of memory for the body");
    }
}

static struct stream open_body(const struct npy_rows *decoder)
{
    struct stream stream;
    bool empty = decoder->body.length == 0;
    stream_open_memory(&stream, body_name, empty ? "" : decoder->body.data,
                       decoder->body.length);
    return stream;
}

/* ---- The header against the model and the limits ----------------------------------- */

static bool is_image_of(const struct npy_header *header,
                        const struct rows_columns *columns)
{
    const size_t *shape = header->shape;
    size_t count = header->dimensions;
    return columns->height == shape[count - 2] && columns->width == shape[count - 1] &&
           columns->channels == (count == 4 ? shape[1] : 1);
}

/* (n, h, w, c), as many libraries have images. */
static bool is_channels_last(const struct npy_header *header,
                             const struct rows_columns *columns)
{
    const size_t *shape = header->shape;
    return header->dimensions == 4 && columns->channels > 0 &&
           shape[1] == columns->height && shape[2] == columns->width &&
           shape[3] == columns->channels;
}

static bool fail_shape(struct rows *rows, const struct npy_header *header)
{
    const struct rows_columns *columns = &rows->columns;
    char found[128] = "", wanted[ROWS_SHAPE_MAX + 32] = "", shape[ROWS_SHAPE_MAX];
    size_t used = 0;
    for (size_t i = 0; i < header->dimensions; i++) {
        used += (size_t)snprintf(found + used, sizeof found - used,
                                 i > 0 ? ", %zu" : "%zu", header->shape[i]);
    }
    if (columns->channels > 0) {
        rows_shape_print(shape, columns);
        snprintf(wanted, sizeof wanted, ", as images of %s", shape);
    }
    return rows_fail(
        rows, 422, "",
        "the array's shape is (%s%s); a row for each sample is expected, and "
        "the model has %zu features%s%s",
        found, header->dimensions == 1 ? "," : "", columns->count, wanted,
        is_channels_last(header, columns)
            ? "; channels come first: array.transpose(0, 3, 1, 2)"
            : "");
}

static bool check_shape(struct rows *rows, const struct npy_header *header)
{
    size_t values = 1;
    for (size_t i = 1; i < header->dimensions; i++) {
        if (__builtin_mul_overflow(values, header->shape[i], &values)) {
            return fail_shape(rows, header);
        }
    }
    bool image = header->dimensions > 2 && rows->columns.channels > 0;
    if (header->dimensions < 2 || values != rows->columns.count ||
        (image && !is_image_of(header, &rows->columns))) {
        return fail_shape(rows, header);
    }
    return true;
}

static bool check_limits(struct rows *rows, size_t count)
{
    size_t row = rows->columns.count * sizeof(float);
    if (count > rows->limits.rows) {
        return rows_fail(rows, 413, "",
                         "%zu rows are more than the limit of %zu (limits.rows); send "
                         "them in several requests",
                         count, rows->limits.rows);
    }
    if (count > rows->limits.bytes / row) {
        return rows_fail(rows, 413, "",
                         "the rows take more than the limit of %zu bytes as floats "
                         "(limits.decoded); send them in several requests",
                         rows->limits.bytes);
    }
    return true;
}

static bool check_header(const struct npy_rows *decoder, struct npy_header *header)
{
    struct rows *rows = decoder->rows;
    struct stream stream = open_body(decoder);
    struct deepsad_error error = {0};
    if (npy_read_header(header, &stream, &error) != DEEPSAD_OK) {
        unsigned status = error.status == DEEPSAD_NO_MEMORY ? 500 : 400;
        return rows_fail(rows, status, "", "%s", error.message);
    }
    if (!check_shape(rows, header) || !check_limits(rows, header->shape[0])) {
        return false;
    }
    return stream.left == header->bytes ||
           rows_fail(rows, 400, "",
                     "the array's header announces %zu bytes of values, but %zu came",
                     header->bytes, stream.left);
}

/* ---- The rows ---------------------------------------------------------------------- */

/* Takes over their memory. */
static void take_rows(struct rows *rows, struct deepsad_dataset *data)
{
    free(rows->x);
    rows->x = data->x;
    rows->capacity = data->rows * data->features;
    rows->count = data->rows;
    data->x = NULL;
    deepsad_dataset_clear(data);
}

bool npy_rows_finish(struct npy_rows *decoder)
{
    struct rows *rows = decoder->rows;
    struct npy_header header;
    if (rows->fault.status != 0 || !check_header(decoder, &header)) {
        return false;
    }
    if (header.shape[0] > 0) {
        const struct deepsad_read_options options = {0};
        struct stream stream = open_body(decoder);
        struct deepsad_dataset data = {0};
        struct deepsad_error error = {0};
        if (npy_read(&data, &stream, &options, &error) != DEEPSAD_OK) {
            unsigned status = error.status == DEEPSAD_NO_MEMORY ? 500 : 422;
            return rows_fail(rows, status, "", "%s", error.message);
        }
        take_rows(rows, &data);
    }
    return rows_finish(rows);
}
