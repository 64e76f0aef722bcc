/* SPDX-License-Identifier: Apache-2.0 */
/* Three columns for tests of the decoders of rows, and reading a body in pieces. */
#ifndef TESTS_FUZZ_COLUMNS_H
#define TESTS_FUZZ_COLUMNS_H

#include <stdlib.h>
#include <string.h>

#include "api/csv_rows.h"
#include "api/json_rows.h"
#include "api/npy_rows.h"

static const char *const test_names[] = {
    "hour", "x", "a/b~\xc3\xb6", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11"};

static inline const char *test_name(const void *closure, size_t column)
{
    (void)closure;
    return test_names[column];
}

/* closure: how many of the names there are. */
static inline size_t test_index(const void *closure, const char *name, size_t length)
{
    const size_t *count = closure;
    for (size_t i = 0; i < *count; i++) {
        if (strlen(test_names[i]) == length && memcmp(test_names[i], name, length) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static const size_t test_counts[] = {3, 6, 12};
static const struct rows_columns test_columns = {
    .count = 3, .closure = &test_counts[0], .name = test_name, .index = test_index};
/* Images of one channel and of two. */
static const struct rows_columns test_image = {.count = 6,
                                               .closure = &test_counts[1],
                                               .name = test_name,
                                               .index = test_index,
                                               .channels = 1,
                                               .height = 2,
                                               .width = 3};
static const struct rows_columns test_channels = {.count = 12,
                                                  .closure = &test_counts[2],
                                                  .name = test_name,
                                                  .index = test_index,
                                                  .channels = 2,
                                                  .height = 3,
                                                  .width = 2};
/* An input's length says which it is read as: one that is padded reaches the others. */
static const struct rows_columns *const test_forms[] = {&test_columns, &test_image,
                                                        &test_channels};
enum { TEST_ROWS_MAX = 40 };

/* The decoder's copy of the piece ends where the piece does, so that a sanitizer sees a
 * read behind it. Returns whether there is no fault. */
static inline bool test_decode_as(struct rows *rows, const struct rows_columns *columns,
                                  bool csv, const char *text, size_t size, size_t piece)
{
    static struct json_rows json;
    struct csv_rows lines = {.rows = NULL};
    struct rows_limits limits = {.rows = TEST_ROWS_MAX,
                                 .bytes = TEST_ROWS_MAX * columns->count * 4};
    rows_reset(rows, columns, &limits);
    json_rows_start(&json, rows);
    csv_rows_start(&lines, rows);
    for (size_t at = 0; at < size; at += piece) {
        size_t length = size - at < piece ? size - at : piece;
        char *copy = malloc(length);
        memcpy(copy, text + at, length);
        if (csv) {
            csv_rows_feed(&lines, copy, length);
        } else {
            json_rows_feed(&json, copy, length);
        }
        free(copy);
    }
    bool fine = csv ? csv_rows_finish(&lines) : json_rows_finish(&json);
    csv_rows_done(&lines);
    return fine;
}

static inline bool test_decode(struct rows *rows, bool csv, const char *text, size_t size,
                               size_t piece)
{
    return test_decode_as(rows, &test_columns, csv, text, size, piece);
}

/* An NPY body likewise. */
static inline bool test_decode_npy(struct rows *rows, const struct rows_columns *columns,
                                   const char *bytes, size_t size, size_t piece)
{
    struct npy_rows npy = {.rows = NULL};
    struct rows_limits limits = {.rows = TEST_ROWS_MAX,
                                 .bytes = TEST_ROWS_MAX * columns->count * 4};
    rows_reset(rows, columns, &limits);
    npy_rows_start(&npy, rows);
    for (size_t at = 0; at < size; at += piece) {
        npy_rows_feed(&npy, bytes + at, size - at < piece ? size - at : piece);
    }
    bool fine = npy_rows_finish(&npy);
    npy_rows_done(&npy);
    return fine;
}

#endif
