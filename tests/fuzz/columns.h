/* SPDX-License-Identifier: Apache-2.0 */
/* Three columns for tests of the decoders of rows, and reading a body in pieces. */
#ifndef TESTS_FUZZ_COLUMNS_H
#define TESTS_FUZZ_COLUMNS_H

#include <stdlib.h>
#include <string.h>

#include "api/csv_rows.h"
#include "api/json_rows.h"

static const char *const test_names[] = {"hour", "x", "a/b~\xc3\xb6"};

static inline const char *test_name(const void *closure, size_t column)
{
    (void)closure;
    return test_names[column];
}

static inline size_t test_index(const void *closure, const char *name, size_t length)
{
    (void)closure;
    for (size_t i = 0; i < 3; i++) {
        if (strlen(test_names[i]) == length && memcmp(test_names[i], name, length) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static const struct rows_columns test_columns = {3, NULL, test_name, test_index};
static const struct rows_limits test_limits = {.rows = 40, .bytes = 40 * 3 * 4};

/* The decoder's copy of the piece ends where the piece does, so that a sanitizer sees a
 * read behind it. Returns whether there is no fault. */
static inline bool test_decode(struct rows *rows, bool csv, const char *text, size_t size,
                               size_t piece)
{
    static struct json_rows json;
    struct csv_rows lines = {.rows = NULL};
    rows_reset(rows, &test_columns, &test_limits);
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

#endif
