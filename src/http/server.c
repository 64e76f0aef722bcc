/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library calls on_request() once with the head of a request, once with each part of
 * the body, and once more when all has come; answers leave from that last call (one that
 * leaves from the first ends the connection), except where the body should not be read at
 * all.
 *
 * A request whose handler may block is handed to the executor when it is complete, its
 * connection suspended: the thread that serves it goes on with others. When the reply is
 * there the connection is resumed, and the library calls on_request() once more, in the
 * connection's own thread, which sends it. A request that its route defers goes the same
 * way, to whoever the route gives it to; its reply is made after that, in the
 * connection's own thread. Suspended before it is handed over, resumed as the last thing:
 * at any time one thread alone has the exchange. A client that goes away meanwhile, or is
 * shut down by the reaper, is noticed after that.
 */
#include "http/server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/accept.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "http/fields.h"
#include "http/head.h"
#include "http/listen.h"
#include "http/response.h"
#include "http/thread.h"
#include "http/tls.h"

enum {
    DRAIN_HEADS_MS = 1000,    /* for first requests that are on their way */
    LONG_ANSWER = 64 << 10,   /* bytes */
    THREAD_STACK = 512 << 10, /* bytes */
};

struct server {
    struct server_options options;
    struct MHD_Daemon *daemon;
    char address[LISTEN_ADDRESS_MAX];
    struct connection_table connections;
    struct exchanges exchanges;
    struct executor *executor; /* NULL: nothing is handed over */
    struct threads threads;
    int descriptor; /* of the listening socket; the library's to close */
    bool listening;
    uint64_t drain_began_ms;
};

/* Milliseconds that a connection may be in a phase. */
static unsigned phase_time(const struct server *server, enum connection_phase phase)
{
    const atomic_uint *limit = &server->exchanges.limits.reply_ms;
    if (phase == CONNECTION_HEAD) {
        limit = &server->exchanges.limits.head_ms;
    } else if (phase == CONNECTION_BODY) {
        limit = &server->exchanges.limits.body_ms;
    } else if (phase == CONNECTION_IDLE) {
        limit = &server->exchanges.limits.idle_ms;
    }
    return atomic_load_explicit(limit, memory_order_relaxed);
}

static bool enter(const struct server *server, struct connection *own,
                  enum connection_phase phase)
{
    return connection_enter(own, phase, phase_time(server, phase));
}

/* ---- The answer ---- */

static enum MHD_Result send_reply(struct server *server, struct exchange *exchange,
                                  struct MHD_Connection *connection)
{
    struct reply *reply = &exchange->reply;
    if (!enter(server, exchange->connection, CONNECTION_REPLY)) {
        return MHD_NO;
    }
    if (reply->body.failed) {
        buffer_done(&reply->body);
        reply_problem(&exchange->request, reply, 500, "out of memory for the answer");
    }
    if (reply->body.failed) {
        return MHD_NO;
    }
    bool closes = reply->close ||
                  atomic_load_explicit(&server->exchanges.draining, memory_order_relaxed);
    struct MHD_Response *response =
        response_new(exchange, closes, server->options.tls != NULL);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    exchange->queued = result == MHD_YES;
    exchange->in_pieces = exchange->queued && reply->next != NULL;
    if (exchange->queued && !exchange->in_pieces) {
        exchange_observe(&server->exchanges, exchange, reply->status);
    }
    return result;
}

/* ---- Handing over ---- */

/* In a thread of the executor or in the one that stops it; or, without a worker, in one
 * of those to whom the request was deferred. */
static void run_exchange(struct executor_task *task, void *worker, bool cancelled)
{
    struct exchange *exchange =
        (struct exchange *)((char *)task - offsetof(struct exchange, task));
    struct thread *owner = exchange->owner;
    struct MHD_Connection *connection = exchange->suspended;
    enum exchange_stage stage = EXCHANGE_HANDLED;
    if (cancelled) {
        exchange_cancel(exchange);
    } else if (worker != NULL) {
        exchange->request.worker = worker;
        exchange_handle(&((struct server *)owner->owner)->exchanges, exchange);
        exchange->request.worker = owner->worker;
    } else {
        stage = EXCHANGE_BACK;
    }
    atomic_store_explicit(&exchange->stage, stage, memory_order_release);
    MHD_resume_connection(connection); /* from here on the exchange is not ours */
}

