/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight characters in a 64-bit word, the last one the highest byte, so that a byte's
 * place says its power of ten. No branch and no table: the loop becomes vector code, 8
 * numbers at a time where registers are that wide.
 */
#include "base/number_block.h"

#include <stdbool.h>

#include "base/number_short.h"
#include "base/simd.h"

#if SIMD_X86
#include <immintrin.h>
#endif

/* What a float holds exactly. */
enum { WHOLE_MAX = 1 << 24 };

/* Of a fixed number, so that the compiler makes no second loop for what is left over. */
static inline uint64_t convert_lanes(float *restrict values, uint64_t *restrict odd,
                                     const struct number_plain *numbers, size_t at)
{
    uint64_t any = 0;
    for (size_t i = at; i < at + NUMBER_LANES; i++) {
        uint64_t length = numbers->length[i] & ~(NUMBER_NEGATIVE | NUMBER_FRACTION);
        bool fraction = (numbers->length[i] & NUMBER_FRACTION) != 0;
        uint64_t digits = numbers->text[i] ^ 0x3030303030303030U;
        uint64_t others = number_find_others(digits);
        uint64_t wrong = others & 0x80; /* no digit first */
        /* A digit behind a first 0. */
        wrong |= fraction ? 0 : ((digits & 0xff) - 1) & ~others & 0x8000;
        wrong |= (2 * length - 2) >> 4; /* none, or more than 8 */
        uint64_t x = digits << (0 - 8 * length) % 64;
        others <<= (0 - 8 * length) % 64;
        /* All are digits, but for one point, which is not last; it is cleared. */
        uint64_t point = others & -others;
        wrong |= point & UINT64_C(1) << 63;
        wrong |= fraction ? point : 0;
        x -= (point >> 2) - (point >> 6);           /* '.' ^ '0' in the point's place */
        wrong |= x & ((point << 1) - (point >> 7)); /* what else it was */
        wrong |= number_find_others(x);
        /* The digits before it move there. */
        uint64_t before = (point >> 7) - (point != 0 ? 1 : 0);
        x = (x & ~before) + ((x & before) << 8);
        /* Both exact as floats, hence one rounding. The point's place read as the digit
         * 1 is the power of ten; of eight digits behind a point it is 10 times that of
         * seven. */
        uint64_t unit = point != 0 ? point >> 7 : UINT64_C(1) << 56;
        unit = fraction ? UINT64_C(1) << (56 - 8 * (length - 1)) % 64 : unit;
        float power = (float)(int32_t)number_join_digits(unit, 8);
        uint64_t whole = number_join_digits(x, 8);
        bool broken = fraction || point != 0;
        wrong |= broken && whole > WHOLE_MAX ? 1 : 0;
        float value = (float)(int32_t)whole / (fraction ? power * 10.0F : power);
        values[i] = (numbers->length[i] & NUMBER_NEGATIVE) != 0 ? -value : value;
        odd[i] = wrong;
        any |= wrong;
    }
    return any;
}

SIMD_CLONES
static uint64_t convert_portably(float *values, uint64_t *odd,
                                 const struct number_plain *numbers, size_t count)
{
    uint64_t any = 0;
    for (size_t i = 0; i < count; i += NUMBER_LANES) {
        any |= convert_lanes(values, odd, numbers, i);
    }
    return any;
}

/* ---- AVX-512 ----------------------------------------------------------------------- */

#if SIMD_X86
#define AVX512                                                            \
    __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512cd"), \
                   always_inline)) static inline

/* Eight numbers, one in each 64 bits. */
struct eight {
    __m256i whole;    /* their digits as one number, without the point */
    __m256i fraction; /* how many of them are behind it, 15 for none */
    __mmask8 negative, odd;
};

/* Multiplications of neighbouring digits, pairs, fours, in which such processors are
 * good: by 10 and 1, 100 and 1, 10000 and 1. */
AVX512 __m512i join_digits(__m512i x)
{
    x = _mm512_maddubs_epi16(x, _mm512_set1_epi16(0x010A));
    x = _mm512_madd_epi16(x, _mm512_set1_epi32(0x00010064));
    return _mm512_add_epi64(_mm512_mul_epu32(x, _mm512_set1_epi64(10000)),
                            _mm512_srli_epi64(x, 32));
}

AVX512 __mmask8 test(__m512i x, uint64_t bits)
{
    return _mm512_test_epi64_mask(x, _mm512_set1_epi64((int64_t)bits));
}

