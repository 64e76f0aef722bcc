/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static uint64_t next_random(struct uuid_source *source)
{
    uint64_t z = source->random += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

void uuid_source_init(struct uuid_source *source)
{
    *source = (struct uuid_source){0};
    if (getrandom(&source->random, sizeof source->random, 0) !=
        (ssize_t)sizeof source->random) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        source->random =
            (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uintptr_t)source;
    }
}

static void advance(struct uuid_source *source, int64_t realtime_ms)
{
    if (realtime_ms > source->milliseconds) {
        source->milliseconds = realtime_ms;
        source->high = next_random(source) >> 53; /* 11 bits: room to count up */
        source->low = next_random(source) >> 2;
        return;
    }
    source->low += 1 + (next_random(source) >> 32);
    if (source->low >> 62 != 0) {
        source->low &= UINT64_MAX >> 2;
        source->high++;
        if (source->high >> 12 != 0) {
            source->high = 0;
            source->milliseconds++;
        }
    }
}

/* Eight hexadecimal digits as the bytes of a word, the first the lowest: nibbles spread
 * over the bytes, then '0' or 'a' - 10 added to all at once. */
static uint64_t hex_digits(uint32_t value)
{
    uint64_t v = value;
    v = (v << 16 | v) & 0x0000FFFF0000FFFFU;
    v = (v << 8 | v) & 0x00FF00FF00FF00FFU;
    v = (v << 4 | v) & 0x0F0F0F0F0F0F0F0FU;
    uint64_t letters = (v + 0x0606060606060606U) >> 4 & 0x0101010101010101U;
    v += 0x3030303030303030U + letters * ('a' - 10 - '0');
    return __builtin_bswap64(v);
}

static void put(char *out, uint64_t digits, size_t count)
{
    uint64_t bytes = htole64(digits);
    memcpy(out, &bytes, count);
}

static void write_head(struct uuid_source *source, uint64_t head)
{
    char *text = source->head_text;
    uint64_t second = hex_digits((uint32_t)head);
    put(text, hex_digits((uint32_t)(head >> 32)), 8);
    put(text + 9, second, 4);
    put(text + 14, second >> 32, 4);
    text[8] = text[13] = text[18] = '-';
    source->head = head;
}

void uuid_make(struct uuid_source *source, int64_t realtime_ms,
               char text[static UUID_SIZE])
{
    advance(source, realtime_ms);
    uint64_t head = (uint64_t)source->milliseconds << 16 | 0x7000 | source->high;
    if (head != source->head) {
        write_head(source, head);
    }
    uint64_t third = hex_digits((uint32_t)(0x80000000U | source->low >> 32));
    memcpy(text, source->head_text, 19);
    put(text + 19, third, 4);
    put(text + 24, third >> 32, 4);
    put(text + 28, hex_digits((uint32_t)source->low), 8);
    text[23] = '-';
}
