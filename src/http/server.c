/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange is one request and its reply. The library calls on_request() once with the
 * head, once with each part of the body, and once more when all has come; answers leave
 * from that last call (one that leaves from the first ends the connection), except where
 * the body should not be read at all. Exchanges are kept by the thread they ran in, with
 * the memory their buffers have grown to, up to a cap.
 */
#include "http/server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/identifier.h"
#include "base/log.h"
#include "base/uuid.h"
#include "http/connection.h"
#include "http/head.h"
#include "http/listen.h"

enum {
    KEPT_REPLY_MAX = 1 << 20, /* bytes of a reply's buffer that an idle exchange keeps */
    DISCARD_MAX = 64 << 20,   /* bytes of a refused body that are read and dropped: a
                                 client that sends all before it reads would get a
                                 reset instead of the answer */
    RETRY_AFTER = 1,          /* seconds */
    THREAD_STACK = 512 << 10, /* bytes */
};

struct exchange {
    struct request request;
    struct reply reply;
    const struct route *route;
    struct thread *thread;
    struct connection *connection;
    bool begun;   /* route->begin has run, so route->end must */
    bool refused; /* the reply is known, the body is dropped */
    bool queued;
    uint64_t received;
    double started;
    struct exchange *next; /* in the thread's free list */
};

/* One of the library's threads, found by its id when a connection is accepted. */
struct thread {
    pthread_t id;
    void *worker;
    struct uuid_source ids;
    struct exchange *free;
    struct thread *next;
};

struct server {
    struct server_options options;
    struct MHD_Daemon *daemon;
    char address[LISTEN_ADDRESS_MAX];
    struct connection_table connections;
    struct {
        atomic_size_t body, in_flight;
        atomic_uint head_ms, body_ms, reply_ms, idle_ms;
    } limits;
    pthread_mutex_t mutex; /* guards `threads`; with `finished`, the wait of a drain */
    pthread_cond_t finished;
    struct thread *threads;
    atomic_size_t active; /* exchanges under way */
    atomic_bool draining;
    bool listening;
};

/* ---- Threads and exchanges --------------------------------------------------------- */

static struct thread *thread_current(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    struct thread *thread = server->threads;
    while (thread != NULL && !pthread_equal(thread->id, pthread_self())) {
        thread = thread->next;
    }
    if (thread == NULL && (thread = calloc(1, sizeof *thread)) != NULL) {
        thread->id = pthread_self();
        thread->worker = server->options.worker_new(server->options.app);
        uuid_source_init(&thread->ids);
        thread->next = server->threads;
        server->threads = thread;
    }
    pthread_mutex_unlock(&server->mutex);
    return thread;
}

static void thread_free(struct server *server, struct thread *thread)
{
    while (thread->free != NULL) {
        struct exchange *exchange = thread->free;
        thread->free = exchange->next;
        reply_done(&exchange->reply);
        free(exchange);
    }
    server->options.worker_free(server->options.app, thread->worker);
    free(thread);
}

static struct exchange *exchange_take(struct thread *thread)
{
    struct exchange *exchange = thread->free;
    if (exchange == NULL) {
        exchange = calloc(1, sizeof *exchange);
    } else {
        thread->free = exchange->next;
    }
    return exchange;
}

static void exchange_give(struct exchange *exchange)
{
    struct thread *thread = exchange->thread;
    if (exchange->reply.body.capacity > KEPT_REPLY_MAX) {
        reply_done(&exchange->reply);
    }
    reply_clear(&exchange->reply);
    struct reply reply = exchange->reply;
    *exchange = (struct exchange){.reply = reply, .next = thread->free};
    thread->free = exchange;
}

/* ---- The head ---------------------------------------------------------------------- */

struct head_pass {
    struct head head;
    struct request *request;
};

static enum MHD_Result on_header(void *closure, enum MHD_ValueKind kind, const char *name,
                                 size_t name_length, const char *value,
                                 size_t value_length)
{
    struct head_pass *pass = closure;
    (void)kind;
    head_add(&pass->head, pass->request, name, name_length, value, value_length);
    return MHD_YES;
}

static void set_request_id(struct exchange *exchange, const struct head *head)
{
    struct request *request = &exchange->request;
    if (identifier_valid(head->request_id.data, head->request_id.length,
                         REQUEST_ID_MAX)) {
        memcpy(request->id, head->request_id.data, head->request_id.length);
        request->id_length = head->request_id.length;
    } else {
        uuid_make(&exchange->thread->ids, clock_realtime_ms(), request->id);
        request->id_length = UUID_SIZE;
    }
    request->id[request->id_length] = '\0';
}

