/* SPDX-License-Identifier: Apache-2.0 */
#include "http/thread.h"

#include <stdlib.h>

enum {
    KEPT_REPLY_MAX = 1 << 20, /* bytes of a reply's buffer that an idle exchange keeps */
    KEPT_EXCHANGES = 16,      /* idle ones of a thread */
};

void threads_init(struct threads *threads, const struct server_options *options,
                  void *owner)
{
    *threads = (struct threads){.options = options, .owner = owner};
    pthread_mutex_init(&threads->mutex, NULL);
}

static void free_thread(const struct threads *threads, struct thread *thread)
{
    while (thread->idle != NULL) {
        struct exchange *exchange = thread->idle;
        thread->idle = exchange->next;
        reply_done(&exchange->reply);
        free(exchange);
    }
    threads->options->worker_free(threads->options->app, thread->worker);
    free(thread);
}

void threads_done(struct threads *threads)
{
    while (threads->first != NULL) {
        struct thread *thread = threads->first;
        threads->first = thread->next;
        free_thread(threads, thread);
    }
    pthread_mutex_destroy(&threads->mutex);
}

struct thread *threads_current(struct threads *threads)
{
    pthread_mutex_lock(&threads->mutex);
    struct thread *thread = threads->first;
    while (thread != NULL && !pthread_equal(thread->id, pthread_self())) {
        thread = thread->next;
    }
    if (thread == NULL && (thread = calloc(1, sizeof *thread)) != NULL) {
        thread->id = pthread_self();
        thread->owner = threads->owner;
        thread->worker = threads->options->worker_new(threads->options->app);
        uuid_source_init(&thread->ids);
        thread->next = threads->first;
        threads->first = thread;
    }
    pthread_mutex_unlock(&threads->mutex);
    return thread;
}

bool threads_busy_since(struct threads *threads, uint64_t before_ms)
{
    bool found = false;
    pthread_mutex_lock(&threads->mutex);
    for (const struct thread *one = threads->first; one != NULL; one = one->next) {
        uint64_t since = atomic_load_explicit(&one->busy_since, memory_order_relaxed);
        found |= since != 0 && since < before_ms;
    }
    pthread_mutex_unlock(&threads->mutex);
    return found;
}

struct exchange *thread_take_exchange(struct thread *thread)
{
    struct exchange *exchange = thread->idle;
    if (exchange == NULL) {
        exchange = calloc(1, sizeof *exchange);
    } else {
        thread->idle = exchange->next;
        thread->idle_count--;
    }
    if (exchange != NULL) {
        exchange->owner = thread;
    }
    return exchange;
}

void thread_give_exchange(struct exchange *exchange)
{
    struct thread *thread = exchange->owner;
    if (thread->idle_count == KEPT_EXCHANGES) {
        reply_done(&exchange->reply);
        free(exchange);
        return;
    }
    if (exchange->reply.body.capacity > KEPT_REPLY_MAX) {
        reply_done(&exchange->reply);
    }
    reply_clear(&exchange->reply);
    struct reply reply = exchange->reply;
    *exchange = (struct exchange){.reply = reply, .next = thread->idle};
    thread->idle = exchange;
    thread->idle_count++;
}
