/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait, on real sockets: they hold up nobody, and nothing is lost when a
 * client, the reaper or the end of the server comes in between. */
#include "../testing.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/server.h"

enum { CLIENTS = 6, BLOCKING = 3, PIECES = 50, PIECE = 100000 };

struct bench {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;             /* handlers of /slow may go on */
    size_t inside, passed; /* in such a handler, out of it */
    size_t ended;          /* requests of it */
    atomic_size_t statuses[600];
    atomic_size_t sent; /* bytes of bodies, as observed */
    struct server *server;
    /* Of /shared: who waits, whether they are taken, and what handlers found. */
    struct executor_task *kept;
    size_t kept_count;
    bool refuses;
    size_t back;
};

static int worker_mark;

static void *worker_new(void *app)
{
    (void)app;
    return &worker_mark;
}

static void worker_free(void *app, void *worker)
{
    (void)app;
    (void)worker;
}

static void observe(void *app, const struct server_event *event)
{
    struct bench *bench = app;
    atomic_fetch_add(&bench->statuses[event->status], 1);
    atomic_fetch_add(&bench->sent, event->sent);
}

static void handle_slow(void *app, struct request *request, struct reply *reply)
{
    struct bench *bench = app;
    pthread_mutex_lock(&bench->mutex);
    bench->inside++;
    pthread_cond_broadcast(&bench->changed);
    while (!bench->open) {
        pthread_cond_wait(&bench->changed, &bench->mutex);
    }
    bench->passed++;
    pthread_mutex_unlock(&bench->mutex);
    strcpy(reply->location, "/v1/jobs/7");
    reply->retry_after = 120;
    reply_json(request, reply, request->worker == NULL ? 500 : 202, json_object());
}

static void end_slow(void *app, struct request *request)
{
    struct bench *bench = app;
    (void)request;
    pthread_mutex_lock(&bench->mutex);
    bench->ended++;
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->mutex);
}

static void handle_fast(void *app, struct request *request, struct reply *reply)
{
    (void)app;
    reply_json(request, reply, 200, json_object());
}

static bool next_piece(struct request *request, struct buffer *piece)
{
    size_t *number = request->state;
    memset(buffer_reserve(piece, PIECE), 'a' + (int)(*number % 26), PIECE);
    piece->length += PIECE;
    return ++*number < PIECES;
}

static void handle_long(void *app, struct request *request, struct reply *reply)
{
    (void)app;
    request->state = calloc(1, sizeof(size_t));
    reply->status = 200;
    reply->content_type = "text/plain";
    reply->next = next_piece;
}

static void end_long(void *app, struct request *request)
{
    struct bench *bench = app;
    free(request->state);
    pthread_mutex_lock(&bench->mutex);
    bench->ended++;
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->mutex);
}

/* ---- A route whose requests others work on first ---- */

static bool defers_shared(void *app, struct request *request)
{
    (void)app;
    request->state = NULL;
    return strstr(request->path, "alone") == NULL;
}

static bool defer_shared(void *app, struct request *request, struct executor_task *task)
{
    struct bench *bench = app;
    (void)request;
    pthread_mutex_lock(&bench->mutex);
    bool taken = !bench->refuses;
    if (taken) {
        task->next = bench->kept;
        bench->kept = task;
        bench->kept_count++;
        pthread_cond_broadcast(&bench->changed);
    }
    pthread_mutex_unlock(&bench->mutex);
    return taken;
}

static void handle_shared(void *app, struct request *request, struct reply *reply)
{
    struct bench *bench = app;
    pthread_mutex_lock(&bench->mutex);
    bench->back++;
    pthread_mutex_unlock(&bench->mutex);
    reply_json(request, reply, request->worker == &worker_mark ? 200 : 500,
               json_object());
}

