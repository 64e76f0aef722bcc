/* SPDX-License-Identifier: Apache-2.0 */
/* What a server is told when it starts, and what it tells of each request. */
#ifndef HTTP_OPTIONS_H
#define HTTP_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "http/router.h"

/* What a client may take. All may be changed while the server runs. */
struct server_limits {
    size_t body;       /* bytes */
    size_t in_flight;  /* requests being received or answered at once */
    double head_time;  /* seconds from the connection to the first complete head */
    double body_time;  /* from the head to the complete body */
    double reply_time; /* from there until the client has taken the answer */
    double idle_time;  /* from an answer to the next complete head */
};

struct server_event {
    const struct request *request;
    size_t route;    /* index in the table; the table's length where there was none */
    unsigned status; /* 408 and 499 (client gone): no answer was sent by a handler */
    double seconds;  /* from the head to the answer */
    uint64_t received;
    size_t sent;
};

struct auth;
struct quota;
struct tls;

struct server_options {
    const char *listen;
    int inherited;           /* a socket that listens already, taken over; -1: none */
    struct tls *tls;         /* NULL: without; the three are borrowed */
    struct auth *auth;       /* NULL: nobody is asked for a token */
    struct quota *quota;     /* NULL: none */
    size_t threads;          /* at least 1 */
    size_t blocking_threads; /* for routes that may block; 0: they run where others do */
    size_t connections;      /* at once, at least one per thread */
    size_t connections_per_ip; /* 0 = no limit */
    size_t connection_memory;  /* bytes for a connection's head and input */
    struct server_limits limits;
    struct router router;
    void *app; /* for the routes and for the functions below */
    void *(*worker_new)(void *app);
    void (*worker_free)(void *app, void *worker);
    void (*observe)(void *app, const struct server_event *event); /* after each request */
};

#endif
