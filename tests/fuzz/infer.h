/* SPDX-License-Identifier: Apache-2.0 */
/* An inference request decoded without a model: the JSON through its grammar, the raw
 * tensor behind it as rows that nobody scores. */
#ifndef TESTS_FUZZ_INFER_H
#define TESTS_FUZZ_INFER_H

#include "api/infer_check.h"
#include "api/raw_rows.h"

#include "columns.h"

enum { TEST_NO_HEADER = 65535 };

struct test_infer {
    struct scoring scoring; /* its rows are the result */
    struct infer_grammar grammar;
    struct json_reader reader;
    struct raw_rows raw;
};

static inline void test_infer_feed(struct test_infer *infer, bool json, const char *bytes,
                                   size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece) {
        size_t length = size - at < piece ? size - at : piece;
        char *copy = malloc(length);
        memcpy(copy, bytes + at, length);
        if (json) {
            json_reader_feed(&infer->reader, copy, length);
        } else {
            raw_rows_feed(&infer->raw, NULL, copy, length);
        }
        free(copy);
    }
}

/* `header` bytes of JSON, TEST_NO_HEADER: all is. Returns whether there is no fault. */
static inline bool test_infer_decode(struct test_infer *infer,
                                     const struct rows_columns *columns, size_t header,
                                     const char *text, size_t size, size_t piece)
{
    struct rows *rows = &infer->scoring.rows;
    struct rows_limits limits = {.rows = TEST_ROWS_MAX,
                                 .bytes = TEST_ROWS_MAX * columns->count * 4};
    size_t json = header < size ? header : size;
    rows_reset(rows, columns, &limits);
    infer->scoring.wants_rows = true; /* nothing is scored */
    infer_grammar_start(&infer->grammar, rows);
    json_reader_start(&infer->reader, &infer_grammar_ops, &infer->grammar.base);
    enum tensor_type type = TENSOR_FP32;
    if (header > 0) {
        test_infer_feed(infer, true, text, json, piece);
        if (!json_reader_finish(&infer->reader) ||
            !infer_check_request(&infer->grammar)) {
            return false;
        }
        type = infer->grammar.type;
    }
    raw_rows_start(&infer->raw, &infer->scoring, type);
    test_infer_feed(infer, false, text + json, size - json, piece);
    return raw_rows_finish(&infer->raw) && rows_finish(rows);
}

#endif
