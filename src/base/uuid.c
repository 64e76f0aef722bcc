/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

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

static char *put_hex(char *out, uint64_t value, int digits)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = hex[value & 15];
        value >>= 4;
    }
    return out + digits;
}

void uuid_make(struct uuid_source *source, int64_t realtime_ms,
               char text[static UUID_SIZE])
{
    advance(source, realtime_ms);
    uint64_t time = (uint64_t)source->milliseconds;
    char *out = put_hex(text, time >> 16, 8);
    *out++ = '-';
    out = put_hex(out, time, 4);
    *out++ = '-';
    out = put_hex(out, 0x7000 | source->high, 4);
    *out++ = '-';
    out = put_hex(out, 0x8000 | source->low >> 48, 4);
    *out++ = '-';
    put_hex(out, source->low, 12);
}
