/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list sorted by hash of (model, sample): found by halving, and short, since what has
 * run out goes with each request.
 */
#include "learn/lease.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct lease {
    uint64_t row, analyst; /* hashes: two that collide cost a row a pause */
    double until;
};

static uint64_t hash(uint64_t start, const char *text)
{
    uint64_t value = start ^ 0xCBF29CE484222325U; /* FNV-1a */
    for (; *text != '\0'; text++) {
        value = (value ^ (unsigned char)*text) * 0x100000001B3U;
    }
    return value ^ value >> 32;
}

static uint64_t row_hash(const char *model, const char *sample)
{
    return hash(hash(0, model), sample);
}

void leases_done(struct leases *leases)
{
    free(leases->list);
    *leases = (struct leases){0};
}

void leases_expire(struct leases *leases, double now)
{
    size_t kept = 0;
    for (size_t i = 0; i < leases->count; i++) {
        if (leases->list[i].until > now) {
            leases->list[kept++] = leases->list[i];
        }
    }
    leases->count = kept;
}

/* Where the row stands, or would. */
static size_t find(const struct leases *leases, uint64_t row)
{
    size_t low = 0, high = leases->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (leases->list[middle].row < row) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool leases_taken(const struct leases *leases, const char *model, const char *sample,
                  const char *analyst)
{
    uint64_t row = row_hash(model, sample);
    size_t at = find(leases, row);
    return at < leases->count && leases->list[at].row == row &&
           (analyst == NULL || leases->list[at].analyst != hash(1, analyst));
}

static bool reserve(struct leases *leases)
{
    if (leases->count >= LEASES_MAX) {
        return false;
    }
    if (leases->count < leases->capacity) {
        return true;
    }
    size_t capacity = leases->capacity == 0 ? 64 : 2 * leases->capacity;
    struct lease *larger = reallocarray(leases->list, capacity, sizeof *larger);
    if (larger == NULL) {
        return false;
    }
    leases->list = larger;
    leases->capacity = capacity;
    return true;
}

void leases_take(struct leases *leases, const char *model, const char *sample,
                 const char *analyst, double until)
{
    uint64_t row = row_hash(model, sample);
    size_t at = find(leases, row);
    if (at == leases->count || leases->list[at].row != row) {
        if (!reserve(leases)) {
            return;
        }
        memmove(&leases->list[at + 1], &leases->list[at],
                (leases->count - at) * sizeof *leases->list);
        leases->count++;
    }
    leases->list[at] =
        (struct lease){.row = row, .analyst = hash(1, analyst), .until = until};
}
