/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In: up to 19 significant digits become an integer w, then one double multiplication or
 * division by a power of ten, then a rounding to float. That is exact unless the double
 * lands beside a midpoint between two floats; only then (one text in 10^8, besides
 * subnormals and overflows) strtof decides. Out: Schubfach (Giulietti, "The Schubfach way
 * to render doubles") in its form for binary32: one 64-bit power of ten, three products.
 */
#include "base/number.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"

#include "base/number_short.h"

/* ---- In ---- */

enum {
    FAST_DIGITS = 19, /* 10^19 - 1 fits 64 bits */
    /* A midpoint between two floats has at most 113 significant digits: where a longer
     * text agrees with it that far, all that matters is whether anything follows. */
    EXACT_DIGITS = 120,
};

static const double TENS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
                              1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
                              1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29,
                              1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39,
                              1e40, 1e41, 1e42, 1e43, 1e44, 1e45};
enum { FAST_EXPONENT = sizeof TENS / sizeof *TENS - 1 };

/* |value| = mantissa 10^exponent; mantissa = w 10^dropped where it has <= 19 digits. */
struct decimal {
    uint64_t w;
    int64_t exponent, dropped;
    bool negative;
    const char *mantissa, *mantissa_end; /* digits with a point anywhere */
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* The mantissa once more, where it has more than 19 digits: leading zeros do not count,
 * what is left out moves into `dropped`. */
static void gather_digits(struct decimal *decimal)
{
    uint64_t w = 0;
    int taken = 0;
    for (const char *p = decimal->mantissa; p < decimal->mantissa_end; p++) {
        if (*p == '.') {
            continue;
        }
        if (taken < FAST_DIGITS) {
            w = w * 10 + (uint64_t)(*p - '0');
            taken += w != 0;
        } else {
            decimal->dropped++;
        }
    }
    decimal->w = w;
}

/* "e-12" at p; NULL when no digit follows the e. Exponents beyond any mantissa that fits
 * in memory need no exact value. */
static const char *scan_exponent(struct decimal *decimal, const char *p, const char *end)
{
    p++;
    bool negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    const char *start = p;
    int64_t exponent = 0;
    for (; p < end && is_digit(*p); p++) {
        if (exponent < INT64_C(100000000000000000)) {
            exponent = exponent * 10 + (*p - '0');
        }
    }
    decimal->exponent += negative ? -exponent : exponent;
    return p == start ? NULL : p;
}

/* The digits at p, up to 8 at a time, behind those in *w; returns their end. */
static inline const char *take_digits(uint64_t *w, const char *p, const char *end)
{
    static const uint32_t tens[] = {1,      10,      100,      1000,     10000,
                                    100000, 1000000, 10000000, 100000000};
    while (end - p >= 8) {
        uint64_t x = number_load_digits(p);
        uint64_t others = number_find_others(x);
        unsigned count = others == 0 ? 8 : number_first_byte(others);
        if (count > 0) {
            *w = *w * tens[count] + number_join_digits(x, count);
            p += count;
        }
        if (count < 8) {
            return p;
        }
    }
    for (; p < end && is_digit(*p); p++) {
        *w = *w * 10 + (uint64_t)(*p - '0');
    }
    return p;
}

/* `strict`: RFC 8259; else also "+1", "007", ".5" and "5.". */
static inline const char *scan(struct decimal *decimal, const char *p, const char *end,
                               const bool strict)
{
    decimal->negative = p < end && *p == '-';
    p += p < end && (*p == '-' || (!strict && *p == '+'));
    decimal->mantissa = p;
    uint64_t w = 0; /* wraps beyond 19 digits, which are then gathered once more */
    p = take_digits(&w, p, end);
    ptrdiff_t count = p - decimal->mantissa;
    if (strict && (count == 0 || (count > 1 && *decimal->mantissa == '0'))) {
        return NULL;
    }
    decimal->exponent = 0;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = take_digits(&w, fraction, end);
        count += p - fraction;
        decimal->exponent = fraction - p;
        if (strict && p == fraction) {
            return NULL;
        }
    }
    if (count == 0) {
        return NULL;
    }
    decimal->w = w;
    decimal->dropped = 0;
    decimal->mantissa_end = p;
    if (count > FAST_DIGITS) {
        gather_digits(decimal);
    }
    return p < end && (*p | 0x20) == 'e' ? scan_exponent(decimal, p, end) : p;
}