/* Whether the route takes a body of that kind; else the reply says what is wrong. */
static bool body_fits(const struct route *route, const struct head *head,
                      struct exchange *exchange)
{
    struct request *request = &exchange->request;
    unsigned takes = route->flags & (ROUTE_TAKES_JSON | ROUTE_TAKES_CSV);
    if (takes == 0) {
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
    bool fits = (request->body_type == BODY_JSON && (takes & ROUTE_TAKES_JSON) != 0) ||
                (request->body_type == BODY_CSV && (takes & ROUTE_TAKES_CSV) != 0);
    if (!fits) {
        bool none = head->content_types == 0;
        reply_problem(request, &exchange->reply, 415,
                      "Content-Type %.*s%s; send application/json%s, in UTF-8",
                      none ? 10 : (int)(head->content_type.length & 127),
                      none ? "is missing" : head->content_type.data,
                      none ? "" : " is not supported",
                      (takes & ROUTE_TAKES_CSV) != 0 ? " or text/csv" : "");
    }
    return fits;
}

static void refuse_size(struct server *server, struct exchange *exchange)
{
    reply_problem(&exchange->request, &exchange->reply, 413,
                  "the body is longer than the limit of %zu bytes (limits.body)",
                  atomic_load(&server->limits.body));
    exchange->refused = true;
}

static void refuse_load(struct exchange *exchange, const char *why)
{
    reply_problem(&exchange->request, &exchange->reply, 503, "%s", why);
    exchange->reply.retry_after = RETRY_AFTER;
}

/* Finds the route and starts it. False: refused, the reply says why. */
static bool exchange_begin(struct server *server, struct exchange *exchange,
                           const struct head *head, bool http_1_1)
{
    struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    if (!head_check(head, request, http_1_1, reply)) {
        return false;
    }
    const struct route *route = router_find(&server->options.router, request, reply);
    exchange->route = route;
    if (route == NULL || !body_fits(route, head, exchange)) {
        return false;
    }
    bool operations = (route->flags & ROUTE_OPERATIONS) != 0;
    if (atomic_load_explicit(&server->draining, memory_order_relaxed) && !operations) {
        refuse_load(exchange, "the server is shutting down");
        reply->close = true;
        return false;
    }
    if (!operations && atomic_load_explicit(&server->active, memory_order_relaxed) >
                           atomic_load(&server->limits.in_flight)) {
        refuse_load(exchange, "too many requests at once (limits.in_flight)");
        return false;
    }
    if (request->content_length > atomic_load(&server->limits.body)) {
        refuse_size(server, exchange);
        return false;
    }
    exchange->begun = true;
    return route->begin == NULL || route->begin(server->options.app, request, reply);
}

/* ---- The answer -------------------------------------------------------------------- */

static void add_headers(struct server *server, struct exchange *exchange,
                        struct MHD_Response *response)
{
    struct reply *reply = &exchange->reply;
    MHD_add_response_header(response, "Content-Type", reply->content_type);
    MHD_add_response_header(response, "X-Request-Id", exchange->request.id);
    if (reply->status == 405) {
        MHD_add_response_header(response, "Allow", reply->allow);
    }
    if (reply->retry_after > 0) {
        char seconds[] = {(char)('0' + reply->retry_after % 10), '\0'};
        MHD_add_response_header(response, "Retry-After", seconds);
    }
    if (reply->close || atomic_load_explicit(&server->draining, memory_order_relaxed)) {
        MHD_add_response_header(response, "Connection", "close");
    }
}

static void observe(struct server *server, struct exchange *exchange, unsigned status)
{
    const struct router *router = &server->options.router;
    struct server_event event = {
        .request = &exchange->request,
        .route = exchange->route == NULL ? router->count
                                         : (size_t)(exchange->route - router->routes),
        .status = status,
        .seconds = clock_monotonic() - exchange->started,
        .received = exchange->received,
        .sent = exchange->reply.body.length,
    };
    server->options.observe(server->options.app, &event);
}

static enum MHD_Result exchange_send(struct server *server, struct exchange *exchange,
                                     struct MHD_Connection *connection)
{
    struct reply *reply = &exchange->reply;
    unsigned reply_ms =
        atomic_load_explicit(&server->limits.reply_ms, memory_order_relaxed);
    if (!connection_enter(exchange->connection, CONNECTION_REPLY,
                          connection_now() + reply_ms)) {
        return MHD_NO;
    }
    if (reply->body.failed) {
        buffer_done(&reply->body);
        reply_problem(&exchange->request, reply, 500, "out of memory for the answer");
    }
    if (reply->body.failed) {
        return MHD_NO;
    }
    /* The body stays with the exchange, which outlives the response. */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->body.length, reply->body.data, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(server, exchange, response);
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    exchange->queued = result == MHD_YES;
    if (exchange->queued) {
        observe(server, exchange, reply->status);
    }
    return result;
}

/* ---- The library's callbacks ------------------------------------------------------- */

static struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static enum MHD_Result on_head(struct server *server, struct MHD_Connection *connection,
                               const char *path, const char *method, const char *version,
                               void **state)
{
    struct connection *own = connection_of(connection);
    struct exchange *exchange = own == NULL ? NULL : exchange_take(own->closure);
    unsigned body_ms =
        atomic_load_explicit(&server->limits.body_ms, memory_order_relaxed);
    if (exchange == NULL) {
        return MHD_NO;
    }
    exchange->thread = own->closure;
    exchange->connection = own;
    exchange->started = clock_monotonic();
    exchange->request.method = http_method_parse(method);
    exchange->request.path = path;
    exchange->request.worker = exchange->thread->worker;
    *state = exchange;
    atomic_fetch_add(&server->active, 1);
    if (!connection_enter(own, CONNECTION_BODY,
                          (uint64_t)(exchange->started * 1e3) + body_ms)) {
        return MHD_NO;
    }
    struct head_pass pass = {.request = &exchange->request};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &pass);
    set_request_id(exchange, &pass.head);
    bool http_1_1 = strcmp(version, "HTTP/1.1") == 0;
    exchange->refused = !exchange_begin(server, exchange, &pass.head, http_1_1);
    bool unread = pass.head.expects || exchange->reply.status == 400 ||
                  exchange->request.content_length > DISCARD_MAX;
    if (exchange->refused && unread) {
        exchange->reply.close = true;
        return exchange_send(server, exchange, connection);
    }
    return MHD_YES;
}

