/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double clock_monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int64_t clock_realtime_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void clock_format_rfc3339(char out[static CLOCK_RFC3339_SIZE], int64_t realtime_ms)
{
    time_t seconds = (time_t)(realtime_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t length = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    unsigned milliseconds = (unsigned)(realtime_ms % 1000) % 1000;
    snprintf(out + length, CLOCK_RFC3339_SIZE - length, ".%03uZ", milliseconds);
}

/* The form is checked by writing the time again: what is not the same was not one. */
bool clock_parse_rfc3339(int64_t *realtime_ms, const char *text)
{
    struct tm parts = {0};
    char again[CLOCK_RFC3339_SIZE];
    const char *rest = strlen(text) == CLOCK_RFC3339_SIZE - 1
                           ? strptime(text, "%Y-%m-%dT%H:%M:%S", &parts)
                           : NULL;
    if (rest == NULL || rest[0] != '.') {
        return false;
    }
    int64_t time = (int64_t)timegm(&parts) * 1000 + strtol(rest + 1, NULL, 10);
    clock_format_rfc3339(again, time);
    if (strcmp(again, text) != 0) {
        return false;
    }
    *realtime_ms = time;
    return true;
}
