/* SPDX-License-Identifier: Apache-2.0 */
#include "api/raw_rows.h"

#include <stdalign.h>
#include <string.h>

/* Rows of a part that are worth being scored for themselves: a large network reads all of
 * its weights for each block of rows, so its rows are gathered into full ones. */
enum { IN_PLACE_ROWS_MIN = 64 };

void raw_rows_start(struct raw_rows *decoder, struct scoring *scoring,
                    enum tensor_type type)
{
    struct buffer aligned = decoder->aligned;
    *decoder = (struct raw_rows){.scoring = scoring, .type = type, .aligned = aligned};
}

void raw_rows_done(struct raw_rows *decoder)
{
    buffer_done(&decoder->aligned);
}

/* Elements first..first + count of the row under way are there. */
static bool check(struct raw_rows *decoder, size_t first, size_t count)
{
    struct rows *rows = &decoder->scoring->rows;
    size_t good = tensor_type_count_good(decoder->type, rows->row + first, count);
    return good == count ||
           rows_fail(rows, 400, "#/inputs/0/data",
                     "input \"input\": row %zu, column %zu is not a finite %s",
                     rows->count, first + good, tensor_type_name(decoder->type));
}

/* So many elements, at most the rest of the row. */
static bool take_elements(struct raw_rows *decoder, const char *bytes, size_t count)
{
    struct rows *rows = &decoder->scoring->rows;
    if (!decoder->in_row && !rows_begin_row(rows)) {
        return false;
    }
    size_t first = rows->filled;
    decoder->in_row = true;
    tensor_type_read(decoder->type, rows->row + first, bytes, count);
    rows->filled += count;
    if (!check(decoder, first, count)) {
        return false;
    }
    if (rows->filled == rows->columns.count) {
        rows->count++;
        decoder->in_row = false;
    }
    return true;
}

/* Takes the carried element's other bytes; how many. */
static size_t complete_element(struct raw_rows *decoder, const char *bytes, size_t size)
{
    size_t missing = tensor_type_size(decoder->type) - decoder->carried;
    size_t taken = missing < size ? missing : size;
    memcpy(decoder->carry + decoder->carried, bytes, taken);
    decoder->carried += taken;
    if (taken == missing) {
        decoder->carried = 0;
        take_elements(decoder, decoder->carry, 1);
    }
    return taken;
}

/* Rows at the start of the part that can be scored where they are. */
static size_t count_in_place(const struct raw_rows *decoder, size_t size)
{
    const struct scoring *scoring = decoder->scoring;
    const struct rows *rows = &scoring->rows;
    size_t count = size / sizeof(float) / rows->columns.count;
    size_t room = rows->limits.rows - rows->count;
    bool possible = decoder->type == TENSOR_FP32 && !decoder->in_row &&
                    !scoring->wants_rows && count >= IN_PLACE_ROWS_MIN && count <= room;
    return possible ? count : 0;
}

/* The values at `bytes`, themselves or a copy; NULL: out of memory. */
static const float *align(struct raw_rows *decoder, const char *bytes, size_t values)
{
    if ((uintptr_t)bytes % alignof(float) == 0) {
        return (const float *)(const void *)bytes;
    }
    buffer_clear(&decoder->aligned);
    buffer_append(&decoder->aligned, bytes, values * sizeof(float));
    return decoder->aligned.failed ? NULL
                                   : (const float *)(const void *)decoder->aligned.data;
}

static void score_in_place(struct raw_rows *decoder, struct worker *worker,
                           const char *bytes, size_t count)
{
    struct scoring *scoring = decoder->scoring;
    struct rows *rows = &scoring->rows;
    size_t values = count * rows->columns.count;
    const float *x = align(decoder, bytes, values);
    if (x == NULL) {
        rows_fail(rows, 500, "", "out of memory for the rows");
        return;
    }
    size_t good = tensor_type_count_good(decoder->type, x, values);
    if (good < values) {
        rows_fail(rows, 400, "#/inputs/0/data",
                  "input \"input\": row %zu, column %zu is not a finite FP32",
                  rows->count + good / rows->columns.count, good % rows->columns.count);
        return;
    }
    if (scoring_finish(scoring, worker)) {
        scoring_take(scoring, worker, x, count);
        rows->count += count;
        rows->first = rows->count;
    }
}

/* Takes some of the bytes; how many. */
static size_t take_some(struct raw_rows *decoder, struct worker *worker,
                        const char *bytes, size_t size)
{
    const struct rows *rows = &decoder->scoring->rows;
    size_t element = tensor_type_size(decoder->type);
    if (decoder->carried > 0 || size < element) {
        return complete_element(decoder, bytes, size);
    }
    size_t in_place = count_in_place(decoder, size);
    if (in_place > 0) {
        score_in_place(decoder, worker, bytes, in_place);
        return in_place * rows->columns.count * element;
    }
    size_t left = rows->columns.count - (decoder->in_row ? rows->filled : 0);
    size_t count = size / element < left ? size / element : left;
    take_elements(decoder, bytes, count);
    return count * element;
}

void raw_rows_feed(struct raw_rows *decoder, struct worker *worker, const char *bytes,
                   size_t size)
{
    const struct rows_fault *fault = &decoder->scoring->rows.fault;
    for (size_t at = 0; at < size && fault->status == 0;) {
        at += take_some(decoder, worker, bytes + at, size - at);
    }
}

bool raw_rows_finish(struct raw_rows *decoder)
{
    struct rows *rows = &decoder->scoring->rows;
    if (rows->fault.status == 0 && (decoder->in_row || decoder->carried > 0)) {
        rows_fail(rows, 400, "",
                  "the body ends within row %zu: a row is %zu elements of %zu bytes (%s)",
                  rows->count, rows->columns.count, tensor_type_size(decoder->type),
                  tensor_type_name(decoder->type));
    }
    return rows->fault.status == 0;
}
