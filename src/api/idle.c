/* SPDX-License-Identifier: Apache-2.0 */
#include "api/idle.h"

#include <stdlib.h>

void *idle_pop(struct idle_pool *pool)
{
    struct idle *state = pool->first;
    if (state != NULL) {
        pool->first = state->next;
        pool->count--;
    }
    return state;
}

void *idle_take(struct idle_pool *pool, size_t size)
{
    void *state = idle_pop(pool);
    return state == NULL ? calloc(1, size) : state;
}

bool idle_give(struct idle_pool *pool, struct idle *state)
{
    if (pool->count >= IDLE_STATES_MAX) {
        return false;
    }
    state->next = pool->first;
    pool->first = state;
    pool->count++;
    return true;
}
