/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open connections and their deadlines. The library's own timeout restarts with every
 * byte, so a client that sends one byte a second would hold a connection for ever. Here
 * each phase of a connection has an absolute deadline, and a reaper thread shuts down the
 * sockets of those that miss it; while no answer has begun, with a 408.
 *
 * A deadline is no help while the table is full of clients that all keep just within
 * theirs. So there are two more ways to go. When nine tenths of the table are taken,
 * those that have waited longest for a head go, until there is room again; when the
 * server says that it is pressed (nearly as many requests at once as it takes), those
 * whose body or answer has been on its way longest. Nobody goes within the first second
 * of a phase, and nobody whom the server itself keeps waiting. And who has hung up while
 * we wait for a head is noticed here: the library may miss that, if it comes together
 * with bytes.
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
    CONNECTION_BODY,    /* a head has come, the body not yet, or it is dropped */
    CONNECTION_UPLOAD,  /* the same of a body that is so long that it counts as a request
                         */
    CONNECTION_WORK,    /* the request is complete, the server works on it */
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
    _Atomic uint64_t word;  /* deadline in ms of CLOCK_MONOTONIC << 3 | phase */
    _Atomic uint64_t since; /* when the phase began, in the same ms */
    atomic_uint status;     /* once shut down by the reaper: what it said, or 499 */
    uint64_t hung_up;       /* the reaper's: the word at which it saw so, or 0 */
    void *closure;          /* the owner's */
};

struct connection_table {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* no longer empty, or stopping */
    struct connection *first;
    atomic_size_t count;
    _Atomic uint64_t expired; /* connections over a deadline so far */
    _Atomic uint64_t evicted; /* and those that had to make room */
    size_t limit;             /* connections there may be */
    size_t peak;              /* the reaper's: most since memory was given back */
    /* How many requests must go so that there is room for others; any thread. */
    size_t (*pressed)(void *closure);
    void *closure;
    bool stopping;
    pthread_t reaper;
};

/* The caller has set limit, pressed and closure. */
int connection_table_init(struct connection_table *table, struct deepsad_error *error);
/* Joins the reaper; then done, when the library's threads have ended, too. */
void connection_table_stop(struct connection_table *table);
void connection_table_done(struct connection_table *table);

/* Both for `time_ms` from now on. */
void connection_add(struct connection_table *table, struct connection *connection,
                    int descriptor, unsigned time_ms);
void connection_remove(struct connection_table *table, struct connection *connection);

/* False: the connection has expired, the caller has nothing more to do with it. */
bool connection_enter(struct connection *connection, enum connection_phase phase,
                      unsigned time_ms);
/* Another name for the phase it is in, which goes on. */
void connection_become(struct connection *connection, enum connection_phase phase);
enum connection_phase connection_phase(const struct connection *connection);

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
