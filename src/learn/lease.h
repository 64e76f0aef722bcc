/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows shown to one analyst are his for a while, so that two do not get the same. In
 * memory only: after a restart two may look at one row, which costs a verdict and loses
 * none. Not thread-safe: its owner locks.
 */
#ifndef LEARN_LEASE_H
#define LEARN_LEASE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Plain value; zero-initialise. */
struct leases {
    size_t count, capacity;
    struct lease *list;
};

void leases_done(struct leases *leases);

/* Forgets what ran out before `now` (clock_monotonic()). */
void leases_expire(struct leases *leases, double now);

/* Whether somebody else than `analyst` (NULL = nobody) has the row. */
bool leases_taken(const struct leases *leases, const char *model, const char *sample,
                  const char *analyst);

/* The row is the analyst's until `until`. At most LEASES_MAX at once; beyond that, and
 * out of memory, nothing is leased. */
enum { LEASES_MAX = 100000 };
void leases_take(struct leases *leases, const char *model, const char *sample,
                 const char *analyst, double until);

#endif