/* strtof on a copy of bounded size: an integer and an exponent, hence without a decimal
 * point and the same in every locale. */
static float convert_exactly(const struct decimal *decimal)
{
    char text[EXACT_DIGITS + 32];
    size_t length = 0;
    int64_t exponent = decimal->exponent;
    bool rest = false;
    for (const char *p = decimal->mantissa; p < decimal->mantissa_end; p++) {
        if (*p == '.' || (length == 0 && *p == '0')) {
            continue;
        }
        if (length < EXACT_DIGITS) {
            text[length++] = *p;
        } else {
            exponent++;
            rest |= *p != '0';
        }
    }
    if (rest) {
        text[length++] = '1';
        exponent--;
    }
    const int64_t beyond = 100000; /* zero or infinity from here on */
    exponent = exponent > beyond ? beyond : exponent < -beyond ? -beyond : exponent;
    snprintf(text + length, sizeof text - length, "e%d", (int)exponent);
    return strtof(text, NULL);
}

/*
 * Why the fast path is exact. w is rounded to double, the power of ten is (above 10^22),
 * and their product or quotient is: each by a relative 2^-53 at most; digits dropped
 * behind the 19th add 10^-18 < 2^-59. So the true value v is within 3 2^-53 + 2^-59 of
 * the double d, that is within 4 units of d's last place. Rounding d to float gives
 * another result than rounding v only if a midpoint between two floats lies between d and
 * v or at d. In the range of normal floats midpoints are the doubles whose low 29 bits
 * are 2^28; d farther than 4 units from all of them is safe.
 */
static inline float convert(const struct decimal *decimal)
{
    if (decimal->w == 0) {
        return 0;
    }
    int64_t exponent = decimal->exponent + decimal->dropped;
    if (exponent >= -FAST_EXPONENT && exponent <= FAST_EXPONENT) {
        double d = (double)decimal->w;
        d = exponent < 0 ? d / TENS[-exponent] : d * TENS[exponent];
        uint64_t bits;
        memcpy(&bits, &d, sizeof bits);
        uint64_t from_midpoint = (bits & 0x1fffffff) - (0x10000000 - 5);
        if (d >= 0x1p-126 && d < 0x1p+127 && from_midpoint > 10) {
            return (float)d;
        }
    }
    return convert_exactly(decimal);
}

const char *number_parse_float(float *value, const char *text, const char *end)
{
    const char *next = number_parse_short(value, text, end);
    if (next != NULL) {
        return next;
    }
    struct decimal decimal;
    const char *behind = scan(&decimal, text, end, true);
    if (behind != NULL) {
        float magnitude = convert(&decimal);
        *value = decimal.negative ? -magnitude : magnitude;
    }
    return behind;
}

const char *number_parse_decimal(float *value, const char *text, const char *end)
{
    struct decimal decimal;
    const char *behind = scan(&decimal, text, end, false);
    if (behind != NULL) {
        float magnitude = convert(&decimal);
        *value = decimal.negative ? -magnitude : magnitude;
    }
    return behind;
}

/* ---- Out ---- */