/* Whether somebody else is to have the request, which is complete. */
static bool goes_elsewhere(struct server *server, struct exchange *exchange)
{
    return exchange_may_block(exchange) ? server->executor != NULL
                                        : exchange_defers(&server->exchanges, exchange);
}

static void submit(struct server *server, struct exchange *exchange)
{
    struct executor_task *task = &exchange->task;
    if (exchange_may_block(exchange)) {
        if (!executor_submit(server->executor, task)) {
            task->run(task, NULL, true);
        }
    } else if (!exchange_defer(&server->exchanges, exchange)) {
        task->run(task, NULL, false);
    }
}

static enum MHD_Result hand_over(struct server *server, struct exchange *exchange,
                                 struct MHD_Connection *connection)
{
    if (!enter(server, exchange->connection, CONNECTION_WORK)) {
        return MHD_NO;
    }
    exchange->task.run = run_exchange;
    exchange->suspended = connection;
    MHD_suspend_connection(connection);
    submit(server, exchange);
    return MHD_YES;
}

/* ---- The library's callbacks ---- */

static enum MHD_Result on_head(struct server *server, struct connection *own,
                               struct MHD_Connection *connection, const char *path,
                               const char *method, const char *version, void **state)
{
    struct thread *thread = own->closure;
    struct exchange *exchange = thread_take_exchange(thread);
    if (exchange == NULL) {
        return MHD_NO;
    }
    exchange->connection = own;
    exchange->request.method = http_method_parse(method);
    exchange->request.path = http_target_path(path);
    exchange->request.address = own->address;
    exchange->request.certificate = own->certificate;
    exchange->request.worker = thread->worker;
    *state = exchange;
    accept_note_certificate(own, connection);
    exchange_start(&server->exchanges, exchange);
    if (!enter(server, own, CONNECTION_BODY)) {
        return MHD_NO;
    }
    struct head head = {0};
    head_add_target(&head, path);
    fields_read(&head, &exchange->request, connection);
    exchange_head(&server->exchanges, exchange, &head, strcmp(version, "HTTP/1.1") == 0,
                  &thread->ids);
    bool unread = head.expects || exchange->reply.status == 400 ||
                  exchange->request.content_length > exchange_discard_max(exchange);
    if (exchange->refused && unread) {
        exchange->reply.close = true;
        return send_reply(server, exchange, connection);
    }
    return MHD_YES;
}

static enum MHD_Result serve(struct server *server, struct connection *own,
                             struct MHD_Connection *connection, const char *path,
                             const char *method, const char *version, const char *bytes,
                             size_t *size, void **state)
{
    struct exchange *exchange = *state;
    if (exchange == NULL) {
        return on_head(server, own, connection, path, method, version, state);
    }
    if (*size > 0) {
        size_t taken = *size;
        *size = 0;
        bool admitted = exchange->admitted;
        if (exchange_part(&server->exchanges, exchange, bytes, taken)) {
            if (exchange->admitted && !admitted) {
                connection_become(exchange->connection, CONNECTION_UPLOAD);
            }
            return MHD_YES;
        }
        connection_abort(exchange->connection, &exchange->reply);
        exchange->queued = true;
        exchange_observe(&server->exchanges, exchange, exchange->reply.status);
        return MHD_NO;
    }
    enum exchange_stage stage =
        atomic_load_explicit(&exchange->stage, memory_order_acquire);
    if (stage == EXCHANGE_NEW) {
        exchange_whole(&server->exchanges, exchange);
    }
    if (stage == EXCHANGE_NEW && goes_elsewhere(server, exchange)) {
        return hand_over(server, exchange, connection);
    }
    if (stage != EXCHANGE_HANDLED) {
        if (!enter(server, exchange->connection, CONNECTION_WORK)) {
            return MHD_NO;
        }
        exchange_handle(&server->exchanges, exchange);
    }
    return send_reply(server, exchange, connection);
}

