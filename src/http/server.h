/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP/1.1 server: libmicrohttpd's threads, each with an epoll of its own, around the
 * router. It knows no endpoint. Requests are read in parts as they arrive, so that the
 * time a client takes costs no thread; a handler runs in the thread of its connection.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
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

struct server_options {
    const char *listen;
    size_t threads;            /* at least 1 */
    size_t connections;        /* at once, at least one per thread */
    size_t connections_per_ip; /* 0 = no limit */
    size_t connection_memory;  /* bytes for a connection's head and input */
    struct server_limits limits;
    struct router router;
    void *app; /* for the routes and for the functions below */
    void *(*worker_new)(void *app);
    void (*worker_free)(void *app, void *worker);
    void (*observe)(void *app, const struct server_event *event); /* after each request */
};

struct server;

int server_start(struct server **out, const struct server_options *options,
                 struct deepsad_error *error);
void server_set_limits(struct server *server, const struct server_limits *limits);

/* "127.0.0.1:8080" */
const char *server_address(const struct server *server);
size_t server_connections(const struct server *server);
/* Connections that were shut down because they missed a deadline. */
uint64_t server_expired(const struct server *server);

/* Stops accepting; new requests on open connections get 503 (those of ROUTE_OPERATIONS
 * are served), running ones are finished. Returns true when none is left, false after
 * `seconds`. */
bool server_drain(struct server *server, double seconds);

/* Closes all connections and joins all threads. Accepts NULL. */
void server_stop(struct server *server);
/* After server_stop. Where handlers of one server look at another, stop both first. */
void server_free(struct server *server);

#endif
