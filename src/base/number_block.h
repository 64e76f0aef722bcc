/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers whose ends are known beforehand, a block of them by vector code: what
 * number_parse_float() would make of each where it is a JSON number without exponent, of
 * at most 8 characters behind its sign, or behind its sign and "0.", and of at most 7
 * significant digits or a whole number.
 */
#ifndef BASE_NUMBER_BLOCK_H
#define BASE_NUMBER_BLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { NUMBER_PLAIN_MAX = 64, NUMBER_LANES = 16 };

/* Each number as `text`, the 8 bytes from behind its sign and a "0." on, the first the
 * lowest, of which the one behind the number must be no digit where it is among them; and
 * `length` of what is there, with the bits that say what was before it. */
#define NUMBER_NEGATIVE (UINT64_C(1) << 63)
#define NUMBER_FRACTION (UINT64_C(1) << 62) /* "0." */
struct number_plain {
    uint64_t text[NUMBER_PLAIN_MAX];
    uint64_t length[NUMBER_PLAIN_MAX];
};

/* values[i] for those that are that simple; odd[i] is nonzero for the others. Returns
 * whether there are others. `count` is rounded up to NUMBER_LANES, in which all three
 * must have elements, and those of `numbers` be numbers. */
uint64_t number_convert_plain(float *values, uint64_t *odd,
                              const struct number_plain *numbers, size_t count);

#endif