/* Milliseconds that the client may take for its next request. To the library an answer is
 * sent once the kernel has it, which may be megabytes before the client has. */
static unsigned idle_time(struct server *server, const struct exchange *exchange)
{
    unsigned idle_ms = phase_time(server, CONNECTION_IDLE);
    unsigned reply_ms = phase_time(server, CONNECTION_REPLY);
    bool behind = exchange->sent > LONG_ANSWER && reply_ms < idle_ms &&
                  connection_unsent(exchange->connection->descriptor);
    return behind ? reply_ms : idle_ms;
}

static enum MHD_Result on_request(void *closure, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *bytes, size_t *size,
                                  void **state)
{
    struct connection *own = accept_find(connection);
    if (own == NULL) {
        return MHD_NO;
    }
    struct thread *thread = own->closure;
    atomic_store_explicit(&thread->busy_since, connection_now(), memory_order_relaxed);
    enum MHD_Result result =
        serve(closure, own, connection, path, method, version, bytes, size, state);
    atomic_store_explicit(&thread->busy_since, 0, memory_order_relaxed);
    return result;
}

static void on_completed(void *closure, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode how)
{
    struct server *server = closure;
    struct exchange *exchange = *state;
    (void)connection;
    if (exchange == NULL) {
        return;
    }
    *state = NULL;
    if (exchange->in_pieces) {
        bool whole = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
        exchange_observe(&server->exchanges, exchange,
                         whole ? exchange->reply.status : 499);
    } else if (!exchange->queued) {
        bool late = connection_phase(exchange->connection) == CONNECTION_EXPIRED;
        exchange_observe(&server->exchanges, exchange,
                         late ? atomic_load(&exchange->connection->status) : 499);
    }
    exchange_end(&server->exchanges, exchange);
    connection_enter(exchange->connection, CONNECTION_IDLE, idle_time(server, exchange));
    thread_give_exchange(exchange);
    exchanges_leave(&server->exchanges);
}

static void on_connection(void *closure, struct MHD_Connection *connection,
                          void **context, enum MHD_ConnectionNotificationCode what)
{
    struct server *server = closure;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct connection *own = *context;
        if (own != NULL) {
            connection_remove(&server->connections, own);
            accept_free(own);
            *context = NULL;
        }
        return;
    }
    struct thread *thread = threads_current(&server->threads);
    int descriptor = accept_descriptor(connection);
    struct connection *own = thread == NULL || descriptor < 0
                                 ? NULL
                                 : accept_new(connection, server->options.tls, thread);
    if (own == NULL) {
        return; /* its requests find no context and end the connection */
    }
    *context = own;
    connection_add(&server->connections, own, descriptor,
                   phase_time(server, CONNECTION_HEAD));
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

/* ---- Start and stop ---- */

void server_set_limits(struct server *server, const struct server_limits *limits)
{
    exchanges_set_limits(&server->exchanges, limits);
}

/* Strictness 0, not 1: at 1 the library answers a missing Host itself, in HTML and (up to
 * 0.9.75) with the head sent twice; head_check() refuses it as well. */
static struct MHD_Daemon *start_library(struct server *server, int descriptor)
{
    const struct server_options *options = &server->options;
    unsigned flags = MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;
    flags |= server->address[0] == '[' ? (unsigned)MHD_USE_IPv6 : 0;
    struct MHD_OptionItem more[4] = {{MHD_OPTION_END, 0, NULL}};
    size_t count = 0;
    if (options->threads > 1) {
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE,
                                                (intptr_t)options->threads, NULL};
    }
    if (options->tls != NULL) {
        /* a function as the pointer that the option is taken for */
        void *retrieve = (void *)(uintptr_t)tls_retrieve;
        flags |= MHD_USE_TLS;
        more[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, retrieve};
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                                (void *)(uintptr_t)TLS_PRIORITIES};
    }
    more[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
        on_library_message, NULL, MHD_OPTION_LISTEN_SOCKET, descriptor,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)options->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)options->connections_per_ip,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->connection_memory,
        MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)THREAD_STACK, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_UNESCAPE_CALLBACK,
        no_unescape, NULL, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
}

