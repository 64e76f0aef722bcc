/* SPDX-License-Identifier: Apache-2.0 */
/* States of requests that have ended, kept by their thread with the memory they have
 * grown to, for requests to come: as many as a busy thread uses, not as many as it ever
 * had. */
#ifndef API_IDLE_H
#define API_IDLE_H

#include <stdbool.h>
#include <stddef.h>

enum { IDLE_STATES_MAX = 8 };

/* The first member of such a state. */
struct idle {
    struct idle *next;
};

struct idle_pool {
    struct idle *first;
    size_t count;
};

/* One of those, else `size` bytes of zeros; NULL: out of memory. */
void *idle_take(struct idle_pool *pool, size_t size);
/* One of those; NULL: there is none. */
void *idle_pop(struct idle_pool *pool);
/* False: there are enough, the state is to be freed. */
bool idle_give(struct idle_pool *pool, struct idle *state);

#endif
