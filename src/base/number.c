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

/* `strict`: RFC 8259; else also "+1", "007", ".5" and "5.". */
static inline const char *scan(struct decimal *decimal, const char *p, const char *end,
                               const bool strict)
{
    decimal->negative = p < end && *p == '-';
    p += p < end && (*p == '-' || (!strict && *p == '+'));
    decimal->mantissa = p;
    uint64_t w = 0; /* wraps beyond 19 digits, which are then gathered once more */
    for (; p < end && is_digit(*p); p++) {
        w = w * 10 + (uint64_t)(*p - '0');
    }
    ptrdiff_t count = p - decimal->mantissa;
    if (strict && (count == 0 || (count > 1 && *decimal->mantissa == '0'))) {
        return NULL;
    }
    decimal->exponent = 0;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        for (; p < end && is_digit(*p); p++) {
            w = w * 10 + (uint64_t)(*p - '0');
        }
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
static inline uint32_t multiply(uint64_t power, uint32_t scaled)
{
    uint64_t product = (power >> 32) * scaled + ((power & 0xffffffff) * scaled >> 32);
    uint32_t high = (uint32_t)(product >> 32);
    uint32_t low = (uint32_t)product;
    return high | (low > 1);
}

struct shortest {
    uint32_t digits;
    int exponent;
};

/* The shortest decimal within the interval of reals that round to the float c 2^q, and of
 * those the nearest to it. All three bounds are scaled by 4 10^-k, where 10^k is the
 * largest power of ten below the interval's width: one or two candidates of k + 1 digits,
 * else two of k. Intervals are closed for even c, as rounding is to even. */
static struct shortest shorten(uint32_t c, int q, bool lower_is_closer)
{
    const int k = (q * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22; /* log10 2^q */
    const int shift = q + ((-k * 1741647) >> 19) + 1;                   /* log2 10^-k */
    const uint64_t power = POWERS[-k - POWER_MIN];
    const uint32_t odd = c & 1;
    const uint32_t lower = multiply(power, (4 * c - 2 + lower_is_closer) << shift) + odd;
    const uint32_t middle = multiply(power, (4 * c) << shift);
    const uint32_t upper = multiply(power, (4 * c + 2) << shift) - odd;

    const uint32_t s = middle / 4;
    const uint32_t tens = s / 10 * 10;
    if (s >= 10) {
        bool below = lower <= 4 * tens;
        bool above = 4 * tens + 40 <= upper;
        if (below != above) {
            return (struct shortest){tens / 10 + above, k + 1};
        }
    }
    bool below = lower <= 4 * s;
    bool above = 4 * s + 4 <= upper;
    if (below != above) {
        return (struct shortest){s + above, k};
    }
    const uint32_t half = 4 * s + 2;
    bool up = middle > half || (middle == half && (s & 1) != 0);
    return (struct shortest){s + up, k};
}

static struct shortest shortest_of_bits(uint32_t magnitude)
{
    uint32_t fraction = magnitude & 0x7fffff;
    int biased = (int)(magnitude >> 23);
    if (biased == 0) {
        return shorten(fraction, -149, false);
    }
    uint32_t c = fraction | 0x800000;
    int q = biased - 150;
    if (q <= 0 && q > -24 && (c & ((1u << -q) - 1)) == 0) {
        return (struct shortest){c >> -q, 0}; /* an integer below 2^24 */
    }
    return shorten(c, q, fraction == 0 && biased > 1);
}

enum { DIGITS = 9, DIGITS_ROOM = 32 };

/* The eight digits of a number below 10^8 as bytes 0..9, the first the lowest. */
static inline uint64_t spread_digits(uint32_t number)
{
    uint64_t halves = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t hundreds = ((halves * 10486) >> 20) & 0x0000007f0000007f; /* / 100 */
    uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16;
    uint64_t tens = ((pairs * 103) >> 10) & 0x000f000f000f000f; /* / 10 */
    return tens | (pairs - 10 * tens) << 8;
}

/* The digits of `value` > 0 at the left of `digits`, zeros behind them; returns how many
 * there are without trailing zeros. *exponent is that of the first. */
static size_t write_digits(char digits[static DIGITS_ROOM], int *exponent,
                           struct shortest value)
{
    static const uint32_t powers[] = {1,      10,      100,      1000,      10000,
                                      100000, 1000000, 10000000, 100000000, 1000000000};
    int bits = 32 - __builtin_clz(value.digits);
    int count = bits * 1233 >> 12; /* log10 2^bits */
    count += value.digits >= powers[count];
    *exponent = value.exponent + count - 1;
    uint32_t number = value.digits * powers[DIGITS - count];
    uint32_t first = number / powers[8];
    uint64_t rest = spread_digits(number - first * powers[8]);
    int zeros = rest == 0 ? 8 : __builtin_clzll(rest) / 8;
    rest |= 0x3030303030303030;
    memset(digits, '0', DIGITS_ROOM);
    digits[0] = (char)('0' + first);
    memcpy(digits + 1, &rest, sizeof rest);
    return (size_t)(DIGITS - zeros);
}

/* Copies are of a fixed size, more than is needed: `out` has room, and a constant number
 * of bytes is a load and a store. */
static size_t write_scientific(char *out, const char *digits, size_t count, int exponent)
{
    out[0] = digits[0];
    out[1] = '.';
    memcpy(out + 2, digits + 1, DIGITS - 1);
    size_t length = count > 1 ? count + 1 : 1;
    out[length++] = 'e';
    if (exponent < 0) {
        out[length++] = '-';
        exponent = -exponent;
    }
    if (exponent >= 10) {
        out[length++] = (char)('0' + exponent / 10);
    }
    out[length++] = (char)('0' + exponent % 10);
    return length;
}

static size_t write_plain(char *out, const char *digits, size_t count, int exponent)
{
    if (exponent < 0) {
        size_t zeros = (size_t)-exponent; /* the one before the point too */
        memset(out, '0', 8);
        out[1] = '.';
        memcpy(out + zeros + 1, digits, 16);
        return zeros + 1 + count;
    }
    size_t whole = (size_t)exponent + 1;
    memcpy(out, digits, 16);
    if (count <= whole) {
        return whole;
    }
    out[whole] = '.';
    memcpy(out + whole + 1, digits + whole, 16);
    return count + 1;
}

size_t number_format_float(char text[static NUMBER_FLOAT_MAX], float value)
{
    enum { PLAIN_MIN = -5, PLAIN_MAX = 9 }; /* 0.0000123456789 and 1234567890 */
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude == 0) {
        text[0] = '0';
        return 1;
    }
    char digits[DIGITS_ROOM];
    char out[DIGITS_ROOM + 8] = "-";
    int exponent;
    size_t count = write_digits(digits, &exponent, shortest_of_bits(magnitude));
    size_t sign = bits >> 31;
    bool plain = exponent >= PLAIN_MIN && exponent <= PLAIN_MAX;
    size_t length =
        sign + (plain ? write_plain(out + sign, digits, count, exponent)
                      : write_scientific(out + sign, digits, count, exponent));
    memcpy(text, out, NUMBER_FLOAT_MAX);
    return length;
}
