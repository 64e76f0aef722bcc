/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON body of a request that is small enough to be read as a tree (rows to be scored
 * are not: json_rows.h). A route names the three functions; its handler calls
 * body_parse(). Strict: one value and nothing behind it, no member twice, no NUL byte, no
 * deeper nesting than any endpoint has a use for.
 */
#ifndef API_BODY_H
#define API_BODY_H

#include <jansson.h>

#include "http/router.h"

enum { BODY_DEPTH_MAX = 16 };

/* For the route's table. The server bounds the length (limits.body). */
bool body_begin(void *app, struct request *request, struct reply *reply);
void body_collect(void *app, struct request *request, const char *bytes, size_t size);
void body_end(void *app, struct request *request);

/* What has come, `length` bytes; "" where there was no body. */
const char *body_text(const struct request *request, size_t *length);

/* The value, whatever its type; the caller owns it. All numbers are json_real. NULL: the
 * reply is the problem: 400 with line and column, 422 for numbers that no double holds
 * and for NaN and Infinity, which are none. */
json_t *body_parse(const struct request *request, struct reply *reply);

/* The same without a request, for text that has come another way. NULL: *status and
 * `detail` say what is wrong. */
enum { BODY_DETAIL_MAX = 256 };
json_t *body_parse_text(const char *text, size_t length, unsigned *status,
                        char detail[static BODY_DETAIL_MAX]);

/* Whether the request came without one; one that there was no memory for is none of
 * these, and body_parse() says so. */
bool body_is_empty(const struct request *request);

#endif
