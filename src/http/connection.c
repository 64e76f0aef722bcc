/* SPDX-License-Identifier: Apache-2.0 */
#include "http/connection.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "http/reply.h"

enum { REAPER_INTERVAL_MS = 100, PHASE_BITS = 3 };

uint64_t connection_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t pack(enum connection_phase phase, uint64_t deadline_ms)
{
    return deadline_ms << PHASE_BITS | (uint64_t)phase;
}

static enum connection_phase phase_of(uint64_t word)
{
    return (enum connection_phase)(word & ((1U << PHASE_BITS) - 1));
}

enum connection_phase connection_phase(const struct connection *connection)
{
    return phase_of(atomic_load(&connection->word));
}

bool connection_enter(struct connection *connection, enum connection_phase phase,
                      uint64_t deadline_ms)
{
    uint64_t old = atomic_load_explicit(&connection->word, memory_order_relaxed);
    do {
        if (phase_of(old) == CONNECTION_EXPIRED) {
            return false;
        }
    } while (
        !atomic_compare_exchange_weak(&connection->word, &old, pack(phase, deadline_ms)));
    return true;
}

bool connection_unsent(int descriptor)
{
    int bytes = 0;
    return ioctl(descriptor, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

/* Best effort: what does not fit into the socket's buffer at once is lost. */
static void send_at_once(int descriptor, const struct reply *reply)
{
    struct buffer text = {0};
    buffer_printf(&text,
                  "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  reply->status, http_status_title(reply->status), reply->content_type,
                  reply->body.length);
    buffer_append(&text, reply->body.data, reply->body.length);
    if (!text.failed && !reply->body.failed) {
        send(descriptor, text.data, text.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    buffer_done(&text);
}

static void send_problem(int descriptor, unsigned status, const char *detail)
{
    struct request request = {.path = ""};
    struct reply reply = {0};
    reply_problem_at(&request, &reply, status, detail, NULL);
    send_at_once(descriptor, &reply);
    reply_done(&reply);
}

void connection_abort(struct connection *connection, const struct reply *reply)
{
    uint64_t old = atomic_exchange(&connection->word, pack(CONNECTION_EXPIRED, 0));
    if (phase_of(old) != CONNECTION_EXPIRED) {
        if (!connection->encrypted) {
            send_at_once(connection->descriptor, reply);
        }
        shutdown(connection->descriptor, SHUT_RDWR);
    }
}

/* A client that does not take its answer does not take the end of the connection either:
 * the kernel would hold what is unsent for minutes after the socket is closed. */
static void drop_unsent(int descriptor)
{
    if (connection_unsent(descriptor)) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
}

/* The connection, if it is still as `word` says. */
static bool expire(struct connection_table *table, struct connection *connection,
                   uint64_t word)
{
    enum connection_phase phase = phase_of(word);
    if (!atomic_compare_exchange_strong(&connection->word, &word,
                                        pack(CONNECTION_EXPIRED, 0))) {
        return false;
    }
    atomic_fetch_add(&table->expired, 1);
    if (connection->encrypted) {
        /* it sees the end of the connection and no more */
    } else if (phase == CONNECTION_HEAD) {
        send_problem(connection->descriptor, 408,
                     "the head of the request did not arrive within the time limit");
    } else if (phase == CONNECTION_BODY) {
        send_problem(connection->descriptor, 408,
                     "the body of the request did not arrive within the time limit");
    }
    if (phase == CONNECTION_REPLY || phase == CONNECTION_IDLE) {
        drop_unsent(connection->descriptor);
    }
    shutdown(connection->descriptor, SHUT_RDWR);
    return true;
}

static void expire_if_due(struct connection_table *table, struct connection *connection,
                          const uint64_t borders[static CONNECTION_EXPIRED])
{
    uint64_t word = atomic_load(&connection->word);
    enum connection_phase phase = phase_of(word);
    if (phase != CONNECTION_EXPIRED && word >> PHASE_BITS <= borders[phase]) {
        expire(table, connection, word);
    }
}

bool connection_evict(struct connection_table *table, enum connection_phase phase,
                      uint64_t left_ms)
{
    struct connection *found = NULL;
    uint64_t word_found = pack(phase, connection_now() + left_ms);
    pthread_mutex_lock(&table->mutex);
    for (struct connection *one = table->first; one != NULL; one = one->next) {
        uint64_t word = atomic_load_explicit(&one->word, memory_order_relaxed);
        if (phase_of(word) == phase && word < word_found) {
            found = one;
            word_found = word;
        }
    }
    bool evicted = found != NULL && expire(table, found, word_found);
    pthread_mutex_unlock(&table->mutex);
    return evicted;
}

bool connection_any(struct connection_table *table, enum connection_phase phase)
{
    bool found = false;
    pthread_mutex_lock(&table->mutex);
    for (struct connection *one = table->first; one != NULL && !found; one = one->next) {
        found = connection_phase(one) == phase;
    }
    pthread_mutex_unlock(&table->mutex);
    return found;
}

static void wait_for_work(struct connection_table *table)
{
    if (table->first == NULL) {
        pthread_cond_wait(&table->changed, &table->mutex);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += REAPER_INTERVAL_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&table->changed, &table->mutex, &until);
}

/* What a deadline is compared with instead of now: of connections in each phase. */
static void set_borders(uint64_t borders[static CONNECTION_EXPIRED],
                        const struct connection_table *table)
{
    const struct connection_room *room = &table->room;
    bool scarce = atomic_load(&table->count) > room->places / 2;
    uint64_t now_ms = connection_now();
    for (int phase = 0; phase < CONNECTION_EXPIRED; phase++) {
        struct connection_times times =
            room->times(room->closure, (enum connection_phase)phase);
        bool early = scarce && times.limit_ms > times.peace_ms;
        borders[phase] = now_ms + (early ? times.limit_ms - times.peace_ms : 0);
    }
}

static void *reap(void *argument)
{
    struct connection_table *table = argument;
    uint64_t borders[CONNECTION_EXPIRED];
    pthread_mutex_lock(&table->mutex);
    while (!table->stopping) {
        set_borders(borders, table);
        for (struct connection *one = table->first; one != NULL; one = one->next) {
            expire_if_due(table, one, borders);
        }
        wait_for_work(table);
    }
    pthread_mutex_unlock(&table->mutex);
    return NULL;
}

int connection_table_init(struct connection_table *table,
                          const struct connection_room *room, struct deepsad_error *error)
{
    *table = (struct connection_table){.room = *room};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&table->mutex, NULL);
    pthread_cond_init(&table->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int number = pthread_create(&table->reaper, NULL, reap, table);
    if (number != 0) {
        pthread_cond_destroy(&table->changed);
        pthread_mutex_destroy(&table->mutex);
        return error_system(error, number, "cannot start the thread of deadlines");
    }
    return DEEPSAD_OK;
}

void connection_table_stop(struct connection_table *table)
{
    pthread_mutex_lock(&table->mutex);
    table->stopping = true;
    pthread_cond_signal(&table->changed);
    pthread_mutex_unlock(&table->mutex);
    pthread_join(table->reaper, NULL);
}

void connection_table_done(struct connection_table *table)
{
    pthread_cond_destroy(&table->changed);
    pthread_mutex_destroy(&table->mutex);
}

void connection_add(struct connection_table *table, struct connection *connection,
                    int descriptor, uint64_t deadline_ms)
{
    connection->descriptor = descriptor;
    atomic_store(&connection->word, pack(CONNECTION_HEAD, deadline_ms));
    connection->previous = NULL;
    pthread_mutex_lock(&table->mutex);
    connection->next = table->first;
    if (table->first != NULL) {
        table->first->previous = connection;
    } else {
        pthread_cond_signal(&table->changed);
    }
    table->first = connection;
    pthread_mutex_unlock(&table->mutex);
    atomic_fetch_add(&table->count, 1);
}

void connection_remove(struct connection_table *table, struct connection *connection)
{
    pthread_mutex_lock(&table->mutex);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        table->first = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    pthread_mutex_unlock(&table->mutex);
    atomic_fetch_sub(&table->count, 1);
}
