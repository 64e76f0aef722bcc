/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_plain.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/commas.h"
#include "base/number.h"
#include "base/number_block.h"
#include "base/number_short.h"

enum {
    WORD = 8,                    /* bytes */
    STRETCH = COMMAS_TEXT_MAX,   /* bytes whose commas are found at once */
    BEHIND = JSON_PLAIN_MIN - 64 /* bytes that may be read behind a stretch */
};

/* Numbers, still as text, of the rest of a row or line and of those behind it. */
struct stretch {
    struct number_plain numbers;
    const char *start[NUMBER_PLAIN_MAX + 1]; /* and where the one after the last may */
    const char *stop[NUMBER_PLAIN_MAX];
    size_t count;
};

/* `at` where the next number may begin; commas at text + places[]. */
static size_t cut(struct stretch *stretch, const struct rows *rows, const char *at,
                  const char *text, const uint16_t *places, size_t count)
{
    size_t columns = rows->nest.line, column = columns - (rows->nest.full - rows->filled);
    size_t n = 0;
    count = count < NUMBER_PLAIN_MAX ? count : NUMBER_PLAIN_MAX;
    while (n < count) {
        const char *stop = text + places[n];
        const char *next = stop + 1;
        next += *next == ' ';
        if (++column == columns) {
            column = 0;
            stop--;
            if (*stop != ']' || *next++ != '[') {
                break;
            }
        }
        unsigned negative = *at == '-';
        const char *digits = at + negative;
        unsigned fraction = digits[0] == '0' && digits[1] == '.';
        digits += 2 * (size_t)fraction;
        memcpy(&stretch->numbers.text[n], digits, WORD);
        stretch->numbers.length[n] = ((uint64_t)(stop - digits) & (NUMBER_FRACTION - 1)) |
                                     (uint64_t)negative << 63 | (uint64_t)fraction << 62;
        stretch->start[n] = at;
        stretch->stop[n++] = stop;
        at = next;
    }
    stretch->start[n] = at;
    stretch->count = n;
    for (size_t i = n; i % NUMBER_LANES != 0; i++) {
        stretch->numbers.text[i] = '0'; /* and a byte that is no digit */
        stretch->numbers.length[i] = 1;
    }
    return n;
}

/* One that the vector code has left; null is a missing value. */
static bool convert_odd(float *value, const struct stretch *stretch, size_t i,
                        const char *end)
{
    const char *start = stretch->start[i];
    if (stretch->stop[i] - start == 4 && memcmp(start, "null", 4) == 0) {
        *value = NAN;
        return true;
    }
    if (number_parse_short(value, start, end) == stretch->stop[i]) {
        return true;
    }
    return number_parse_float(value, start, end) == stretch->stop[i] &&
           fabsf(*value) <= FLT_MAX;
}

/* How many of the numbers were good, from the first on. */
static size_t convert(float *values, const struct stretch *stretch, const char *end)
{
    uint64_t odd[NUMBER_PLAIN_MAX];
    if (number_convert_plain(values, odd, &stretch->numbers, stretch->count) != 0) {
        for (size_t i = 0; i < stretch->count; i++) {
            if (odd[i] != 0 && !convert_odd(&values[i], stretch, i, end)) {
                return i;
            }
        }
    }
    return stretch->count;
}

/* How many were taken: all, unless the last row that is allowed is full. That one is left
 * to who can say so. */
static size_t store(struct rows *rows, const float *values, size_t count)
{
    size_t columns = rows->columns.count, taken = 0;
    while (taken < count) {
        size_t part = columns - rows->filled;
        part = part < count - taken ? part : count - taken;
        bool full = rows->filled + part == columns;
        if (full && rows->count + 1 >= rows->limits.rows) {
            break;
        }
        memcpy(rows->row + rows->filled, values + taken, part * sizeof *values);
        rows->filled += part;
        taken += part;
        if (full) {
            rows->count++;
            if (!rows_begin_row(rows)) {
                break;
            }
        }
    }
    if (rows->nest.dimensions > 1) {
        rows->nest.full = (rows->filled / rows->nest.line + 1) * rows->nest.line;
    }
    return taken;
}

/* How many values may be taken: the last of a plane's is left to who knows what brackets
 * follow. */
static size_t room(const struct rows *rows)
{
    return rows->nest.plane - 1 - rows->filled;
}

const char *json_plain_take(struct rows *rows, const char *at, const char *end)
{
    uint16_t places[COMMAS_MAX];
    struct stretch stretch;
    float values[NUMBER_PLAIN_MAX];
    while (json_plain_is_worth(rows, at, end) && room(rows) > 0) {
        size_t size = (size_t)(end - at) - BEHIND;
        size = size < STRETCH ? size / 64 * 64 : STRETCH;
        const char *text = at;
        size_t count = commas_list(places, text, size), used = 0;
        rows->stops += count == 0;
        do {
            size_t most = count - used < room(rows) ? count - used : room(rows);
            size_t cut_off = cut(&stretch, rows, at, text, places + used, most);
            size_t good = convert(values, &stretch, end);
            size_t taken = store(rows, values, good);
            at = stretch.start[taken];
            used += taken;
            if (taken == 0 || taken < cut_off) {
                rows->stops++;
                return at;
            }
        } while (used < count && room(rows) > 0);
    }
    return at;
}
