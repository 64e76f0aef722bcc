/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds of CLOCK_MONOTONIC. */
double clock_monotonic(void);

/* Milliseconds since 1970, CLOCK_REALTIME. */
int64_t clock_realtime_ms(void);

enum { CLOCK_RFC3339_SIZE = 25 };
/* "2026-01-31T12:34:56.789Z" with its NUL. */
void clock_format_rfc3339(char out[static CLOCK_RFC3339_SIZE], int64_t realtime_ms);
/* What that writes, and nothing else of RFC 3339. False: it is something else. */
bool clock_parse_rfc3339(int64_t *realtime_ms, const char *text);

#endif