/* ceil(10^k 2^(63 - floor(log2 10^k))), k = -31..45: 64 leading bits, rounded up. */
enum { POWER_MIN = -31 };
static const uint64_t POWERS[77] = {
    UINT64_C(0x81ceb32c4b43fcf5), UINT64_C(0xa2425ff75e14fc32),
    UINT64_C(0xcad2f7f5359a3b3f), UINT64_C(0xfd87b5f28300ca0e),
    UINT64_C(0x9e74d1b791e07e49), UINT64_C(0xc612062576589ddb),
    UINT64_C(0xf79687aed3eec552), UINT64_C(0x9abe14cd44753b53),
    UINT64_C(0xc16d9a0095928a28), UINT64_C(0xf1c90080baf72cb2),
    UINT64_C(0x971da05074da7bef), UINT64_C(0xbce5086492111aeb),
    UINT64_C(0xec1e4a7db69561a6), UINT64_C(0x9392ee8e921d5d08),
    UINT64_C(0xb877aa3236a4b44a), UINT64_C(0xe69594bec44de15c),
    UINT64_C(0x901d7cf73ab0acda), UINT64_C(0xb424dc35095cd810),
    UINT64_C(0xe12e13424bb40e14), UINT64_C(0x8cbccc096f5088cc),
    UINT64_C(0xafebff0bcb24aaff), UINT64_C(0xdbe6fecebdedd5bf),
    UINT64_C(0x89705f4136b4a598), UINT64_C(0xabcc77118461cefd),
    UINT64_C(0xd6bf94d5e57a42bd), UINT64_C(0x8637bd05af6c69b6),
    UINT64_C(0xa7c5ac471b478424), UINT64_C(0xd1b71758e219652c),
    UINT64_C(0x83126e978d4fdf3c), UINT64_C(0xa3d70a3d70a3d70b),
    UINT64_C(0xcccccccccccccccd), UINT64_C(0x8000000000000000),
    UINT64_C(0xa000000000000000), UINT64_C(0xc800000000000000),
    UINT64_C(0xfa00000000000000), UINT64_C(0x9c40000000000000),
    UINT64_C(0xc350000000000000), UINT64_C(0xf424000000000000),
    UINT64_C(0x9896800000000000), UINT64_C(0xbebc200000000000),
    UINT64_C(0xee6b280000000000), UINT64_C(0x9502f90000000000),
    UINT64_C(0xba43b74000000000), UINT64_C(0xe8d4a51000000000),
    UINT64_C(0x9184e72a00000000), UINT64_C(0xb5e620f480000000),
    UINT64_C(0xe35fa931a0000000), UINT64_C(0x8e1bc9bf04000000),
    UINT64_C(0xb1a2bc2ec5000000), UINT64_C(0xde0b6b3a76400000),
    UINT64_C(0x8ac7230489e80000), UINT64_C(0xad78ebc5ac620000),
    UINT64_C(0xd8d726b7177a8000), UINT64_C(0x878678326eac9000),
    UINT64_C(0xa968163f0a57b400), UINT64_C(0xd3c21bcecceda100),
    UINT64_C(0x84595161401484a0), UINT64_C(0xa56fa5b99019a5c8),
    UINT64_C(0xcecb8f27f4200f3a), UINT64_C(0x813f3978f8940985),
    UINT64_C(0xa18f07d736b90be6), UINT64_C(0xc9f2c9cd04674edf),
    UINT64_C(0xfc6f7c4045812297), UINT64_C(0x9dc5ada82b70b59e),
    UINT64_C(0xc5371912364ce306), UINT64_C(0xf684df56c3e01bc7),
    UINT64_C(0x9a130b963a6c115d), UINT64_C(0xc097ce7bc90715b4),
    UINT64_C(0xf0bdc21abb48db21), UINT64_C(0x96769950b50d88f5),
    UINT64_C(0xbc143fa4e250eb32), UINT64_C(0xeb194f8e1ae525fe),
    UINT64_C(0x92efd1b8d0cf37bf), UINT64_C(0xb7abc627050305ae),
    UINT64_C(0xe596b7b0c643c71a), UINT64_C(0x8f7e32ce7bea5c70),
    UINT64_C(0xb35dbf821ae4f38c),
};

/* floor(power scaled / 2^64) with a sticky last bit: enough to compare exactly. */
static inline uint32_t multiply(uint32_t power_high, uint32_t power_low, uint32_t scaled)
{
    uint64_t product =
        (uint64_t)power_high * scaled + ((uint64_t)power_low * scaled >> 32);
    uint32_t high = (uint32_t)(product >> 32);
    uint32_t low = (uint32_t)product;
    return high | (low > 1);
}

struct shortest {
    uint32_t digits;
    int32_t exponent;
};

/* The shortest decimal within the interval of reals that round to the float c 2^q, and of
 * those the nearest to it. All three bounds are scaled by 4 10^-k, where 10^k is the
 * largest power of ten below the interval's width: one or two candidates of k + 1 digits,
 * else two of k. Intervals are closed for even c, as rounding is to even. Which candidate
 * it is depends on a number's last bits: all are computed and one is selected, so that
 * nothing branches and loops over floats become vector code. */
