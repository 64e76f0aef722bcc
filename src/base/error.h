/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors are values: struct deepsad_error of the public header, filled by the function
 * that finds the fault and carried up unchanged. A function logs or returns an error,
 * never both.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "deepsad.h"

/* Sets status and message unless an error is set already (the first one wins). `error`
 * may be NULL. Returns `status`, so that callers can `return error_set(...)`. */
__attribute__((format(printf, 3, 4))) int error_set(struct deepsad_error *error,
                                                    enum deepsad_status status,
                                                    const char *format, ...);

/* As error_set with DEEPSAD_IO (DEEPSAD_NOT_FOUND for ENOENT) and ": <strerror(number)>".
 */
__attribute__((format(printf, 3, 4))) int
error_system(struct deepsad_error *error, int number, const char *format, ...);

/* "out of memory for <what>" */
int error_no_memory(struct deepsad_error *error, const char *what);

/* Puts "<prefix>: " before the message that is set (a path, a row). Returns the status.
 */
__attribute__((format(printf, 2, 3))) int error_prefix(struct deepsad_error *error,
                                                       const char *format, ...);

#endif