/* Gives all that wait back. */
static size_t give_back(struct bench *bench)
{
    pthread_mutex_lock(&bench->mutex);
    struct executor_task *task = bench->kept;
    bench->kept = NULL;
    pthread_mutex_unlock(&bench->mutex);
    size_t count = 0;
    while (task != NULL) {
        struct executor_task *next = task->next;
        task->run(task, NULL, false);
        task = next;
        count++;
    }
    return count;
}

static const struct route table[] = {
    {.methods = HTTP_POST,
     .pattern = "/slow",
     .flags = ROUTE_MAY_BLOCK | ROUTE_TAKES_JSON | ROUTE_BODY_OPTIONAL,
     .handle = handle_slow,
     .end = end_slow},
    {.methods = HTTP_GET,
     .pattern = "/slow",
     .flags = ROUTE_MAY_BLOCK,
     .handle = handle_slow,
     .end = end_slow},
    {.methods = HTTP_GET, .pattern = "/long", .handle = handle_long, .end = end_long},
    {.methods = HTTP_GET, .pattern = "/fast", .handle = handle_fast},
    {.methods = HTTP_GET, .pattern = "/stuck", .handle = handle_slow, .end = end_slow},
    {.methods = HTTP_GET,
     .pattern = "/shared/{how}",
     .handle = handle_shared,
     .end = end_slow,
     .defers = defers_shared,
     .defer = defer_shared},
};

static void start_with(struct bench *bench, size_t in_flight, double reply_time)
{
    struct server_options options = {
        .inherited = -1,
        .listen = "127.0.0.1:0",
        .threads = 1,
        .blocking_threads = BLOCKING,
        .connections = 64,
        .connection_memory = 32 << 10,
        .limits = {1 << 20, in_flight, 10, 10, reply_time, 10},
        .router = {table, sizeof table / sizeof table[0], 0},
        .app = bench,
        .worker_new = worker_new,
        .worker_free = worker_free,
        .observe = observe,
    };
    struct deepsad_error error = {0};
    pthread_mutex_init(&bench->mutex, NULL);
    pthread_cond_init(&bench->changed, NULL);
    assert_int_equal(server_start(&bench->server, &options, &error), DEEPSAD_OK);
}

static void start(struct bench *bench, double reply_time)
{
    start_with(bench, 64, reply_time);
}

static void stop(struct bench *bench)
{
    server_stop(bench->server);
    server_free(bench->server);
}

/* A connection that has sent this head, without a body. */
static int send_head(const struct bench *bench, const char *line)
{
    const char *port = strrchr(server_address(bench->server), ':') + 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char text[256];
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\n\r\n", line);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    return peer;
}

/* The status of the answer, 0 where the connection ended without one; closes. */
static int take_status(int peer, char *text, size_t size)
{
    size_t got = 0;
    struct pollfd wait = {peer, POLLIN, 0};
    text[0] = '\0';
    while (strstr(text, "\r\n\r\n") == NULL) {
        assert_true(poll(&wait, 1, 10000) == 1);
        ssize_t part = recv(peer, text + got, size - 1 - got, 0);
        if (part <= 0) {
            break;
        }
        got += (size_t)part;
        text[got] = '\0';
    }
    close(peer);
    return got < 12 ? 0 : atoi(text + 9);
}

static int status_of(int peer)
{
    char text[1024];
    return take_status(peer, text, sizeof text);
}

static void wait_until(struct bench *bench, const size_t *counter, size_t value)
{
    pthread_mutex_lock(&bench->mutex);
    while (*counter < value) {
        pthread_cond_wait(&bench->changed, &bench->mutex);
    }
    pthread_mutex_unlock(&bench->mutex);
}

static void open_gate(struct bench *bench)
{
    pthread_mutex_lock(&bench->mutex);
    bench->open = true;
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->mutex);
}

