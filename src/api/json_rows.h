/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes the JSON body of a scoring request while it arrives, straight to floats: its
 * tokens go through a grammar (json_reader.h, json_grammar.h), but plain rows of numbers
 * past both. What is not JSON is fault 400 with line and column (in bytes); what is JSON
 * and not this body is 422 with a pointer. Decoding stops at the first fault.
 */
#ifndef API_JSON_ROWS_H
#define API_JSON_ROWS_H

#include "api/json_grammar.h"
#include "api/json_reader.h"

struct json_rows {
    struct json_grammar grammar;
    struct json_reader reader;
};

/* `rows` must have been reset. */
void json_rows_start(struct json_rows *decoder, struct rows *rows);
/* Does nothing once rows->fault is set. */
void json_rows_feed(struct json_rows *decoder, const char *bytes, size_t size);
/* The body has ended. False: rows->fault says why. */
bool json_rows_finish(struct json_rows *decoder);

#endif
