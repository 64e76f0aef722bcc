/* SPDX-License-Identifier: Apache-2.0 */
#include "http/exchange.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/identifier.h"
#include "http/auth.h"
#include "http/origin.h"
#include "http/quota.h"

enum { RETRY_AFTER = 1 /* seconds */ };

/* ---- All of a server ---- */

static unsigned milliseconds(double seconds)
{
    return (unsigned)(seconds * 1e3);
}

void exchanges_set_limits(struct exchanges *all, const struct server_limits *limits)
{
    atomic_store(&all->limits.body, limits->body);
    atomic_store(&all->limits.in_flight, limits->in_flight);
    atomic_store(&all->limits.head_ms, milliseconds(limits->head_time));
    atomic_store(&all->limits.body_ms, milliseconds(limits->body_time));
    atomic_store(&all->limits.reply_ms, milliseconds(limits->reply_time));
    atomic_store(&all->limits.idle_ms, milliseconds(limits->idle_time));
}

void exchanges_init(struct exchanges *all, const struct server_options *options)
{
    all->options = options;
    exchanges_set_limits(all, &options->limits);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&all->finished, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&all->mutex, NULL);
}

void exchanges_done(struct exchanges *all)
{
    pthread_cond_destroy(&all->finished);
    pthread_mutex_destroy(&all->mutex);
}

bool exchanges_drain(struct exchanges *all, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&all->mutex);
    int waited = 0;
    while (atomic_load(&all->active) > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&all->finished, &all->mutex, &until);
    }
    pthread_mutex_unlock(&all->mutex);
    return atomic_load(&all->active) == 0;
}

size_t exchanges_excess(struct exchanges *all)
{
    size_t limit = atomic_load(&all->limits.in_flight);
    size_t most = limit - (limit + 1) / 2, admitted = atomic_load(&all->admitted);
    return admitted > most ? admitted - most : 0;
}

void exchanges_leave(struct exchanges *all)
{
    if (atomic_fetch_sub(&all->active, 1) == 1 && atomic_load(&all->draining)) {
        pthread_mutex_lock(&all->mutex);
        pthread_cond_signal(&all->finished);
        pthread_mutex_unlock(&all->mutex);
    }
}

/* ---- The head ---- */

void exchange_start(struct exchanges *all, struct exchange *exchange)
{
    exchange->started = clock_monotonic();
    atomic_fetch_add(&all->active, 1);
}

static void set_request_id(struct exchange *exchange, const struct head *head,
                           struct uuid_source *ids)
{
    struct request *request = &exchange->request;
    if (identifier_valid(head->request_id.data, head->request_id.length,
                         REQUEST_ID_MAX)) {
        memcpy(request->id, head->request_id.data, head->request_id.length);
        request->id_length = head->request_id.length;
    } else {
        uuid_make(ids, clock_realtime_ms(), request->id);
        request->id_length = UUID_SIZE;
    }
    request->id[request->id_length] = '\0';
}

/* Whether the route takes a body of that kind; else the reply says what is wrong. */
static bool body_fits(const struct route *route, const struct head *head,
                      struct exchange *exchange)
{
    struct request *request = &exchange->request;
    unsigned takes = route->flags & (ROUTE_TAKES_JSON | ROUTE_TAKES_CSV |
                                     ROUTE_TAKES_NPY | ROUTE_TAKES_ANY);
    bool empty = request->has_length ? request->content_length == 0 : !request->chunked;
    if (takes == 0 || (empty && (route->flags & ROUTE_BODY_OPTIONAL) != 0)) {
        return true;
    }
    if (!request->has_length && !request->chunked) {
        reply_problem(request, &exchange->reply, 411,
                      "send the body with Content-Length or Transfer-Encoding: chunked");
        return false;
    }
    if (head->has_content_encoding) {
        reply_problem(request, &exchange->reply, 415,
                      "Content-Encoding is not supported; send the body as it is");
        return false;
    }
    bool fits = (takes & ROUTE_TAKES_ANY) != 0 ||
                (request->body_type == BODY_JSON && (takes & ROUTE_TAKES_JSON) != 0) ||
                (request->body_type == BODY_CSV && (takes & ROUTE_TAKES_CSV) != 0) ||
                (request->body_type == BODY_NPY && (takes & ROUTE_TAKES_NPY) != 0);
    if (!fits) {
        bool none = head->content_types == 0;
        size_t length = head->content_type.length;
        reply_problem(request, &exchange->reply, 415,
                      "Content-Type %.*s%s; send application/json%s, in UTF-8%s",
                      none           ? 10
                      : length < 100 ? (int)length
                                     : 100,
                      none ? "is missing" : head->content_type.data,
                      none ? "" : " is not supported",
                      (takes & ROUTE_TAKES_CSV) != 0 ? " or text/csv" : "",
                      (takes & ROUTE_TAKES_NPY) != 0 ? ", or application/x-npy" : "");
    }
    return fits;
}