static void requests_that_wait_do_not_hold_up_others(void **state)
{
    struct bench bench = {.open = false};
    int peers[CLIENTS];
    (void)state;
    start(&bench, 10);
    for (size_t i = 0; i < CLIENTS; i++) { /* more than there are threads that may wait */
        peers[i] = send_head(&bench, i % 2 == 0 ? "GET /slow" : "HEAD /slow");
    }
    wait_until(&bench, &bench.inside, BLOCKING);
    assert_int_equal(status_of(send_head(&bench, "GET /fast")), 200);
    open_gate(&bench);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(status_of(peers[i]), 202);
    }
    stop(&bench);
    assert_int_equal(bench.ended, CLIENTS);
    assert_int_equal(atomic_load(&bench.statuses[202]), CLIENTS);
}

static void the_answer_has_its_location_and_its_seconds(void **state)
{
    struct bench bench = {.open = true};
    char text[1024];
    (void)state;
    start(&bench, 10);
    int peer = send_head(&bench, "POST /slow"); /* a body is not needed */
    assert_int_equal(take_status(peer, text, sizeof text), 202);
    assert_non_null(strstr(text, "Location: /v1/jobs/7\r\n"));
    assert_non_null(strstr(text, "Retry-After: 120\r\n"));
    stop(&bench);
}

static void a_client_that_goes_away_meanwhile_costs_nothing(void **state)
{
    struct bench bench = {.open = false};
    (void)state;
    start(&bench, 10);
    int peer = send_head(&bench, "GET /slow");
    wait_until(&bench, &bench.inside, 1);
    close(peer);
    open_gate(&bench);
    wait_until(&bench, &bench.ended, 1);
    assert_int_equal(status_of(send_head(&bench, "GET /fast")), 200);
    stop(&bench);
}

static void a_handler_that_takes_too_long_loses_its_connection(void **state)
{
    struct bench bench = {.open = false};
    (void)state;
    start(&bench, 0.05);
    int peer = send_head(&bench, "GET /slow");
    assert_int_equal(status_of(peer), 0);
    assert_int_equal(server_expired(bench.server), 1);
    open_gate(&bench);
    wait_until(&bench, &bench.ended, 1);
    stop(&bench);
    assert_int_equal(atomic_load(&bench.statuses[408]), 1);
}

static void a_drain_waits_for_those_that_wait(void **state)
{
    struct bench bench = {.open = false};
    (void)state;
    start(&bench, 10);
    int peer = send_head(&bench, "GET /slow");
    wait_until(&bench, &bench.inside, 1);
    assert_false(server_drain(bench.server, 0.05));
    open_gate(&bench);
    assert_true(server_drain(bench.server, 10));
    assert_int_equal(status_of(peer), 202);
    stop(&bench);
}

static void requests_that_wait_leave_room_for_others(void **state)
{
    struct bench bench = {.open = false};
    (void)state;
    start_with(&bench, 4, 10);
    int first = send_head(&bench, "GET /slow"), second = send_head(&bench, "GET /slow");
    wait_until(&bench, &bench.inside, 2);
    assert_int_equal(status_of(send_head(&bench, "GET /slow")), 503);
    assert_int_equal(status_of(send_head(&bench, "GET /fast")), 200);
    open_gate(&bench);
    assert_int_equal(status_of(first), 202);
    assert_int_equal(status_of(second), 202);
    assert_int_equal(status_of(send_head(&bench, "GET /slow")), 202);
    stop(&bench);
}

static void *open_later(void *closure)
{
    struct timespec pause = {0, 50000000};
    nanosleep(&pause, NULL);
    open_gate(closure);
    return NULL;
}

static void stopping_with_requests_queued_ends_all_of_them(void **state)
{
    struct bench bench = {.open = false};
    int peers[CLIENTS];
    pthread_t opener;
    (void)state;
    start(&bench, 10);
    for (size_t i = 0; i < CLIENTS; i++) {
        peers[i] = send_head(&bench, "GET /slow");
    }
    wait_until(&bench, &bench.inside, BLOCKING);
    assert_int_equal(status_of(send_head(&bench, "GET /fast")), 200);
    pthread_create(&opener, NULL, open_later, &bench);
    stop(&bench);
    pthread_join(opener, NULL);
    assert_int_equal(bench.passed, BLOCKING);
    assert_int_equal(bench.ended, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        close(peers[i]);
    }
}

