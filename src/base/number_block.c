/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight characters in a 64-bit word, the last one the highest byte, so that a byte's
 * place says its power of ten. No branch and no table: the loop becomes vector code, 8
 * numbers at a time where registers are that wide.
 */
#include "base/number_block.h"

#include "base/number_short.h"
#include "base/simd.h"

/* Of a fixed number, so that the compiler makes no second loop for what is left over. */
static inline uint64_t convert_lanes(float *restrict values, uint64_t *restrict odd,
                                     const struct number_plain *numbers, size_t at)
{
    uint64_t any = 0;
    for (size_t i = at; i < at + NUMBER_LANES; i++) {
        uint64_t length = numbers->length[i];
        uint64_t digits = numbers->text[i] ^ 0x3030303030303030U;
        uint64_t others = number_find_others(digits);
        uint64_t wrong = others & 0x80;                    /* no digit first */
        wrong |= ((digits & 0xff) - 1) & ~others & 0x8000; /* a digit behind a first 0 */
        wrong |= (2 * length - 2) >> 4;                    /* none, or more than 8 */
        uint64_t x = digits << (0 - 8 * length) % 64;
        others <<= (0 - 8 * length) % 64;
        /* All are digits, but for one point, which is not last; it is cleared. */
        uint64_t point = others & -others;
        wrong |= point & UINT64_C(1) << 63;
        x -= (point >> 2) - (point >> 6);           /* '.' ^ '0' in the point's place */
        wrong |= x & ((point << 1) - (point >> 7)); /* what else it was */
        wrong |= number_find_others(x);
        /* The digits before it move there. */
        uint64_t before = (point >> 7) - (point != 0 ? 1 : 0);
        x = (x & ~before) + ((x & before) << 8);
        /* Up to 8 digits, or 7 and a power of ten: exact as floats, hence one rounding.
         * The point's place read as the digit 1 is that power. */
        uint64_t unit = point != 0 ? point >> 7 : UINT64_C(1) << 56;
        float value = (float)(int32_t)number_join_digits(x, 8) /
                      (float)(int32_t)number_join_digits(unit, 8);
        values[i] = length >> 63 != 0 ? -value : value;
        odd[i] = wrong;
        any |= wrong;
    }
    return any;
}

SIMD_CLONES
uint64_t number_convert_plain(float *values, uint64_t *odd,
                              const struct number_plain *numbers, size_t count)
{
    uint64_t any = 0;
    for (size_t i = 0; i < count; i += NUMBER_LANES) {
        any |= convert_lanes(values, odd, numbers, i);
    }
    return any;
}
