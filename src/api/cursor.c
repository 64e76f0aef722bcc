/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cursor.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/identifier.h"

enum { SUM_DIGITS = 8 };

/* FNV-1a: against mistakes, not against attackers, who gain nothing. */
static uint32_t checksum(const char *list, const char *key)
{
    uint32_t sum = 2166136261U;
    for (const char *text = list; *text != '\0'; text++) {
        sum = (sum ^ (unsigned char)*text) * 16777619U;
    }
    sum *= 16777619U;
    for (const char *text = key; *text != '\0'; text++) {
        sum = (sum ^ (unsigned char)*text) * 16777619U;
    }
    return sum;
}

void cursor_write(char out[static CURSOR_SIZE], const char *list, const char *key)
{
    snprintf(out, CURSOR_SIZE, "%08x%.*s", (unsigned)checksum(list, key), CURSOR_KEY_MAX,
             key);
}

bool cursor_read(char key[static CURSOR_KEY_MAX + 1], const char *list,
                 const char *cursor)
{
    char expected[CURSOR_SIZE];
    size_t length = strlen(cursor);
    if (length <= SUM_DIGITS ||
        !identifier_valid(cursor, length, SUM_DIGITS + CURSOR_KEY_MAX)) {
        return false;
    }
    cursor_write(expected, list, cursor + SUM_DIGITS);
    if (strcmp(expected, cursor) != 0) {
        return false;
    }
    memcpy(key, cursor + SUM_DIGITS, length - SUM_DIGITS + 1);
    return true;
}