static void refuse_size(struct exchanges *all, struct exchange *exchange)
{
    reply_problem(&exchange->request, &exchange->reply, 413,
                  "the body is longer than the limit of %zu bytes (limits.body)",
                  atomic_load(&all->limits.body));
    exchange->refused = true;
}

static void refuse_load(struct exchange *exchange, const char *why)
{
    reply_problem(&exchange->request, &exchange->reply, 503, "%s", why);
    exchange->reply.retry_after = RETRY_AFTER;
}

static bool is_operations(const struct exchange *exchange)
{
    return (exchange->route->flags & ROUTE_OPERATIONS) != 0;
}

/* Whether so many are under way; else the reply says so. */
static bool has_room(struct exchanges *all, struct exchange *exchange, size_t admitted,
                     size_t waiting)
{
    size_t limit = atomic_load(&all->limits.in_flight);
    if (admitted >= limit) {
        refuse_load(exchange, "too many requests at once (limits.in_flight)");
        return false;
    }
    if ((exchange->route->flags & ROUTE_MAY_BLOCK) != 0 && waiting >= (limit + 1) / 2) {
        refuse_load(exchange,
                    "too many requests at once that may have to wait for the disk "
                    "(half of limits.in_flight)");
        return false;
    }
    return true;
}

static void withdraw(struct exchanges *all, struct exchange *exchange)
{
    if (exchange->waits) {
        atomic_fetch_sub(&all->waiting, 1);
    }
    if (exchange->admitted) {
        atomic_fetch_sub(&all->admitted, 1);
    }
    exchange->admitted = exchange->waits = false;
}

/* Counts it, or refuses it. */
static void admit(struct exchanges *all, struct exchange *exchange)
{
    if (exchange->refused || exchange->admitted || is_operations(exchange)) {
        return;
    }
    bool waits = (exchange->route->flags & ROUTE_MAY_BLOCK) != 0;
    size_t admitted = atomic_fetch_add(&all->admitted, 1);
    size_t waiting = waits ? atomic_fetch_add(&all->waiting, 1) : 0;
    exchange->admitted = true;
    exchange->waits = waits;
    if (!has_room(all, exchange, admitted, waiting)) {
        withdraw(all, exchange);
        exchange->refused = true;
    }
}

/* Whether the client may have one more request. The quota is the token's, where it is a
 * good one, else the address's: guessing tokens does not get anybody another. */
static bool within_quota(const struct exchanges *all, struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    struct quota *quota = all->options->quota;
    if (quota == NULL) {
        return true;
    }
    const char *client = request->token != NULL ? request->token->id : request->address;
    if (quota_take(quota, &reply->quota, quota_client(client), exchange->started)) {
        return true;
    }
    double wait = ceil(reply->quota.wait);
    reply_problem(
        request, reply, 429,
        "more requests than %s may make (limits.client_rate); one more in %.0f s",
        request->token != NULL ? "this token" : "this address", wait);
    reply->retry_after = wait < 1 ? 1 : (unsigned)wait;
    return false;
}

/* Finds the route that the client asks for and may use; else the reply says why not. */
static bool let_in(const struct exchanges *all, struct exchange *exchange,
                   const struct head *head)
{
    const struct server_options *options = all->options;
    struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    const struct route *route = router_find(&options->router, request, reply);
    exchange->route = route;
    if (route != NULL && route->roles == 0) {
        return true; /* a probe */
    }
    if (options->auth != NULL) {
        auth_begin(options->auth, request, head);
    }
    return within_quota(all, exchange) && route != NULL &&
           auth_check(request, route, reply);
}

