/* SPDX-License-Identifier: Apache-2.0 */
/* JSON texts of files of ours. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* json_loadb() with these flags. It tells running out of memory from a text that is
 * wrong, which jansson does not: DEEPSAD_NO_MEMORY, else DEEPSAD_CORRUPT with
 * "<what>, line 1, column 7: ...". */
int json_parse(json_t **out, const char *text, size_t length, size_t flags,
               const char *what, struct deepsad_error *error);

/* For those who say it in other words: *no_memory tells which it was. NULL: not parsed.
 */
json_t *json_parse_text(const char *text, size_t length, size_t flags,
                        json_error_t *fault, bool *no_memory);

/* The same of a text that we wrote. NULL: not parsed. */
json_t *json_read(const char *text);

/* A time in RFC 3339; null for 0. NULL: out of memory. */
json_t *json_time(int64_t realtime_ms);

/* json_dumps() that is whole or NULL: jansson leaves out what it has no memory for. */
char *json_print(const json_t *json, size_t flags);

#endif
