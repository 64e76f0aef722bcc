/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many commas there are in 64 bytes is nothing that a branch could be taught, so more
 * places are written than needed: with AVX-512 and its instruction that presses the
 * chosen of 64 bytes together, 16 or 32; else eight at a time.
 */
#include "base/commas.h"

#include <string.h>

#include "base/simd.h"

#if SIMD_X86
#include <immintrin.h>
#endif

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

SIMD_CLONES
static size_t list_portably(uint16_t *places, const char *text, size_t size)
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

#if SIMD_X86
__attribute__((
    target("avx512f,avx512vl,avx512dq,avx512bw,avx512vbmi2,popcnt"))) static size_t
list_vbmi2(uint16_t *places, const char *text, size_t size)
{
    const __m512i comma = _mm512_set1_epi8(',');
    __m512i numbers =
        _mm512_set_epi8(63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48,
                        47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32,
                        31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
                        15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    size_t count = 0;
    for (size_t start = 0; start < size; start += 64) {
        __m512i bytes = _mm512_loadu_si512(text + start);
        __mmask64 mask = _mm512_cmpeq_epi8_mask(bytes, comma);
        __m512i pressed = _mm512_maskz_compress_epi8(mask, numbers);
        __m512i base = _mm512_set1_epi16((short)start);
        __m512i low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(pressed));
        size_t found = (size_t)_mm_popcnt_u64(mask);
        _mm512_storeu_si512(places + count, _mm512_add_epi16(low, base));
        if (found > 32) {
            __m512i high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(pressed, 1));
            _mm512_storeu_si512(places + count + 32, _mm512_add_epi16(high, base));
        }
        count += found;
    }
    return count;
}
#endif

size_t commas_list(uint16_t places[static COMMAS_MAX], const char *text, size_t size)
{
#if SIMD_X86
    if (simd_level() == SIMD_AVX512 && __builtin_cpu_supports("avx512vbmi2")) {
        return list_vbmi2(places, text, size);
    }
#endif
    return list_portably(places, text, size);
}