/* A request that waits for a disk is with another thread, and no reason. */
static void a_thread_that_is_stuck_in_a_request_is_noticed(void **state)
{
    struct bench bench = {.open = false};
    (void)state;
    start(&bench, 10);
    int slow = send_head(&bench, "GET /slow");
    wait_until(&bench, &bench.inside, 1);
    usleep(300000);
    assert_false(server_stuck(bench.server, 0.1));
    int stuck = send_head(&bench, "GET /stuck");
    wait_until(&bench, &bench.inside, 2);
    usleep(300000);
    assert_true(server_stuck(bench.server, 0.1));
    assert_false(server_stuck(bench.server, 10));
    open_gate(&bench);
    assert_int_equal(status_of(slow), 202);
    assert_int_equal(status_of(stuck), 202);
    assert_false(server_stuck(bench.server, 0.1));
    stop(&bench);
}

/* Letters of the body in the order in which they change, at most `room`. */
static size_t read_letters(int peer, char *letters, size_t room)
{
    static const char blank[] = "\r\n\r\n"; /* between head and body */
    char part[4096];
    ssize_t got;
    size_t count = 0, total = 0, ending = 0;
    while ((got = recv(peer, part, sizeof part, 0)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (ending < sizeof blank - 1) {
                ending = part[i] == blank[ending] ? ending + 1 : part[i] == '\r';
            } else if (part[i] >= 'a' && part[i] <= 'z') {
                total++;
                if (count + 1 < room && (count == 0 || letters[count - 1] != part[i])) {
                    letters[count++] = part[i];
                }
            }
        }
    }
    letters[count] = '\0';
    return total;
}

