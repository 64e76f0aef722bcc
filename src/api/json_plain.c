/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_plain.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "base/number_block.h"
#include "base/simd.h"

enum {
    WORD = 8,                       /* bytes */
    STRETCH = 1024,                 /* bytes whose commas are found at once */
    BEHIND = JSON_PLAIN_MIN - 64,   /* bytes that may be read behind a stretch */
    COMMAS_MAX = STRETCH + 4 * WORD /* written in groups, the last beyond the last one */
};

/* 64 bytes, as wide as registers may be. */
typedef uint64_t words __attribute__((vector_size(64)));

/* A bit for each of 64 bytes that is a comma. */
static inline uint64_t find_commas(const char *text)
{
    words x;
    memcpy(&x, text, sizeof x);
    x ^= 0x2C2C2C2C2C2C2C2CU;
    words others = ((x & 0x7F7F7F7F7F7F7F7FU) + 0x7F7F7F7F7F7F7F7FU) | x;
    words commas = ~others >> 7 & 0x0101010101010101U;
    words bits = commas * 0x0102040810204080U >> 56;
    bits <<= (words){0, 8, 16, 24, 32, 40, 48, 56};
    return ((bits[0] | bits[1]) | (bits[2] | bits[3])) |
           ((bits[4] | bits[5]) | (bits[6] | bits[7]));
}

/* Their places in `size` bytes (a multiple of 64). Eight are written at a time, needed or
 * not: how many there are in 64 bytes is nothing that a branch could be taught. */
SIMD_CLONES
static size_t list_commas(uint16_t places[static COMMAS_MAX], const char *text,
                          size_t size)
{
    size_t count = 0;
    for (size_t start = 0; start < size; start += 64) {
        uint64_t mask = find_commas(text + start);
        unsigned found = (unsigned)__builtin_popcountll(mask);
        uint16_t *out = places + count;
        for (unsigned written = 0; written < found; written += 8) {
            for (unsigned i = 0; i < 8; i++) {
                unsigned bit = (unsigned)__builtin_ctzll(mask | UINT64_C(1) << 63);
                *out++ = (uint16_t)(start + bit);
                mask &= mask - 1;
            }
        }
        count += found;
    }
    return count;
}

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
        memcpy(&stretch->numbers.text[n], at + negative, WORD);
        stretch->numbers.length[n] =
            (uint64_t)(stop - at) - negative + ((uint64_t)negative << 63);
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
    uint16_t places[COMMAS_MAX] = {0};
    struct stretch stretch;
    float values[NUMBER_PLAIN_MAX];
    while (json_plain_is_worth(rows, at, end) && room(rows) > 0) {
        size_t size = (size_t)(end - at) - BEHIND;
        size = size < STRETCH ? size / 64 * 64 : STRETCH;
        const char *text = at;
        size_t count = list_commas(places, text, size), used = 0;
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