static inline struct shortest shorten(uint32_t c, int32_t k, int32_t shift, uint32_t high,
                                      uint32_t low, uint32_t lower_is_closer)
{
    const uint32_t odd = c & 1;
    const uint32_t lower =
        multiply(high, low, (4 * c - 2 + lower_is_closer) << shift) + odd;
    const uint32_t middle = multiply(high, low, (4 * c) << shift);
    const uint32_t upper = multiply(high, low, (4 * c + 2) << shift) - odd;

    const uint32_t s = middle / 4, tens = s / 10, half = 4 * s + 2;
    const uint32_t tens_below = lower <= 40 * tens ? 1 : 0;
    const uint32_t tens_above = 40 * tens + 40 <= upper ? 1 : 0;
    const uint32_t below = lower <= 4 * s ? 1 : 0;
    const uint32_t above = 4 * s + 4 <= upper ? 1 : 0;
    const uint32_t up = middle + (s & 1) > half ? 1 : 0;
    const uint32_t longer = s + (below + above == 1 ? above : up);
    const uint32_t one_of_tens = tens == 0 ? 0 : tens_below + tens_above;
    return (struct shortest){one_of_tens == 1 ? tens + tens_above : longer,
                             one_of_tens == 1 ? k + 1 : k};
}

enum { DIGITS = 9 };

/* Text that fits a register pair, its first character lowest: put together by shifts and
 * stored at once, where bytes in memory would be written and read again too early. */
__extension__ typedef unsigned __int128 text_16;

/* The eight digits of a number below 10^8 as bytes 0..9, the first the lowest. */
static inline uint64_t spread_digits(uint32_t number)
{
    uint64_t halves = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t hundreds = ((halves * 10486) >> 20) & 0x0000007f0000007f; /* / 100 */
    uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16;
    uint64_t tens = ((pairs * 103) >> 10) & 0x000f000f000f000f; /* / 10 */
    return tens | (pairs - 10 * tens) << 8;
}

/* Of a block of floats: nine leading decimal digits, the first one and eight more, and
 * the exponent of the first. Found step by step, each a loop that becomes vector code;
 * only the table is looked up one by one. */
struct decimals {
    uint64_t rest[NUMBER_BLOCK];
    uint32_t first[NUMBER_BLOCK];
    int32_t exponent[NUMBER_BLOCK];
};

/* |value| = c 2^q; 10^k is the largest power of ten below its rounding interval. */
struct binary {
    uint32_t c[NUMBER_BLOCK], lower_is_closer[NUMBER_BLOCK];
    int32_t q[NUMBER_BLOCK], k[NUMBER_BLOCK];
    uint32_t power_high[NUMBER_BLOCK], power_low[NUMBER_BLOCK]; /* of 10^-k */
};

static inline void take_apart(struct binary *out, const float *values, size_t count)
{
    uint32_t bits[NUMBER_BLOCK];
    memcpy(bits, values, count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        uint32_t fraction = bits[i] & 0x7fffff;
        int32_t biased = (int32_t)(bits[i] >> 23 & 0xff);
        int32_t q = biased == 0 ? -149 : biased - 150;
        uint32_t closer = (uint32_t)(fraction == 0) & (uint32_t)(biased > 1);
        out->c[i] = biased == 0 ? fraction : fraction | 0x800000;
        out->q[i] = q;
        out->lower_is_closer[i] = closer;
        out->k[i] = (q * 1262611 - (int32_t)closer * 524031) >> 22; /* log10 2^q */
    }
}

/* Nine digits from one to nine; each step adds as many as are missing for sure. */
static inline struct shortest fill_up(struct shortest value)
{
    uint32_t n = value.digits;
    int32_t exponent = value.exponent + DIGITS - 1;
    exponent -= n < 100000 ? 4 : 0;
    n *= n < 100000 ? 10000 : 1;
    exponent -= n < 100000 ? 4 : 0;
    n *= n < 100000 ? 10000 : 1;
    exponent -= n < 10000000 ? 2 : 0;
    n *= n < 10000000 ? 100 : 1;
    exponent -= n < 100000000 ? 1 : 0;
    n *= n < 100000000 ? 10 : 1;
    return (struct shortest){n, exponent};
}

SIMD_CLONES
static void find_decimals(struct decimals *out, const float *values, size_t count)
{
    struct binary in;
    uint32_t eight[NUMBER_BLOCK];
    take_apart(&in, values, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t power = POWERS[-in.k[i] - POWER_MIN];
        in.power_high[i] = (uint32_t)(power >> 32);
        in.power_low[i] = (uint32_t)power;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t c = in.c[i];
        int32_t q = in.q[i], k = in.k[i];
        int32_t shift = q + ((-k * 1741647) >> 19) + 1; /* log2 10^-k */
        struct shortest value = shorten(c, k, shift, in.power_high[i], in.power_low[i],
                                        in.lower_is_closer[i]);
        int32_t places = q > -24 && q <= 0 ? -q : 0;
        bool whole = q > -24 && q <= 0 && c >> places << places == c;
        value.digits = whole ? c >> places : value.digits; /* an integer below 2^24 */
        value.exponent = whole ? 0 : value.exponent;
        value = fill_up(value);
        out->first[i] = value.digits / 100000000;
        out->exponent[i] = value.exponent;
        eight[i] = value.digits - out->first[i] * 100000000;
    }
    for (size_t i = 0; i < count; i++) {
        out->rest[i] = spread_digits(eight[i]);
    }
}

