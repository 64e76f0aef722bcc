/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot path of reading rows: arrays of numbers in the two forms that programs write,
 * "[1.5,2],[3,4]" and "[1.5, 2], [3, 4]". All commas of a stretch of text are found
 * first. Where a number begins then does not hang on where the one before it ended, so
 * the processor works at several, and they are converted by vector code. The lines of an
 * image (rows_nest.h) look like rows.
 */
#ifndef API_JSON_PLAIN_H
#define API_JSON_PLAIN_H

#include "api/rows.h"

enum {
    JSON_PLAIN_MIN = 80,  /* bytes: shorter texts are not worth it */
    JSON_PLAIN_STOPS = 32 /* A request that is written in another form would waste the
                             search for commas at each value. */
};

static inline bool json_plain_is_worth(const struct rows *rows, const char *at,
                                       const char *end)
{
    return end - at >= JSON_PLAIN_MIN && *at != '[' && rows->filled < rows->nest.full &&
           rows->stops < JSON_PLAIN_STOPS;
}

/* `at` is where the next value of rows->row, which is not full, may begin. Takes values,
 * and from row to row or line to line, until what comes is anything else, or too near to
 * `end`. Returns where the next value may begin; never a fault, except out of memory. */
const char *json_plain_take(struct rows *rows, const char *at, const char *end);

#endif
