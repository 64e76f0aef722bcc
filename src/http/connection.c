/* SPDX-License-Identifier: Apache-2.0 */
#include "http/connection.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/memory.h"
#include "http/reply.h"

enum {
    REAPER_INTERVAL_MS = 100,
    PHASE_BITS = 3,
    BATCH = 64, /* shut down while the mutex is held, then others have their turn */
    BATCH_PAUSE_MS = 1,
    GRACE_MS = 500,      /* of a phase, in which nobody has to make room */
    CROWD = 256,         /* connections whose end is worth giving memory back */
    HANG_UP_PASSES = 10, /* between two looks at who has hung up */
};

uint64_t connection_now(void)
{
    struct timespec now; /* of the last tick: enough for deadlines, and nearly free */
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
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
                      unsigned time_ms)
{
    uint64_t now_ms = connection_now();
    uint64_t old = atomic_load_explicit(&connection->word, memory_order_relaxed);
    do {
        if (phase_of(old) == CONNECTION_EXPIRED) {
            return false;
        }
        /* Before the word: whoever sees the new phase sees its beginning, too. */
        atomic_store_explicit(&connection->since, now_ms, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak(&connection->word, &old,
                                           pack(phase, now_ms + time_ms)));
    return true;
}

void connection_become(struct connection *connection, enum connection_phase phase)
{
    uint64_t old = atomic_load_explicit(&connection->word, memory_order_relaxed);
    while (phase_of(old) != CONNECTION_EXPIRED &&
           !atomic_compare_exchange_weak(&connection->word, &old,
                                         pack(phase, old >> PHASE_BITS))) {
    }
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

bool connection_unsent(int descriptor)
{
    int bytes = 0;
    return ioctl(descriptor, SIOCOUTQ, &bytes) == 0 && bytes > 0;
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

/* What makes room for requests. */
static bool takes_room(enum connection_phase phase)
{
    return phase == CONNECTION_UPLOAD || phase == CONNECTION_REPLY;
}

static bool waits_for_head(enum connection_phase phase)
{
    return phase == CONNECTION_HEAD || phase == CONNECTION_IDLE;
}

/* What makes room for connections. */
static bool has_not_begun(enum connection_phase phase)
{
    return waits_for_head(phase) || phase == CONNECTION_BODY;
}

/* To send something. */
static bool waits_for_peer(enum connection_phase phase)
{
    return has_not_begun(phase) || phase == CONNECTION_UPLOAD;
}

/* Counts it, where `count` is not NULL. False: it has gone on to another phase, or is
 * shut down already. */
static bool end(struct connection *connection, uint64_t word, unsigned status,
                const char *detail, _Atomic uint64_t *count)
{
    atomic_store(&connection->status, status); /* before the word, for who sees that */
    if (!atomic_compare_exchange_strong(&connection->word, &word,
                                        pack(CONNECTION_EXPIRED, 0))) {
        return false;
    }
    enum connection_phase phase = phase_of(word);
    if (count != NULL) {
        atomic_fetch_add(count, 1); /* before the peer can know */
    }
    if (connection->encrypted) {
        /* it sees the end of the connection and no more */
    } else if (detail != NULL && (phase == CONNECTION_HEAD || phase == CONNECTION_BODY ||
                                  phase == CONNECTION_UPLOAD)) {
        send_problem(connection->descriptor, status, detail);
    }
    if (phase == CONNECTION_REPLY || phase == CONNECTION_IDLE) {
        drop_unsent(connection->descriptor);
    }
    shutdown(connection->descriptor, SHUT_RDWR);
    return true;
}

static bool expire(struct connection_table *table, struct connection *connection,
                   uint64_t now_ms)
{
    uint64_t word = atomic_load(&connection->word);
    enum connection_phase phase = phase_of(word);
    const char *detail =
        phase == CONNECTION_HEAD
            ? "the head of the request did not arrive within the time limit"
            : "the body of the request did not arrive within the time limit";
    return phase != CONNECTION_EXPIRED && word >> PHASE_BITS <= now_ms &&
           end(connection, word, 408, detail, &table->expired);
}

/* Shuts down those over their deadline, at most BATCH; whether that was all. */
static bool expire_all(struct connection_table *table)
{
    uint64_t now_ms = connection_now();
    size_t count = 0;
    for (struct connection *one = table->first; one != NULL && count < BATCH;
         one = one->next) {
        count += expire(table, one, now_ms);
    }
    return count < BATCH;
}

/* ---- Making room ---- */

/* Those that have been longest in such a phase, oldest first. */
struct oldest {
    struct connection *connections[BATCH];
    uint64_t words[BATCH], since[BATCH];
    size_t count;
};

static void insert(struct oldest *oldest, struct connection *connection, uint64_t word,
                   uint64_t since, size_t wanted)
{
    if (oldest->count == wanted && since >= oldest->since[wanted - 1]) {
        return;
    }
    size_t at = oldest->count < wanted ? oldest->count++ : wanted - 1;
    for (; at > 0 && oldest->since[at - 1] > since; at--) {
        oldest->since[at] = oldest->since[at - 1];
        oldest->words[at] = oldest->words[at - 1];
        oldest->connections[at] = oldest->connections[at - 1];
    }
    oldest->since[at] = since;
    oldest->words[at] = word;
    oldest->connections[at] = connection;
}

/* Shuts down `wanted` (at most BATCH) of the connections in these phases. */
static void evict(struct connection_table *table, bool (*fits)(enum connection_phase),
                  size_t wanted, const char *detail)
{
    struct oldest oldest = {.count = 0};
    uint64_t now_ms = connection_now();
    wanted = wanted < BATCH ? wanted : BATCH;
    for (struct connection *one = table->first; one != NULL; one = one->next) {
        uint64_t word = atomic_load(&one->word), since = atomic_load(&one->since);
        if (fits(phase_of(word)) && since + GRACE_MS <= now_ms) {
            insert(&oldest, one, word, since, wanted);
        }
    }
    for (size_t i = 0; i < oldest.count; i++) {
        end(oldest.connections[i], oldest.words[i], 503, detail, &table->evicted);
    }
}

/* Whether that was all there is to do. */
static bool make_room(struct connection_table *table)
{
    size_t count = atomic_load(&table->count), most = table->limit - table->limit / 10;
    size_t excess = count > most ? count - most : 0;
    size_t requests = table->pressed == NULL ? 0 : table->pressed(table->closure);
    uint64_t before = atomic_load(&table->evicted);
    if (excess > 0) {
        evict(table, has_not_begun, excess, "too many connections (server.connections)");
    }
    if (requests > 0) {
        evict(table, takes_room, requests,
              "too many requests at once (limits.in_flight)");
    }
    return (excess <= BATCH && requests <= BATCH) ||
           atomic_load(&table->evicted) == before;
}

/* Who has hung up and left nothing to read, twice in the same phase. */
static void find_hung_up(struct connection_table *table)
{
    for (struct connection *one = table->first; one != NULL; one = one->next) {
        uint64_t word = atomic_load(&one->word);
        struct pollfd peer = {.fd = one->descriptor, .events = POLLRDHUP};
        int unread = 0;
        if (!waits_for_peer(phase_of(word)) || poll(&peer, 1, 0) != 1 ||
            ioctl(one->descriptor, FIONREAD, &unread) != 0 || unread > 0) {
            continue;
        }
        if (one->hung_up == word) {
            end(one, word, 499, NULL, NULL);
        }
        one->hung_up = word;
    }
}

/* ---- The reaper ---- */

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

/* Others get the mutex. */
static void pause_batch(struct connection_table *table)
{
    struct timespec pause = {.tv_nsec = BATCH_PAUSE_MS * 1000000L};
    pthread_mutex_unlock(&table->mutex);
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&table->mutex);
}

/* Once a crowd has gone: the library's allocator would keep what it took. */
static void give_memory_back(struct connection_table *table)
{
    size_t count = atomic_load(&table->count);
    table->peak = count > table->peak ? count : table->peak;
    if (table->peak >= CROWD && count <= table->peak / 16) {
        table->peak = count;
        pthread_mutex_unlock(&table->mutex);
        memory_trim();
        pthread_mutex_lock(&table->mutex);
    }
}

static void *reap(void *argument)
{
    struct connection_table *table = argument;
    unsigned pass = 0;
    pthread_mutex_lock(&table->mutex);
    while (!table->stopping) {
        if (!expire_all(table) || !make_room(table)) {
            pause_batch(table);
            continue;
        }
        if (++pass % HANG_UP_PASSES == 0) {
            find_hung_up(table);
        }
        give_memory_back(table);
        wait_for_work(table);
    }
    pthread_mutex_unlock(&table->mutex);
    return NULL;
}

int connection_table_init(struct connection_table *table, struct deepsad_error *error)
{
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
                    int descriptor, unsigned time_ms)
{
    uint64_t now_ms = connection_now();
    connection->descriptor = descriptor;
    atomic_store(&connection->since, now_ms);
    atomic_store(&connection->word, pack(CONNECTION_HEAD, now_ms + time_ms));
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
