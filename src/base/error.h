/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors are values: struct deepsad_error of the public header, filled by the function
 * that finds the fault and carried up unchanged. A function logs or returns an error,
 * never both.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <errno.h>

#include "deepsad.h"

static inline int error_code(enum deepsad_status status)
{
    return (int)status;
}

/* int error_set(struct deepsad_error *error, enum deepsad_status status, format, ...):
 * sets status and message unless an error is set already (the first one wins). `error`
 * may be NULL. Is `status`, so that callers can `return error_set(...)`. This and
 * error_system are macros so that compilers and analyzers see a failure that is not 0. */
#define error_set(error, status, ...) \
    (error_record((error), (status), __VA_ARGS__), error_code(status))

/* int error_system(struct deepsad_error *error, int number, format, ...): as error_set
 * with DEEPSAD_IO (DEEPSAD_NOT_FOUND for ENOENT) and ": <strerror(number)>". */
#define error_system(error, number, ...)                  \
    (error_record_system((error), (number), __VA_ARGS__), \
     error_code((number) == ENOENT ? DEEPSAD_NOT_FOUND : DEEPSAD_IO))

/* int error_no_memory(struct deepsad_error *error, const char *what):
 * "out of memory for <what>" */
#define error_no_memory(error, what) \
    error_set((error), DEEPSAD_NO_MEMORY, "out of memory for %s", (what))

__attribute__((format(printf, 3, 4))) void error_record(struct deepsad_error *error,
                                                        enum deepsad_status status,
                                                        const char *format, ...);
__attribute__((format(printf, 3, 4))) void
error_record_system(struct deepsad_error *error, int number, const char *format, ...);

/* Puts "<prefix>: " before the message that is set (a path, a row). Returns the status.
 */
__attribute__((format(printf, 2, 3))) int error_prefix(struct deepsad_error *error,
                                                       const char *format, ...);

#endif
