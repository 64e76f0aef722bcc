/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers whose places in a text are known beforehand, a block of them by vector code:
 * what number_parse_float() would make of each where it is a JSON number without
 * exponent, of at most 8 characters behind its sign, or behind its sign and "0.", and of
 * at most 7 significant digits or a whole number.
 */
#ifndef BASE_NUMBER_BLOCK_H
#define BASE_NUMBER_BLOCK_H

#include <stddef.h>
#include <stdint.h>

enum {
    NUMBER_PLAIN_MAX = 64,
    NUMBER_LANES = 16,
    NUMBER_PLAIN_BEHIND = 12, /* bytes that are read from a number's start on */
};

/* text[starts[i]] to before text[stops[i]] is a number, perhaps behind one space; what
 * stands at stops[i] must be no digit. values (count) of those that are that simple;
 * returns a bit for each of the others, the first the lowest. All three arrays have
 * elements up to a multiple of NUMBER_LANES, which in `starts` and `stops` have to be
 * places in the text, too. */
uint64_t number_convert_plain(float *values, const char *text, const uint16_t *starts,
                              const uint16_t *stops, size_t count);

#endif