static size_t pressed(void *closure)
{
    return exchanges_excess(closure);
}

static int start_executor(struct server *server, struct deepsad_error *error)
{
    const struct server_options *options = &server->options;
    struct executor_options executor = {
        .threads = options->blocking_threads,
        .app = options->app,
        .worker_new = options->worker_new,
        .worker_free = options->worker_free,
    };
    return executor.threads == 0 ? DEEPSAD_OK
                                 : executor_start(&server->executor, &executor, error);
}

static void destroy(struct server *server)
{
    executor_free(server->executor);
    exchanges_done(&server->exchanges);
    threads_done(&server->threads);
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
    exchanges_init(&server->exchanges, &server->options);
    threads_init(&server->threads, &server->options, server);
    int status = start_executor(server, error);
    if (status == DEEPSAD_OK) {
        server->connections.limit = options->connections;
        server->connections.pressed = pressed;
        server->connections.closure = &server->exchanges;
        status = connection_table_init(&server->connections, error);
    }
    if (status != DEEPSAD_OK) {
        destroy(server);
        return status;
    }
    int descriptor = -1;
    if (options->inherited >= 0) {
        descriptor = options->inherited;
        listen_describe(server->address, descriptor);
    } else {
        status = listen_open(&descriptor, server->address, options->listen, error);
    }
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
    server->descriptor = descriptor;
    server->listening = true;
    *out = server;
    return DEEPSAD_OK;
}

bool server_stuck(struct server *server, double seconds)
{
    return threads_busy_since(&server->threads,
                              connection_now() - (uint64_t)(seconds * 1e3));
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

uint64_t server_evicted(const struct server *server)
{
    return atomic_load(&server->connections.evicted);
}

/* New connections are refused from now on. Not by MHD_quiesce_daemon(): while it takes
 * the socket out of the epoll set of a thread, that thread may do so, too, and the
 * library ends the process (0.9.75, "Failed to remove listen FD from epoll set"; one stop
 * in some thousands). Instead something that is never ready takes the socket's number:
 * the last reference to the socket is gone, which closes it and leaves every epoll set,
 * and the library closes the number in the end. */
static void stop_listening(struct server *server)
{
    if (!server->listening) {
        return;
    }
    int silent = eventfd(0, EFD_CLOEXEC);
    if (silent >= 0) {
        dup3(silent, server->descriptor, O_CLOEXEC);
        close(silent);
    } /* else it goes on listening, and what comes is answered by 503 */
    server->listening = false;
    if (server->options.inherited < 0) {
        listen_remove(server->address);
    }
}

/* Connections that were accepted last have their first request on the way: it is waited
 * for, but not for long, since it may never come. */
static bool wait_for_heads(struct server *server, uint64_t until_ms)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    bool awaited = true;
    while (connection_now() < server->drain_began_ms + DRAIN_HEADS_MS &&
           (awaited = connection_any(&server->connections, CONNECTION_HEAD)) &&
           connection_now() < until_ms) {
        nanosleep(&pause, NULL);
    }
    return !awaited || connection_now() >= server->drain_began_ms + DRAIN_HEADS_MS;
}

bool server_drain(struct server *server, double seconds)
{
    uint64_t until_ms = connection_now() + (uint64_t)(seconds * 1e3);
    if (!atomic_exchange(&server->exchanges.draining, true)) {
        server->drain_began_ms = connection_now();
    }
    stop_listening(server);
    bool heads = wait_for_heads(server, until_ms);
    double left = ((double)until_ms - (double)connection_now()) * 1e-3;
    return exchanges_drain(&server->exchanges, left > 0 ? left : 0) && heads;
}

void server_stop(struct server *server)
{
    if (server != NULL) {
        stop_listening(server);
        /* The library must not be stopped while a connection is suspended; those that
         * come after this are resumed at once. */
        executor_stop(server->executor);
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
    destroy(server);
}
