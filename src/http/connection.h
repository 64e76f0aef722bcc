/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open connections and their deadlines. The library's own timeout restarts with every
 * byte, so a client that sends one byte a second would hold a connection for ever. Here
 * each phase of a connection has an absolute deadline, and a reaper thread shuts down the
 * sockets of those that miss it; while no answer has begun, with a 408.
 *
 * Where places are scarce, those who have waited longest without sending what they should
 * lose theirs before the deadline: see connection_evict().
 *
 * Locks: the table's mutex guards the list and, while it is held, the descriptors in it
 * (a connection leaves the list before its descriptor is closed); a leaf.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "http/reply.h"

enum connection_phase {
    CONNECTION_HEAD,    /* open, its first request's head not complete */
    CONNECTION_IDLE,    /* between requests */
    CONNECTION_BODY,    /* a head has come, the body not yet */
    CONNECTION_REPLY,   /* being answered */
    CONNECTION_EXPIRED, /* shut down by us */
};

enum { CONNECTION_ADDRESS_MAX = 46, CONNECTION_NAME_MAX = 128 };

struct connection {
    struct connection *previous, *next;
    int descriptor;
    bool encrypted;                            /* nothing can be said past the library */
    char address[CONNECTION_ADDRESS_MAX];      /* the client's; "" of a local socket */
    char certificate[CONNECTION_NAME_MAX + 1]; /* the name in the client's; "" = none */
    void *
        credentials; /* of an encrypted one: what it works with, the owner's to give up */
    _Atomic uint64_t word; /* deadline in ms of CLOCK_MONOTONIC << 3 | phase */
    void *closure;         /* the owner's */
};

struct connection_times {
    uint64_t limit_ms, peace_ms;
};

/* Where more than half of the places are taken, the reaper also expires connections that
 * have been in their phase for longer than its time of peace: the library accepts nobody
 * when all are taken. */
struct connection_room {
    size_t places;
    struct connection_times (*times)(void *closure, enum connection_phase phase);
    void *closure;
};

struct connection_table {
    struct connection_room room;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* no longer empty, or stopping */
    struct connection *first;
    atomic_size_t count;
    _Atomic uint64_t expired; /* connections over a deadline so far, or evicted */
    bool stopping;
    pthread_t reaper;
};

int connection_table_init(struct connection_table *table,
                          const struct connection_room *room,
                          struct deepsad_error *error);
/* Joins the reaper; then done, when the library's threads have ended, too. */
void connection_table_stop(struct connection_table *table);
void connection_table_done(struct connection_table *table);

void connection_add(struct connection_table *table, struct connection *connection,
                    int descriptor, uint64_t deadline_ms);
void connection_remove(struct connection_table *table, struct connection *connection);

/* False: the connection has expired, the caller has nothing more to do with it. */
bool connection_enter(struct connection *connection, enum connection_phase phase,
                      uint64_t deadline_ms);
enum connection_phase connection_phase(const struct connection *connection);

/* Somebody else needs the place: expires the connection that is next to its deadline
 * among those in `phase` whose deadline is less than `left_ms` away, so that one which
 * has just begun is left in peace. False: there is none. Takes the time of a walk over
 * all. */
bool connection_evict(struct connection_table *table, enum connection_phase phase,
                      uint64_t left_ms);

/* Sends the reply past the library and shuts the connection down: the way out where no
 * regular answer is possible any more. */
void connection_abort(struct connection *connection, const struct reply *reply);

/* Whether a connection is in that phase. */
bool connection_any(struct connection_table *table, enum connection_phase phase);

/* Whether the kernel holds bytes that the client has not taken. */
bool connection_unsent(int descriptor);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t connection_now(void);

#endif