static void an_answer_in_pieces_arrives_whole(void **state)
{
    struct bench bench = {.open = true};
    char letters[128];
    (void)state;
    start(&bench, 10);
    int peer = send_head(&bench, "GET /long");
    shutdown(peer, SHUT_WR);
    size_t total = read_letters(peer, letters, sizeof letters);
    close(peer);
    stop(&bench);
    assert_int_equal(total, (size_t)PIECES * PIECE);
    assert_string_equal(letters, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx");
    assert_int_equal(atomic_load(&bench.sent), (size_t)PIECES * PIECE);
    assert_int_equal(atomic_load(&bench.statuses[200]), 1);
}

static void a_client_that_goes_away_amid_the_pieces_is_told_apart(void **state)
{
    struct bench bench = {.open = true};
    (void)state;
    start(&bench, 10);
    int peer = send_head(&bench, "GET /long");
    close(peer);
    wait_until(&bench, &bench.ended, 1);
    stop(&bench);
    assert_int_equal(atomic_load(&bench.statuses[499]), 1);
    assert_true(atomic_load(&bench.sent) < (size_t)PIECES * PIECE);
}

/* ---- Deferred requests ---- */

static void deferred_requests_are_answered_once_they_are_given_back(void **state)
{
    struct bench bench = {.open = true};
    int peers[CLIENTS];
    (void)state;
    start(&bench, 10);
    for (size_t i = 0; i < CLIENTS; i++) {
        peers[i] = send_head(&bench, "GET /shared/a");
    }
    wait_until(&bench, &bench.kept_count, CLIENTS);
    assert_int_equal(status_of(send_head(&bench, "GET /fast")), 200);
    assert_int_equal(bench.back, 0);
    assert_int_equal(give_back(&bench), CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(status_of(peers[i]), 200);
    }
    stop(&bench);
    assert_int_equal(bench.back, CLIENTS);
    assert_int_equal(bench.ended, CLIENTS);
}

static void requests_that_are_not_deferred_or_not_taken_are_answered_at_once(void **state)
{
    struct bench bench = {.open = true, .refuses = true};
    (void)state;
    start(&bench, 10);
    assert_int_equal(status_of(send_head(&bench, "GET /shared/alone")), 200);
    assert_int_equal(status_of(send_head(&bench, "GET /shared/a")), 200);
    stop(&bench);
    assert_int_equal(bench.back, 2);
    assert_int_equal(bench.kept_count, 0);
}

static void a_client_that_goes_away_while_deferred_costs_nothing(void **state)
{
    struct bench bench = {.open = true};
    (void)state;
    start(&bench, 10);
    int gone = send_head(&bench, "GET /shared/a");
    wait_until(&bench, &bench.kept_count, 1);
    close(gone);
    int stays = send_head(&bench, "GET /shared/a");
    wait_until(&bench, &bench.kept_count, 2);
    assert_int_equal(give_back(&bench), 2);
    assert_int_equal(status_of(stays), 200);
    wait_until(&bench, &bench.ended, 2);
    stop(&bench);
}

static void a_deferral_that_takes_too_long_loses_its_connection(void **state)
{
    struct bench bench = {.open = true};
    (void)state;
    start(&bench, 0.05);
    int peer = send_head(&bench, "GET /shared/a");
    assert_int_equal(status_of(peer), 0);
    assert_int_equal(server_expired(bench.server), 1);
    assert_int_equal(give_back(&bench), 1);
    wait_until(&bench, &bench.ended, 1);
    stop(&bench);
    assert_int_equal(atomic_load(&bench.statuses[408]), 1);
}

static void a_drain_waits_for_deferred_requests(void **state)
{
    struct bench bench = {.open = true};
    (void)state;
    start(&bench, 10);
    int peer = send_head(&bench, "GET /shared/a");
    wait_until(&bench, &bench.kept_count, 1);
    assert_false(server_drain(bench.server, 0.05));
    assert_int_equal(give_back(&bench), 1);
    assert_true(server_drain(bench.server, 10));
    assert_int_equal(status_of(peer), 200);
    stop(&bench);
}

static void a_server_stops_with_deferred_requests_just_given_back(void **state)
{
    struct bench bench = {.open = true};
    int peers[CLIENTS];
    (void)state;
    start(&bench, 10);
    for (size_t i = 0; i < CLIENTS; i++) {
        peers[i] = send_head(&bench, "GET /shared/a");
    }
    wait_until(&bench, &bench.kept_count, CLIENTS);
    give_back(&bench);
    stop(&bench);
    assert_int_equal(bench.ended, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        close(peers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_that_wait_do_not_hold_up_others),
        cmocka_unit_test(the_answer_has_its_location_and_its_seconds),
        cmocka_unit_test(a_client_that_goes_away_meanwhile_costs_nothing),
        cmocka_unit_test(a_handler_that_takes_too_long_loses_its_connection),
        cmocka_unit_test(a_drain_waits_for_those_that_wait),
        cmocka_unit_test(requests_that_wait_leave_room_for_others),
        cmocka_unit_test(stopping_with_requests_queued_ends_all_of_them),
        cmocka_unit_test(a_thread_that_is_stuck_in_a_request_is_noticed),
        cmocka_unit_test(an_answer_in_pieces_arrives_whole),
        cmocka_unit_test(a_client_that_goes_away_amid_the_pieces_is_told_apart),
        cmocka_unit_test(deferred_requests_are_answered_once_they_are_given_back),
        cmocka_unit_test(
            requests_that_are_not_deferred_or_not_taken_are_answered_at_once),
        cmocka_unit_test(a_client_that_goes_away_while_deferred_costs_nothing),
        cmocka_unit_test(a_deferral_that_takes_too_long_loses_its_connection),
        cmocka_unit_test(a_drain_waits_for_deferred_requests),
        cmocka_unit_test(a_server_stops_with_deferred_requests_just_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
