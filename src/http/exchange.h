/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange is one request and its reply, from the head to the end of the answer; here
 * as far as it needs no library. What bounds all exchanges of a server together (how many
 * at once, whether it is shutting down) is kept beside.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "http/connection.h"
#include "http/executor.h"
#include "http/head.h"
#include "http/options.h"
#include "http/reply.h"
#include "http/request.h"

/* Bytes of a body from which a request counts among those at once, whole or not: a client
 * that sends next to nothing takes nobody's place. */
enum { EXCHANGE_SMALL_MAX = 32 << 10 };

/* Bytes of a refused body that are read and dropped: a client that sends all before it
 * reads would get a reset instead of the answer. */
enum {
    EXCHANGE_DISCARD_MAX = 64 << 20,
    EXCHANGE_DISCARD_STRANGER = 1 << 20, /* of a client that is not let in */
};

enum exchange_stage {
    EXCHANGE_NEW,     /* not handed over, or not yet back */
    EXCHANGE_BACK,    /* others have done their part, the reply is yet to be made */
    EXCHANGE_HANDLED, /* the reply is made */
};

struct exchange {
    struct request request;
    struct reply reply;
    const struct route *route;
    void *owner; /* whoever keeps exchanges; not looked at here */
    struct connection *connection;
    bool begun;     /* route->begin has run, so route->end must */
    bool refused;   /* the reply is known, the body is dropped */
    bool queued;    /* the answer is on its way */
    bool in_pieces; /* and as long as it is, is observed at its end */
    bool admitted;  /* counted in exchanges.admitted */
    bool waits;     /* and in exchanges.waiting */
    /* Of a request that is handed over: what is run when it is its turn, for whom (the
     * library's connection, suspended meanwhile), and how far it has come. */
    struct executor_task task;
    void *suspended;
    _Atomic enum exchange_stage stage;
    uint64_t received, sent;
    size_t taken; /* bytes of the piece in reply.body that the client has taken */
    double started;
    struct exchange *next; /* in the owner's free list */
};

/* All exchanges of a server. Lock: `mutex` with `finished` is the wait of a drain; a
 * leaf.
 */
struct exchanges {
    const struct server_options *options; /* borrowed */
    struct {
        atomic_size_t body, in_flight;
        atomic_uint head_ms, body_ms, reply_ms, idle_ms;
    } limits;
    atomic_size_t active;   /* under way */
    atomic_size_t admitted; /* of those, whole or long: at most in_flight */
    atomic_size_t waiting;  /* of those, on routes that may block: at most half of
                               in_flight, so that a slow disk leaves room for the others */
    atomic_bool draining;
    pthread_mutex_t mutex;
    pthread_cond_t finished;
};

void exchanges_init(struct exchanges *all, const struct server_options *options);
void exchanges_done(struct exchanges *all);
void exchanges_set_limits(struct exchanges *all, const struct server_limits *limits);
/* After `draining` was set: true when none is left, false after `seconds`. */
bool exchanges_drain(struct exchanges *all, double seconds);

/* How many more are admitted than leave half of in_flight free. */
size_t exchanges_excess(struct exchanges *all);

/* The exchange is under way until exchange_end(). */
void exchange_start(struct exchanges *all, struct exchange *exchange);
/* With the head complete: gives the request its id, finds the route and starts it, or
 * sets `refused`, and the reply says why. */
void exchange_head(struct exchanges *all, struct exchange *exchange,
                   const struct head *head, bool http_1_1, struct uuid_source *ids);
/* Bytes of its body that are dropped where it is refused. */
size_t exchange_discard_max(const struct exchange *exchange);
/* A part of the body. False: too much even to be dropped. */
bool exchange_part(struct exchanges *all, struct exchange *exchange, const char *bytes,
                   size_t size);
/* All of the body has come: from now on it counts, or there is no room for it. */
void exchange_whole(struct exchanges *all, struct exchange *exchange);
/* Whether the reply has yet to be made by a handler that may block. */
bool exchange_may_block(const struct exchange *exchange);
/* Whether others have work to do before that. Asks the route: call it once. */
bool exchange_defers(struct exchanges *all, struct exchange *exchange);
/* Gives it to them, who then run exchange->task. False: not taken. */
bool exchange_defer(struct exchanges *all, struct exchange *exchange);
/* The server is stopping: the reply says so. */
void exchange_cancel(struct exchange *exchange);
/* The body is complete: makes the reply, where it is not known. */
void exchange_handle(struct exchanges *all, struct exchange *exchange);
/* Where there is more to be sent, it is in reply.body from `taken` on. False: that was
 * all, or reply.body has failed. */
bool exchange_more(struct exchange *exchange);
/* Tells the observer. */
void exchange_observe(struct exchanges *all, struct exchange *exchange, unsigned status);
/* Ends the route, once; the exchange still counts as under way ... */
void exchange_end(struct exchanges *all, struct exchange *exchange);
/* ... until here, which touches none: it may have been given back. */
void exchanges_leave(struct exchanges *all);

#endif