static inline text_16 low_bytes(text_16 text, size_t count)
{
    return text & (((text_16)1 << 8 * count) - 1);
}

/* Without branches, which the numbers' sizes would mislead: zeros come first where the
 * exponent is negative, then the point goes behind the whole part. */
static inline text_16 write_plain(text_16 digits, size_t *length, int exponent)
{
    unsigned zeros = exponent < 0 ? (unsigned)-exponent : 0;
    unsigned whole = exponent < 0 ? 1 : (unsigned)exponent + 1;
    uint64_t filled = 0x3030303030 & ((UINT64_C(1) << 8 * zeros) - 1);
    digits = digits << 8 * zeros | filled;
    text_16 behind = (text_16)1 << 8 * whole; /* the byte where the point goes */
    text_16 before = digits & (behind - 1);
    size_t count = *length + zeros;
    *length = count <= whole ? whole : count + 1;
    return before | '.' * behind | (digits - before) << 8;
}

static text_16 write_scientific(text_16 digits, size_t *length, int exponent)
{
    text_16 mantissa = low_bytes(digits, 1) | (text_16)'.' << 8 | digits >> 8 << 16;
    size_t end = *length > 1 ? *length + 1 : 1;
    text_16 power = exponent < 0 ? 'e' | '-' << 8 : 'e';
    size_t written = exponent < 0 ? 2 : 1;
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    if (magnitude >= 10) {
        power |= (text_16)('0' + magnitude / 10) << 8 * written++;
    }
    power |= (text_16)('0' + magnitude % 10) << 8 * written++;
    *length = end + written;
    return low_bytes(mantissa, end) | power << 8 * end;
}

static uint8_t write_number(char text[static NUMBER_FLOAT_MAX], bool negative,
                            uint32_t first, uint64_t rest, int exponent)
{
    enum { PLAIN_MIN = -5, PLAIN_MAX = 9 }; /* 0.0000123456789 and 1234567890 */
    uint64_t low = (rest << 8 | first) | 0x3030303030303030;
    text_16 digits = (text_16)(rest >> 56 | 0x3030303030303030) << 64 | low;
    size_t length = DIGITS - (rest == 0 ? 8 : (size_t)__builtin_clzll(rest) / 8);
    bool plain = exponent >= PLAIN_MIN && exponent <= PLAIN_MAX;
    text_16 out = plain ? write_plain(digits, &length, exponent)
                        : write_scientific(digits, &length, exponent);
    out = negative ? out << 8 | '-' : out;
    /* By halves: as a whole it would go through the stack, and wait there to be read. */
    uint64_t halves[] = {(uint64_t)out, (uint64_t)(out >> 64)};
    memcpy(text, &halves[0], 8);
    memcpy(text + 8, &halves[1], 8);
    return (uint8_t)(length + negative);
}

static uint8_t write_value(char text[static NUMBER_FLOAT_MAX], float value,
                           const struct decimals *decimals, size_t i)
{
    bool zero = value == 0.0F;
    return write_number(text, value < 0.0F, zero ? 0 : decimals->first[i],
                        zero ? 0 : decimals->rest[i], zero ? 0 : decimals->exponent[i]);
}

void number_format_floats(struct number_texts *out, const float *values, size_t count)
{
    struct decimals decimals = {0}; /* analyzers do not see into the clones */
    find_decimals(&decimals, values, count);
    for (size_t i = 0; i < count; i++) {
        out->length[i] = write_value(out->text[i], values[i], &decimals, i);
    }
}

size_t number_format_float(char text[static NUMBER_FLOAT_MAX], float value)
{
    struct decimals decimals;
    decimals.rest[0] = 0; /* as above; all of it would take half as long again */
    decimals.first[0] = 0;
    decimals.exponent[0] = 0;
    find_decimals(&decimals, &value, 1);
    return write_value(text, value, &decimals, 0);
}