static enum MHD_Result on_part(struct server *server, struct exchange *exchange,
                               const char *bytes, size_t size)
{
    exchange->received += size;
    if (!exchange->refused &&
        exchange->received >
            atomic_load_explicit(&server->limits.body, memory_order_relaxed)) {
        refuse_size(server, exchange);
        exchange->reply.close = true;
    }
    if (exchange->received > DISCARD_MAX && exchange->refused) {
        connection_abort(&server->connections, exchange->connection, 413,
                         "the body is too long");
        return MHD_NO;
    }
    if (!exchange->refused && exchange->route->body != NULL) {
        exchange->route->body(server->options.app, &exchange->request, bytes, size);
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *closure, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *bytes, size_t *size,
                                  void **state)
{
    struct server *server = closure;
    struct exchange *exchange = *state;
    if (exchange == NULL) {
        return on_head(server, connection, path, method, version, state);
    }
    if (*size > 0) {
        size_t taken = *size;
        *size = 0;
        return on_part(server, exchange, bytes, taken);
    }
    if (!exchange->refused) {
        exchange->route->handle(server->options.app, &exchange->request,
                                &exchange->reply);
    }
    return exchange_send(server, exchange, connection);
}

static void finish_active(struct server *server)
{
    if (atomic_fetch_sub(&server->active, 1) == 1 && atomic_load(&server->draining)) {
        pthread_mutex_lock(&server->mutex);
        pthread_cond_signal(&server->finished);
        pthread_mutex_unlock(&server->mutex);
    }
}

static void on_completed(void *closure, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode how)
{
    struct server *server = closure;
    struct exchange *exchange = *state;
    (void)connection;
    (void)how;
    if (exchange == NULL) {
        return;
    }
    *state = NULL;
    if (!exchange->queued) {
        bool late = connection_phase(exchange->connection) == CONNECTION_EXPIRED;
        observe(server, exchange, late ? 408 : 499);
    }
    if (exchange->begun && exchange->route->end != NULL) {
        exchange->route->end(server->options.app, &exchange->request);
    }
    unsigned idle_ms =
        atomic_load_explicit(&server->limits.idle_ms, memory_order_relaxed);
    connection_enter(exchange->connection, CONNECTION_IDLE, connection_now() + idle_ms);
    exchange_give(exchange);
    finish_active(server);
}

static void on_connection(void *closure, struct MHD_Connection *connection,
                          void **context, enum MHD_ConnectionNotificationCode what)
{
    struct server *server = closure;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct connection *own = *context;
        if (own != NULL) {
            connection_remove(&server->connections, own);
            free(own);
            *context = NULL;
        }
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *own = calloc(1, sizeof *own);
    struct thread *thread = thread_current(server);
    if (info == NULL || own == NULL || thread == NULL) {
        free(own); /* its requests find no context and end the connection */
        return;
    }
    own->closure = thread;
    *context = own;
    connection_add(&server->connections, own, info->connect_fd,
                   connection_now() + atomic_load(&server->limits.head_ms));
}

/* Paths are matched as they were sent. */
static size_t no_unescape(void *closure, struct MHD_Connection *connection, char *text)
{
    (void)closure;
    (void)connection;
    return strlen(text);
}

__attribute__((format(printf, 2, 0))) static void
on_library_message(void *closure, const char *format, va_list arguments)
{
    char text[256];
    (void)closure;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_event(LOG_LEVEL_DEBUG, "libmicrohttpd", LOG_TEXT("detail", text));
}

/* ---- Start and stop ---------------------------------------------------------------- */

static unsigned milliseconds(double seconds)
{
    return (unsigned)(seconds * 1e3);
}

void server_set_limits(struct server *server, const struct server_limits *limits)
{
    atomic_store(&server->limits.body, limits->body);
    atomic_store(&server->limits.in_flight, limits->in_flight);
    atomic_store(&server->limits.head_ms, milliseconds(limits->head_time));
    atomic_store(&server->limits.body_ms, milliseconds(limits->body_time));
    atomic_store(&server->limits.reply_ms, milliseconds(limits->reply_time));
    atomic_store(&server->limits.idle_ms, milliseconds(limits->idle_time));
}

/* Strictness 0, not 1: at 1 the library answers a missing Host itself, in HTML and (up to
 * 0.9.75) with the head sent twice; head_check() refuses it as well. */
static struct MHD_Daemon *start_library(struct server *server, int descriptor)
{
    const struct server_options *options = &server->options;
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    flags |= server->address[0] == '[' ? (unsigned)MHD_USE_IPv6 : 0;
    intptr_t pool = options->threads > 1 ? (intptr_t)options->threads : 0;
    struct MHD_OptionItem pool_size[] = {
        {pool > 0 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, pool, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
        on_library_message, NULL, MHD_OPTION_LISTEN_SOCKET, descriptor,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)options->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)options->connections_per_ip,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->connection_memory,
        MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)THREAD_STACK, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_UNESCAPE_CALLBACK,
        no_unescape, NULL, MHD_OPTION_ARRAY, pool_size, MHD_OPTION_END);
}

