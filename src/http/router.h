/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes are one table of (methods, pattern, functions). A pattern is a path whose
 * segments are texts or {parameters}. Which route, 404 and 405 are decided before any
 * function of the route runs.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "access/role.h"
#include "http/executor.h"
#include "http/reply.h"
#include "http/request.h"

enum route_flags {
    ROUTE_TAKES_JSON = 1, /* which bodies are taken; none of these: no body is needed */
    ROUTE_TAKES_CSV = 2,
    ROUTE_OPERATIONS = 4,    /* served by the listener for operations, too */
    ROUTE_BODY_OPTIONAL = 8, /* of a kind that is taken, or no body at all */
    /* `handle` may wait (for a disk, a database) or take long: it runs in a thread of the
     * server's executor, with that one's request->worker. */
    ROUTE_MAY_BLOCK = 16,
    ROUTE_TAKES_NPY = 32,
    /* A body of any Content-Type or none: what it is, other header fields say. */
    ROUTE_TAKES_ANY = 64,
};

/* The functions of a route are called in this order, in the connection's thread; of a
 * route that may block, `handle` in another, while the connection's does something else.
 * `app` is what the server was given.
 *
 * A route that does not block may have somebody else work on its requests before `handle`
 * is called, say on many of them at once: see `defers`. */
struct route {
    unsigned methods; /* of enum http_method; HTTP_GET serves HEAD, too */
    const char *pattern;
    unsigned flags;
    /* Of enum role: a client needs one of them, for the model that {model} in the pattern
     * stands for; 0: everybody may. */
    unsigned roles;
    const char *help; /* one line for GET / */
    /* When the head has come; may be NULL. False: `reply` is the answer already, the
     * body is read and dropped, and of the functions below only `end` is called. */
    bool (*begin)(void *app, struct request *request, struct reply *reply);
    /* A part of the body; any size. May be NULL. */
    void (*body)(void *app, struct request *request, const char *bytes, size_t size);
    /* The request is complete: answer it. */
    void (*handle)(void *app, struct request *request, struct reply *reply);
    /* The reply is sent or the client has gone; releases request->state. May be NULL. */
    void (*end)(void *app, struct request *request);
    /* The request is complete: whether somebody else has work to do on it. NULL: never.
     */
    bool (*defers)(void *app, struct request *request);
    /* If so, and the connection waits: gives it to them, who call task->run(task, NULL,
     * false) once, from any thread, when they are through; `handle` is called then.
     * False: they do not take it after all. */
    bool (*defer)(void *app, struct request *request, struct executor_task *task);
};

struct router {
    const struct route *routes;
    size_t count;
    unsigned flags; /* only routes that have all of these; 0 = all routes */
};

/* The route for request->method and request->path, whose parameters it sets. NULL: the
 * reply is the problem, 404 or 405 with Allow. */
const struct route *router_find(const struct router *router, struct request *request,
                                struct reply *reply);

/* Whether the path fits the pattern; sets the parameters if it does. */
bool route_matches(const char *pattern, const char *path,
                   struct http_text parameters[static REQUEST_PARAMETERS_MAX]);

#endif
