/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
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
    unsigned milliseconds = 0;
    char again[CLOCK_RFC3339_SIZE];
    if (strlen(text) != CLOCK_RFC3339_SIZE - 1 ||
        sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ", &parts.tm_year, &parts.tm_mon,
               &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec,
               &milliseconds) != 7) {
        return false;
    }
    parts.tm_year -= 1900;
    parts.tm_mon--;
    int64_t time = (int64_t)timegm(&parts) * 1000 + (int64_t)milliseconds;
    clock_format_rfc3339(again, time);
    if (strcmp(again, text) != 0) {
        return false;
    }
    *realtime_ms = time;
    return true;
}