static void init_locks(struct server *server)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->finished, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&server->mutex, NULL);
}

static void destroy(struct server *server)
{
    pthread_cond_destroy(&server->finished);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

int server_start(struct server **out, const struct server_options *options,
                 struct deepsad_error *error)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return error_no_memory(error, "the server");
    }
    server->options = *options;
    server_set_limits(server, &options->limits);
    init_locks(server);
    int status = connection_table_init(&server->connections, error);
    if (status != DEEPSAD_OK) {
        destroy(server);
        return status;
    }
    int descriptor = -1;
    status = listen_open(&descriptor, server->address, options->listen, error);
    if (status == DEEPSAD_OK) {
        server->daemon = start_library(server, descriptor);
        if (server->daemon == NULL) {
            close(descriptor);
            status = error_set(error, DEEPSAD_IO, "cannot start the server on %s",
                               options->listen);
        }
    }
    if (status != DEEPSAD_OK) {
        connection_table_stop(&server->connections);
        connection_table_done(&server->connections);
        destroy(server);
        return status;
    }
    server->listening = true;
    *out = server;
    return DEEPSAD_OK;
}

const char *server_address(const struct server *server)
{
    return server->address;
}

size_t server_connections(const struct server *server)
{
    return atomic_load(&server->connections.count);
}

uint64_t server_expired(const struct server *server)
{
    return atomic_load(&server->connections.expired);
}

static void stop_listening(struct server *server)
{
    if (server->listening) {
        MHD_socket descriptor = MHD_quiesce_daemon(server->daemon);
        if (descriptor != MHD_INVALID_SOCKET) {
            close(descriptor);
        }
        server->listening = false;
    }
}

bool server_drain(struct server *server, double seconds)
{
    atomic_store(&server->draining, true);
    stop_listening(server);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&server->mutex);
    int waited = 0;
    while (atomic_load(&server->active) > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&server->finished, &server->mutex, &until);
    }
    pthread_mutex_unlock(&server->mutex);
    return atomic_load(&server->active) == 0;
}

void server_stop(struct server *server)
{
    if (server != NULL) {
        stop_listening(server);
        MHD_stop_daemon(server->daemon);
        connection_table_stop(&server->connections);
    }
}

void server_free(struct server *server)
{
    if (server == NULL) {
        return;
    }
    connection_table_done(&server->connections);
    while (server->threads != NULL) {
        struct thread *thread = server->threads;
        server->threads = thread->next;
        thread_free(server, thread);
    }
    destroy(server);
}