/* Finds the route and starts it. False: refused, the reply says why. */
static bool begin(struct exchanges *all, struct exchange *exchange,
                  const struct head *head, bool http_1_1)
{
    struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    if (!head_check(head, request, http_1_1, reply) ||
        !origin_check(head, request, reply) || !let_in(all, exchange, head)) {
        return false;
    }
    const struct route *route = exchange->route;
    if (!body_fits(route, head, exchange)) {
        return false;
    }
    bool operations = is_operations(exchange);
    if (atomic_load_explicit(&all->draining, memory_order_relaxed) && !operations) {
        refuse_load(exchange, "the server is shutting down");
        reply->close = true;
        return false;
    }
    if (!operations && !has_room(all, exchange, atomic_load(&all->admitted),
                                 atomic_load(&all->waiting))) {
        return false;
    }
    if (request->content_length > atomic_load(&all->limits.body)) {
        refuse_size(all, exchange);
        return false;
    }
    exchange->begun = true;
    return route->begin == NULL || route->begin(all->options->app, request, reply);
}

void exchange_head(struct exchanges *all, struct exchange *exchange,
                   const struct head *head, bool http_1_1, struct uuid_source *ids)
{
    set_request_id(exchange, head, ids);
    exchange->refused = !begin(all, exchange, head, http_1_1);
}

/* ---- The body and after ---- */

size_t exchange_discard_max(const struct exchange *exchange)
{
    unsigned status = exchange->reply.status;
    return status == 401 || status == 403 || status == 429 ? EXCHANGE_DISCARD_STRANGER
                                                           : EXCHANGE_DISCARD_MAX;
}

bool exchange_part(struct exchanges *all, struct exchange *exchange, const char *bytes,
                   size_t size)
{
    exchange->received += size;
    if (!exchange->refused &&
        exchange->received >
            atomic_load_explicit(&all->limits.body, memory_order_relaxed)) {
        refuse_size(all, exchange);
        exchange->reply.close = true;
    }
    if (exchange->received > EXCHANGE_SMALL_MAX) {
        admit(all, exchange);
    }
    if (exchange->refused && exchange->received > exchange_discard_max(exchange)) {
        return false;
    }
    if (!exchange->refused && exchange->route->body != NULL) {
        exchange->route->body(all->options->app, &exchange->request, bytes, size);
    }
    return true;
}

void exchange_whole(struct exchanges *all, struct exchange *exchange)
{
    admit(all, exchange);
}

bool exchange_may_block(const struct exchange *exchange)
{
    return !exchange->refused && (exchange->route->flags & ROUTE_MAY_BLOCK) != 0;
}

bool exchange_defers(struct exchanges *all, struct exchange *exchange)
{
    return !exchange->refused && exchange->route->defers != NULL &&
           exchange->route->defers(all->options->app, &exchange->request);
}

bool exchange_defer(struct exchanges *all, struct exchange *exchange)
{
    return exchange->route->defer(all->options->app, &exchange->request, &exchange->task);
}

void exchange_cancel(struct exchange *exchange)
{
    refuse_load(exchange, "the server is shutting down");
    exchange->reply.close = true;
}

void exchange_handle(struct exchanges *all, struct exchange *exchange)
{
    if (!exchange->refused) {
        exchange->route->handle(all->options->app, &exchange->request, &exchange->reply);
    }
}

bool exchange_more(struct exchange *exchange)
{
    struct reply *reply = &exchange->reply;
    while (exchange->taken == reply->body.length && reply->next != NULL) {
        buffer_clear(&reply->body);
        exchange->taken = 0;
        if (!reply->next(&exchange->request, &reply->body)) {
            reply->next = NULL;
        }
    }
    return !reply->body.failed && exchange->taken < reply->body.length;
}

void exchange_observe(struct exchanges *all, struct exchange *exchange, unsigned status)
{
    const struct router *router = &all->options->router;
    struct server_event event = {
        .request = &exchange->request,
        .route = exchange->route == NULL ? router->count
                                         : (size_t)(exchange->route - router->routes),
        .status = status,
        .seconds = clock_monotonic() - exchange->started,
        .received = exchange->received,
        .sent = exchange->sent,
    };
    all->options->observe(all->options->app, &event);
}

void exchange_end(struct exchanges *all, struct exchange *exchange)
{
    if (exchange->begun && exchange->route->end != NULL) {
        exchange->route->end(all->options->app, &exchange->request);
    }
    withdraw(all, exchange);
    auth_end(&exchange->request);
}
