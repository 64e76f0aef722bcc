/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes the JSON body of a scoring request while it arrives, straight to floats: a
 * pushdown automaton over tokens, fed with parts of any size, which keeps no more of the
 * text than one broken-off token. The grammar of the body is fixed, so its depth is:
 *
 *     {"samples": [[1, null, ...] | {"name": 1, ...}, ...], "ids": ["..."],
 *      "explain": 0, "keep": false}
 *
 * Exactly RFC 8259: no trailing commas, no NUL, valid UTF-8, no lone surrogates. What is
 * not JSON is fault 400 with line and column (in bytes); what is JSON and not this body
 * is 422 with a pointer. Decoding stops at the first fault.
 */
#ifndef API_JSON_ROWS_H
#define API_JSON_ROWS_H

#include "api/rows.h"

enum { JSON_TOKEN_MAX = 4096 }; /* bytes of a string or number in the text */

struct json_rows {
    struct rows *rows; /* written to; fault, too */
    int state;
    unsigned members; /* bits of those seen */
    int member;       /* whose value is next */
    size_t column;    /* whose value is next in a named row */
    double explain;   /* as sent; 0 where not */
    bool keep;
    size_t line, line_column; /* of the first byte of the part being decoded, from 1 */
    const char *part;         /* start of it */
    bool whole;               /* a token that ends where the part ends is complete */
    size_t carried;           /* bytes of a broken-off token in `carry` */
    char carry[JSON_TOKEN_MAX + 8];
    char text[JSON_TOKEN_MAX + 8]; /* of a string that has escapes */
};

/* `rows` must have been reset. */
void json_rows_start(struct json_rows *decoder, struct rows *rows);
/* Does nothing once rows->fault is set. */
void json_rows_feed(struct json_rows *decoder, const char *bytes, size_t size);
/* The body has ended. False: rows->fault says why. */
bool json_rows_finish(struct json_rows *decoder);

#endif
