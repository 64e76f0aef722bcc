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
    const char *text;
    uint16_t starts[NUMBER_PLAIN_MAX + NUMBER_LANES]; /* and of the one after the last */
    uint16_t stops[NUMBER_PLAIN_MAX];
    size_t count;
};

/* A row or line ends with number i: the brackets are taken off. False: there are none. */
static bool cut_row(struct stretch *stretch, size_t i)
{
    const char *comma = stretch->text + stretch->stops[i];
    const char *bracket = comma + 1 + (comma[1] == ' ');
    if (stretch->stops[i] == stretch->starts[i] || comma[-1] != ']' || *bracket != '[') {
        return false;
    }
    stretch->stops[i]--;
    stretch->starts[i + 1] = (uint16_t)(bracket + 1 - stretch->text);
    return true;
}

/* The first number begins at `start`, each ends at a comma or before the bracket before
 * it. */
static size_t cut(struct stretch *stretch, const struct rows *rows, size_t start,
                  const uint16_t *commas, size_t count)
{
    size_t columns = rows->nest.line;
    count = count < NUMBER_PLAIN_MAX ? count : NUMBER_PLAIN_MAX;
    stretch->starts[0] = (uint16_t)start;
    for (size_t i = 0; i < count; i++) {
        stretch->stops[i] = commas[i];
        stretch->starts[i + 1] = (uint16_t)(commas[i] + 1);
    }
    for (size_t i = rows->nest.full - rows->filled - 1; i < count; i += columns) {
        if (!cut_row(stretch, i)) {
            count = i;
        }
    }
    for (size_t i = count; i % NUMBER_LANES != 0; i++) {
        stretch->starts[i + 1] = stretch->starts[0];
        stretch->stops[i] = stretch->stops[0];
    }
    stretch->count = count;
    return count;
}

/* One that the vector code has left; null is a missing value. */
static bool convert_odd(float *value, const struct stretch *stretch, size_t i,
                        const char *end)
{
    const char *start = stretch->text + stretch->starts[i];
    const char *stop = stretch->text + stretch->stops[i];
    start += *start == ' ';
    if (stop - start == 4 && memcmp(start, "null", 4) == 0) {
        *value = NAN;
        return true;
    }
    if (number_parse_short(value, start, end) == stop) {
        return true;
    }
    return number_parse_float(value, start, end) == stop && fabsf(*value) <= FLT_MAX;
}

/* How many of the numbers were good, from the first on. */
static size_t convert(float *values, const struct stretch *stretch, const char *end)
{
    uint64_t odd = number_convert_plain(values, stretch->text, stretch->starts,
                                        stretch->stops, stretch->count);
    for (; odd != 0; odd &= odd - 1) {
        size_t i = (size_t)__builtin_ctzll(odd);
        if (!convert_odd(&values[i], stretch, i, end)) {
            return i;
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
    uint16_t commas[COMMAS_MAX];
    struct stretch stretch;
    float values[NUMBER_PLAIN_MAX];
    bool stopped = false;
    while (!stopped && json_plain_is_worth(rows, at, end) && room(rows) > 0) {
        size_t size = (size_t)(end - at) - BEHIND;
        size = size < STRETCH ? size / 64 * 64 : STRETCH;
        size_t count = commas_list(commas, at, size), used = 0, start = 0;
        stretch.text = at;
        rows->stops += count == 0;
        do {
            size_t most = count - used < room(rows) ? count - used : room(rows);
            size_t cut_off = cut(&stretch, rows, start, commas + used, most);
            size_t taken = store(rows, values, convert(values, &stretch, end));
            start = stretch.starts[taken];
            used += taken;
            stopped = taken == 0 || taken < cut_off;
        } while (!stopped && used < count && room(rows) > 0);
        rows->stops += stopped;
        at = stretch.text + start;
    }
    return at;
}
