/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight characters in a 64-bit word, the last one the highest byte, so that a byte's
 * place says its power of ten. No branch and no table: the loop becomes vector code, 8
 * numbers at a time where registers are that wide.
 */
#include "base/number_block.h"

#include <stdbool.h>
#include <string.h>

#include "base/number_short.h"
#include "base/simd.h"

#if SIMD_X86
#include <immintrin.h>
#endif

/* What a float holds exactly. */
enum { WHOLE_MAX = 1 << 24 };

/* ---- Portably ---------------------------------------------------------------------- */

/* Each number as `text`, the 8 bytes from behind its sign and a "0." on, the first the
 * lowest; and `length` of what is there, with the bits that say what was before it. */
#define NEGATIVE (UINT64_C(1) << 63)
#define FRACTION (UINT64_C(1) << 62) /* "0." */
struct numbers {
    uint64_t text[NUMBER_PLAIN_MAX];
    uint64_t length[NUMBER_PLAIN_MAX];
};

static void load_numbers(struct numbers *out, const char *text, const uint16_t *starts,
                         const uint16_t *stops, size_t count)
{
    size_t i = 0;
    for (; i < count; i++) {
        const char *at = text + starts[i];
        at += *at == ' ';
        unsigned negative = *at == '-';
        at += negative;
        unsigned fraction = at[0] == '0' && at[1] == '.';
        at += 2 * (size_t)fraction;
        memcpy(&out->text[i], at, sizeof out->text[i]);
        out->length[i] = ((uint64_t)(text + stops[i] - at) & (FRACTION - 1)) |
                         (uint64_t)negative << 63 | (uint64_t)fraction << 62;
    }
    for (; i % NUMBER_LANES != 0; i++) {
        out->text[i] = '0'; /* and a byte that is no digit */
        out->length[i] = 1;
    }
}

/* Of a fixed number, so that the compiler makes no second loop for what is left over. */
static inline uint64_t convert_lanes(float *restrict values, uint64_t *restrict odd,
                                     const struct numbers *numbers, size_t at)
{
    uint64_t any = 0;
    for (size_t i = at; i < at + NUMBER_LANES; i++) {
        uint64_t length = numbers->length[i] & ~(NEGATIVE | FRACTION);
        bool fraction = (numbers->length[i] & FRACTION) != 0;
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
        values[i] = (numbers->length[i] & NEGATIVE) != 0 ? -value : value;
        odd[i] = wrong;
        any |= wrong;
    }
    return any;
}

SIMD_CLONES
static uint64_t convert_portably(float *values, uint64_t *odd,
                                 const struct numbers *numbers, size_t count)
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

/* Sixteen numbers: where their digits begin, behind space, sign and "0.". */
struct places {
    __m512i length, low, high; /* their first 8 bytes */
    __mmask16 negative, fraction, wrong;
};

AVX512 __m512i load_places(const uint16_t *places)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)places));
}

/* Whether the lowest byte is that one. */
AVX512 __mmask16 begins(__m512i head, char byte)
{
    return _mm512_cmpeq_epi32_mask(_mm512_and_si512(head, _mm512_set1_epi32(0xFF)),
                                   _mm512_set1_epi32(byte));
}

/* Whether it is no digit, where `which`. */
AVX512 __mmask16 begins_otherwise(__mmask16 which, __m512i head)
{
    __m512i byte = _mm512_and_si512(head, _mm512_set1_epi32(0xFF));
    return _mm512_mask_cmpgt_epu32_mask(
        which, _mm512_sub_epi32(byte, _mm512_set1_epi32('0')), _mm512_set1_epi32(9));
}

AVX512 struct places find_digits(const char *text, const uint16_t *starts,
                                 const uint16_t *stops)
{
    const __m512i one = _mm512_set1_epi32(1);
    __m512i start = load_places(starts);
    __m512i head = _mm512_i32gather_epi32(start, text, 1);
    __mmask16 space = begins(head, ' ');
    head = _mm512_mask_srli_epi32(head, space, head, 8);
    start = _mm512_mask_add_epi32(start, space, start, one);
    __mmask16 negative = begins(head, '-');
    head = _mm512_mask_srli_epi32(head, negative, head, 8);
    start = _mm512_mask_add_epi32(start, negative, start, one);
    __mmask16 zero = begins(head, '0'), wrong = begins_otherwise(0xFFFF, head);
    head = _mm512_srli_epi32(head, 8);
    __mmask16 fraction = begins(head, '.') & zero;
    start = _mm512_mask_add_epi32(start, fraction, start, _mm512_set1_epi32(2));
    /* A digit behind a first 0; none or more than 8. */
    wrong |= zero & (__mmask16)~begins_otherwise(zero, head);
    __m512i length = _mm512_sub_epi32(load_places(stops), start);
    wrong |= _mm512_cmpgt_epu32_mask(_mm512_sub_epi32(length, one), _mm512_set1_epi32(7));
    __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(start), text, 1);
    __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(start, 1), text, 1);
    return (struct places){length, low, high, negative, fraction, wrong};
}

/* Eight of them, one in each 64 bits. */
struct eight {
    __m512i fours;  /* the first and the last four digits as a number each */
    __m512i zeros;  /* bits before the point's place, 64 where there is none */
    __mmask8 wrong; /* what is there is something else */
};

