/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests a client may make: a steady rate and a burst, by the generic cell
 * rate algorithm (ITU-T I.371), which keeps one time a client: when its allowance would
 * be whole again. A client is a token, or an address where there is none.
 *
 * Clients are kept in a table of fixed size; where it is full, the one of those with the
 * same place whose allowance is whole first gives way. Locks: one a group of places;
 * leaves.
 */
#ifndef HTTP_QUOTA_H
#define HTTP_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct quota;

/* NULL: out of memory. At first without limit. */
struct quota *quota_new(void);
void quota_free(struct quota *quota);

/* `rate`: requests a second of one client, 0 = no limit; `burst`: at once, at least 1. At
 * any time. */
void quota_set(struct quota *quota, double rate, double burst);

/* What a client is told. */
struct quota_state {
    bool limited;   /* there is a limit, the rest counts */
    uint64_t burst; /* requests */
    uint64_t left;  /* requests that it may make now */
    double window;  /* seconds in which an empty allowance is whole again */
    double whole;   /* seconds until it is whole */
    double wait;    /* seconds until one more is taken; 0 = at once */
};

/* One request of the client; `now` in seconds of CLOCK_MONOTONIC. False: it is over. */
bool quota_take(struct quota *quota, struct quota_state *out, uint64_t client,
                double now);

/* The client of a name (a token's id) or of an address as text; of IPv6 the first 64
 * bits, since who has one address there has them all. */
uint64_t quota_client(const char *text);

#endif
