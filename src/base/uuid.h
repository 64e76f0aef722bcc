/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UUIDs of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random bits. Within one
 * millisecond a source counts the random part up by random steps (section 6.2, method 2),
 * so ids of one source are unique and sort by time, and making one takes no system call.
 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stddef.h>
#include <stdint.h>

enum { UUID_SIZE = 36 };

/* One thread's source. */
struct uuid_source {
    uint64_t random; /* state of the generator (splitmix64), seeded by the system */
    int64_t milliseconds;
    uint64_t high; /* 12 bits */
    uint64_t low;  /* 62 bits */
    /* The text up to `low`, which ids of one millisecond share, and of what it is. */
    uint64_t head;
    char head_text[20];
};

/* Seeds from getrandom(2). */
void uuid_source_init(struct uuid_source *source);

/* Writes 36 characters, not terminated. `realtime_ms` is the clock's time, which a caller
 * reads once for a batch; going backwards is harmless. */
void uuid_make(struct uuid_source *source, int64_t realtime_ms,
               char text[static UUID_SIZE]);

#endif
