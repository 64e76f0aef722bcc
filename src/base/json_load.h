/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_loadb() that survives running out of memory. jansson 2.14 overlooks that its
 * buffer for the token being read could not grow: a number then ends the process by an
 * assertion, a string is read beyond its end.
 */
#ifndef BASE_JSON_LOAD_H
#define BASE_JSON_LOAD_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

/* NULL and *error, which may be NULL; json_error_code() of it is json_error_out_of_memory
 * wherever memory had run out. */
json_t *json_load_text(const char *text, size_t length, size_t flags,
                       json_error_t *error);

/* The same of a C string; NULL is no text and gives NULL. */
json_t *json_load_string(const char *text, size_t flags, json_error_t *error);

/* What *fault tells as an error of that status, "WHERE, line 1, column 2: ..."; where
 * memory had run out, as DEEPSAD_NO_MEMORY. */
int json_load_fault(struct deepsad_error *error, enum deepsad_status status,
                    const char *where, const json_error_t *fault);

#endif