/* The steps of convert_lanes(), on bytes where that takes fewer. */
AVX512 struct eight convert_eight(__m512i text, __m512i length)
{
    const __m512i one = _mm512_set1_epi64(1), zero = _mm512_setzero_si512();
    __m512i digits = _mm512_xor_si512(text, _mm512_set1_epi8('0'));
    __m512i other = _mm512_movm_epi8(_mm512_cmpgt_epu8_mask(digits, _mm512_set1_epi8(9)));
    __mmask8 negative = test(length, NUMBER_NEGATIVE);
    __mmask8 fraction = test(length, NUMBER_FRACTION);
    length = _mm512_and_si512(length, _mm512_set1_epi64((int64_t)(NUMBER_FRACTION - 1)));
    /* None or more than 8; no digit first; a digit behind a first 0. */
    __mmask8 wrong =
        _mm512_cmpgt_epu64_mask(_mm512_sub_epi64(length, one), _mm512_set1_epi64(7));
    wrong |= test(other, 0xFF);
    wrong |= (__mmask8)(~test(digits, 0xFF) & ~test(other, 0xFF00) & ~fraction);
    __m512i shift = _mm512_slli_epi64(_mm512_sub_epi64(_mm512_set1_epi64(8), length), 3);
    __m512i x = _mm512_sllv_epi64(digits, shift);
    other = _mm512_sllv_epi64(other, shift);
    /* All are digits, but for one point, which is not last. */
    __m512i low = _mm512_and_si512(other, _mm512_sub_epi64(zero, other));
    __m512i point = _mm512_sub_epi64(_mm512_slli_epi64(low, 8), low); /* its byte */
    __mmask8 pointed = _mm512_test_epi64_mask(low, low);
    wrong |= _mm512_cmpneq_epi64_mask(other, point);
    wrong |= test(point, UINT64_C(1) << 63) | (pointed & fraction);
    __m512i dots = _mm512_and_si512(point, _mm512_set1_epi8('.' ^ '0'));
    wrong |= _mm512_cmpneq_epi64_mask(_mm512_and_si512(x, point), dots);
    /* The digits before it move there. */
    __m512i before = _mm512_maskz_sub_epi64(pointed, low, one);
    x = _mm512_or_si512(_mm512_andnot_si512(_mm512_or_si512(before, point), x),
                        _mm512_slli_epi64(_mm512_and_si512(x, before), 8));
    __m512i behind = _mm512_mask_srli_epi64(_mm512_set1_epi64(15), pointed,
                                            _mm512_lzcnt_epi64(low), 3);
    behind = _mm512_mask_mov_epi64(behind, fraction, length);
    __m512i whole = join_digits(x);
    wrong |= _mm512_cmpgt_epi64_mask(whole, _mm512_set1_epi64(WHOLE_MAX)) &
             (pointed | fraction);
    struct eight out = {
        .whole = _mm512_cvtepi64_epi32(whole),
        .fraction = _mm512_cvtepi64_epi32(behind),
        .negative = negative,
        .odd = wrong,
    };
    return out;
}

AVX512 __m512i both(__m256i low, __m256i high)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512cd"))) static uint64_t
convert_avx512(float *values, uint64_t *odd, const struct number_plain *numbers,
               size_t count)
{
    const __m512 tens = _mm512_setr_ps(1, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F, 1e7F, 1e8F,
                                       1, 1, 1, 1, 1, 1, 1);
    uint64_t any = 0;
    for (size_t i = 0; i < count; i += NUMBER_LANES) {
        struct eight low = convert_eight(_mm512_loadu_si512(numbers->text + i),
                                         _mm512_loadu_si512(numbers->length + i));
        struct eight high = convert_eight(_mm512_loadu_si512(numbers->text + i + 8),
                                          _mm512_loadu_si512(numbers->length + i + 8));
        __m512 whole = _mm512_cvtepi32_ps(both(low.whole, high.whole));
        __m512i fraction = both(low.fraction, high.fraction);
        __m512 value = _mm512_div_ps(whole, _mm512_permutexvar_ps(fraction, tens));
        __mmask16 negative = (__mmask16)(low.negative | high.negative << 8);
        value = _mm512_mask_xor_ps(value, negative, value, _mm512_set1_ps(-0.0F));
        _mm512_storeu_ps(values + i, value);
        _mm512_storeu_si512(odd + i, _mm512_movm_epi64(low.odd));
        _mm512_storeu_si512(odd + i + 8, _mm512_movm_epi64(high.odd));
        any |= (uint64_t)low.odd | high.odd;
    }
    return any;
}
#endif

uint64_t number_convert_plain(float *values, uint64_t *odd,
                              const struct number_plain *numbers, size_t count)
{
#if SIMD_X86
    if (simd_level() == SIMD_AVX512 && __builtin_cpu_supports("avx512cd")) {
        return convert_avx512(values, odd, numbers, count);
    }
#endif
    return convert_portably(values, odd, numbers, count);
}
