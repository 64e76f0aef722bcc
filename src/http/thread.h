/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's threads, found by their id when a connection is accepted, and what each
 * keeps: its worker, a source of ids, and exchanges that have ended, with the memory
 * their buffers have grown to, up to a cap.
 *
 * Lock: guards the list; a leaf. All else of a thread is its own, but for `busy_since`.
 */
#ifndef HTTP_THREAD_H
#define HTTP_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"
#include "http/exchange.h"
#include "http/options.h"

struct thread {
    pthread_t id;
    void *owner; /* whose threads they are */
    void *worker;
    struct uuid_source ids;
    _Atomic uint64_t busy_since; /* connection_now(), of what it does for a request now; 0
                                    = nothing */
    struct exchange *idle;
    size_t idle_count;
    struct thread *next;
};

struct threads {
    const struct server_options *options; /* borrowed: worker_new, worker_free, app */
    void *owner;
    pthread_mutex_t mutex;
    struct thread *first;
};

void threads_init(struct threads *threads, const struct server_options *options,
                  void *owner);
/* When they have ended. */
void threads_done(struct threads *threads);

/* The one that calls; NULL: out of memory. */
struct thread *threads_current(struct threads *threads);
/* Whether one has been busy since before that time. */
bool threads_busy_since(struct threads *threads, uint64_t before_ms);

/* NULL: out of memory. Its owner is the thread, which gets it back. */
struct exchange *thread_take_exchange(struct thread *thread);
void thread_give_exchange(struct exchange *exchange);

#endif
