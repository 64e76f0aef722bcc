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
#include "http/options.h"

struct server;

int server_start(struct server **out, const struct server_options *options,
                 struct deepsad_error *error);
void server_set_limits(struct server *server, const struct server_limits *limits);

/* "127.0.0.1:8080" */
const char *server_address(const struct server *server);
size_t server_connections(const struct server *server);
/* Connections that were shut down because they missed a deadline. */
uint64_t server_expired(const struct server *server);
/* And those that had to make room for others. */
uint64_t server_evicted(const struct server *server);

/* Whether a thread has been busy with one step of one request for longer than that: it is
 * in a loop or waits for what does not come. Requests that wait for a disk are with other
 * threads. */
bool server_stuck(struct server *server, double seconds);

/* Stops accepting; new requests on open connections get 503 (those of ROUTE_OPERATIONS
 * are served), running ones are finished. Returns true when none is left, false after
 * `seconds`. */
bool server_drain(struct server *server, double seconds);

/* Closes all connections and joins all threads. Whoever has requests that routes deferred
 * must have given them all back, and takes no more. Accepts NULL. */
void server_stop(struct server *server);
/* After server_stop. Where handlers of one server look at another, stop both first. */
void server_free(struct server *server);

#endif