/* The steps of convert_lanes(), on bytes where that takes fewer. */
AVX512 struct eight join_eight(__m512i text, __m256i length)
{
    const __m512i one = _mm512_set1_epi64(1);
    __m512i digits = _mm512_xor_si512(text, _mm512_set1_epi8('0'));
    __m512i other = _mm512_movm_epi8(_mm512_cmpgt_epu8_mask(digits, _mm512_set1_epi8(9)));
    __m512i shift = _mm512_cvtepi32_epi64(
        _mm256_sub_epi32(_mm256_set1_epi32(64), _mm256_slli_epi32(length, 3)));
    __m512i x = _mm512_sllv_epi64(digits, shift);
    other = _mm512_sllv_epi64(other, shift);
    /* All are digits, but for one point, which is not last. */
    __m512i low =
        _mm512_and_si512(other, _mm512_sub_epi64(_mm512_setzero_si512(), other));
    __m512i point = _mm512_sub_epi64(_mm512_slli_epi64(low, 8), low); /* its byte */
    __m512i wrong = _mm512_xor_si512(other, point);
    __m512i unlike = _mm512_xor_si512(x, _mm512_set1_epi8('.' ^ '0'));
    wrong = _mm512_or_si512(wrong, _mm512_and_si512(unlike, point));
    wrong = _mm512_or_si512(wrong, _mm512_and_si512(point, _mm512_set1_epi64(INT64_MIN)));
    /* The digits before it move there. */
    __m512i before = _mm512_min_epu64(_mm512_sub_epi64(low, one), low);
    __m512i moved = _mm512_slli_epi64(_mm512_and_si512(x, before), 8);
    x = _mm512_or_si512(_mm512_andnot_si512(_mm512_or_si512(before, point), x), moved);
    /* Pairs, then fours: neighbours times 10 and 1, 100 and 1. */
    x = _mm512_maddubs_epi16(x, _mm512_set1_epi16(0x010A));
    x = _mm512_madd_epi16(x, _mm512_set1_epi32(0x00010064));
    return (struct eight){x, _mm512_lzcnt_epi64(low),
                          _mm512_test_epi64_mask(wrong, wrong)};
}

/* Every second 32 bits of both, from the first or from the second on. */
AVX512 __m512i pick(__m512i low, __m512i high, int from)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_epi32(low, _mm512_add_epi32(even, _mm512_set1_epi32(from)),
                                     high);
}

/* Returns which are odd. */
AVX512 __mmask16 convert_sixteen(float *values, struct places places)
{
    /* By the digits behind a point; 8: there is none; 8 more behind a "0.". */
    const __m512 tens = _mm512_setr_ps(1e8F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F, 1e7F, 1,
                                       1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F, 1e7F);
    struct eight low = join_eight(places.low, _mm512_castsi512_si256(places.length));
    struct eight high =
        join_eight(places.high, _mm512_extracti64x4_epi64(places.length, 1));
    __m512i whole = _mm512_add_epi32(
        _mm512_mullo_epi32(pick(low.fours, high.fours, 0), _mm512_set1_epi32(10000)),
        pick(low.fours, high.fours, 1));
    __m512i zeros = pick(low.zeros, high.zeros, 0);
    __m512i behind = _mm512_srli_epi32(zeros, 3);
    behind = _mm512_mask_add_epi32(behind, places.fraction, behind, places.length);
    __mmask16 wrong = places.wrong | (__mmask16)(low.wrong | high.wrong << 8);
    wrong |= _mm512_mask_cmpneq_epi32_mask(places.fraction, zeros, _mm512_set1_epi32(64));
    wrong |= _mm512_mask_cmpgt_epi32_mask(places.fraction, whole,
                                          _mm512_set1_epi32(WHOLE_MAX));
    __m512 value =
        _mm512_div_ps(_mm512_cvtepi32_ps(whole), _mm512_permutexvar_ps(behind, tens));
    value = _mm512_mask_xor_ps(value, places.negative, value, _mm512_set1_ps(-0.0F));
    _mm512_storeu_ps(values, value);
    return wrong;
}

__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512cd"))) static uint64_t
convert_avx512(float *values, const char *text, const uint16_t *starts,
               const uint16_t *stops, size_t count)
{
    struct places places[NUMBER_PLAIN_MAX / NUMBER_LANES];
    uint64_t odd = 0;
    for (size_t i = 0; i < count; i += NUMBER_LANES) {
        places[i / NUMBER_LANES] = find_digits(text, starts + i, stops + i);
    }
    for (size_t i = 0; i < count; i += NUMBER_LANES) {
        uint64_t wrong = convert_sixteen(values + i, places[i / NUMBER_LANES]);
        odd |= wrong << i;
    }
    return odd;
}
#endif

uint64_t number_convert_plain(float *values, const char *text, const uint16_t *starts,
                              const uint16_t *stops, size_t count)
{
    uint64_t odd = 0;
#if SIMD_X86
    if (simd_level() == SIMD_AVX512 && __builtin_cpu_supports("avx512cd")) {
        odd = convert_avx512(values, text, starts, stops, count);
        return count < NUMBER_PLAIN_MAX ? odd & ((UINT64_C(1) << count) - 1) : odd;
    }
#endif
    struct numbers numbers = {.text = {0}};
    uint64_t wrong[NUMBER_PLAIN_MAX] = {0};
    load_numbers(&numbers, text, starts, stops, count);
    if (convert_portably(values, wrong, &numbers, count) != 0) {
        for (size_t i = 0; i < count; i++) {
            odd |= (uint64_t)(wrong[i] != 0) << i;
        }
    }
    return odd;
}
