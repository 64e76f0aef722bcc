/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common case of number_parse_float(), up to 7 digits before the point and 8 behind
 * it, for loops that read thousands of numbers and would feel the call.
 */
#ifndef BASE_NUMBER_SHORT_H
#define BASE_NUMBER_SHORT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that such a number and its surroundings are read from. */
enum { NUMBER_SHORT_MAX = 24 };

/* 8 bytes of text xor "00000000": digits are 0 to 9. */
static inline uint64_t number_load_digits(const char *text)
{
    uint64_t x;
    memcpy(&x, text, sizeof x);
    return x ^ 0x3030303030303030U;
}

/* The top bit of each byte that is no digit. A byte of 128 or more may carry into those
 * behind it; what follows such a byte is not looked at. */
static inline uint64_t number_find_others(uint64_t x)
{
    return ((x + 0x7676767676767676U) | x) & 0x8080808080808080U;
}

static inline unsigned number_first_byte(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask) / 8;
}

/* The value of the first `count` (1..8) digits: pairs, then fours, then all eight. */
static inline uint64_t number_join_digits(uint64_t x, unsigned count)
{
    x <<= 64 - 8 * count;
    x = x * 10 + (x >> 8);
    return ((x & 0xFF000000FFU) * 0xF424000000064U +
            (x >> 16 & 0xFF000000FFU) * 0x271000000001U) >>
           32;
}

/* The digits in x, `negative` bytes from its start, with a point behind `point` bytes and
 * the end behind `stop`, at most 8: w, of at most 7 digits, and the power of ten are
 * exact as floats, hence one rounding. */
static inline float number_join_fraction(uint64_t x, unsigned negative, unsigned point,
                                         unsigned stop)
{
    static const float tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    uint64_t whole = ((uint64_t)1 << 8 * point) - 1;
    x = (x & whole) | (x >> 8 & ~whole); /* the point is squeezed out */
    uint64_t w = number_join_digits(x >> 8 * negative, stop - 1 - negative);
    return (float)(int32_t)w / tens[stop - point - 1];
}

/*
 * No loop over digits, so no branch that their number could mislead, and the end of the
 * number is known from one load, before its value is: the next one can begin. NULL: not
 * that simple, or fewer than NUMBER_SHORT_MAX bytes before `end`. Both integers are exact
 * as doubles, so is the power of ten, hence one rounding: only at a midpoint itself does
 * rounding once more to float go astray.
 */
static inline const char *number_parse_short(float *value, const char *text,
                                             const char *end_of_text)
{
    if (end_of_text - text < NUMBER_SHORT_MAX ||
        __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
        return NULL;
    }
    static const uint32_t tens[] = {1,      10,      100,      1000,     10000,
                                    100000, 1000000, 10000000, 100000000};
    uint64_t x = number_load_digits(text);
    unsigned negative = *text == '-';
    uint64_t others = number_find_others(x) & ~(uint64_t)(negative << 7);
    uint64_t more = number_find_others(number_load_digits(text + 8));
    if (others == 0 || more == 0) {
        return NULL;
    }
    unsigned point = number_first_byte(others);
    unsigned count = point - negative;
    if (count == 0 || (count > 1 && text[negative] == '0')) {
        return NULL;
    }
    const char *end = text + point;
    unsigned fraction = 0;
    uint64_t w = 0;
    uint64_t rest = others & (others - 1);
    if (*end != '.') {
        w = number_join_digits(x >> 8 * negative, count);
    } else {
        unsigned stop = rest != 0 ? number_first_byte(rest) : 8 + number_first_byte(more);
        fraction = stop - point - 1;
        end = text + stop;
        if (fraction == 0 || fraction > 8 || (*end | 0x20) == 'e') {
            return NULL;
        }
        if (stop <= 8) {
            float magnitude = number_join_fraction(x, negative, point, stop);
            *value = negative != 0 ? -magnitude : magnitude;
            return end;
        }
        w = number_join_digits(x >> 8 * negative, count) * tens[fraction] +
            number_join_digits(number_load_digits(text + point + 1), fraction);
    }
    double d = (double)w / tens[fraction];
    uint64_t bits = 0;
    memcpy(&bits, &d, sizeof bits);
    if ((*end | 0x20) == 'e' || (bits & 0x1fffffff) == 0x10000000) {
        return NULL;
    }
    *value = (float)(negative != 0 ? -d : d);
    return end;
}

#endif
