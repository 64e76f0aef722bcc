/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of work is open for joining until the caller finds no more of it. Threads that
 * wake later than that are not waited for: a short part ends as soon as those who took
 * some of it are done, be it the caller alone. Before it sleeps a thread looks for the
 * next part for about as long as it would take to wake: parts often come one right after
 * the other, and where none comes the wait costs at most twice as much as sleeping at
 * once.
 *
 * Each thread has a share of the part's numbers, the same of each part, and helps others
 * when it has done it: what one part has written, the next mostly finds in the cache of
 * the same core.
 */
#include "base/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"

enum { CREW_THREADS_MAX = 256 };

/* To wake a thread takes some 5 us, in a virtual machine 16. */
#define LOOK_SECONDS 15e-6

struct crew {
    pthread_mutex_t lock; /* guards what follows, but the members' `next` */
    pthread_cond_t start; /* a part is open, or `quit` */
    pthread_cond_t done;  /* active became 0 */
    bool quit;
    bool open;
    size_t asleep; /* threads that wait for `start` */
    void (*task)(void *closure, size_t i, size_t thread);
    void *closure;
    atomic_size_t part;   /* number of the last part; changed under the lock only */
    atomic_size_t active; /* threads that joined it; likewise */
    size_t thread_count;
    struct member *members; /* (thread_count); [0] is the caller */
};

struct member {
    _Alignas(64) atomic_size_t next; /* the first i of its share that nobody took */
    size_t end;                      /* of its share; written when no part is open */
    struct crew *crew;
    size_t id;
    pthread_t thread;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

static void take_share(struct member *member,
                       void (*task)(void *closure, size_t i, size_t thread),
                       void *closure, size_t thread)
{
    for (;;) {
        size_t i = atomic_fetch_add(&member->next, 1);
        if (i >= member->end) {
            return;
        }
        task(closure, i, thread);
    }
}

static void take_all(struct crew *crew,
                     void (*task)(void *closure, size_t i, size_t thread), void *closure,
                     size_t thread)
{
    for (size_t i = 0; i < crew->thread_count; i++) {
        size_t whose = (thread + i) % crew->thread_count;
        take_share(&crew->members[whose], task, closure, thread);
    }
}

/* count * i / threads, where the product is no size */
static size_t share_start(size_t count, size_t i, size_t threads)
{
    return count / threads * i + count % threads * i / threads;
}

static void share_out(struct crew *crew, size_t count)
{
    for (size_t i = 0; i < crew->thread_count; i++) {
        struct member *member = &crew->members[i];
        member->end = share_start(count, i + 1, crew->thread_count);
        atomic_store(&member->next, share_start(count, i, crew->thread_count));
    }
}

/* ---- Threads ---- */

/* With the lock held: waits for a part after `seen`. False: the crew is freed. */
static bool wait_for_part(struct crew *crew, size_t seen)
{
    while (!crew->quit && (!crew->open || atomic_load(&crew->part) == seen)) {
        crew->asleep++;
        pthread_cond_wait(&crew->start, &crew->lock);
        crew->asleep--;
    }
    return !crew->quit;
}

static void look_for_part(const struct crew *crew, size_t seen)
{
    double end = clock_monotonic() + LOOK_SECONDS;
    while (atomic_load(&crew->part) == seen && clock_monotonic() < end) {
        relax();
    }
}

static void *run_member(void *argument)
{
    const struct member *member = argument;
    struct crew *crew = member->crew;
    size_t seen = 0;
    pthread_mutex_lock(&crew->lock);
    while (wait_for_part(crew, seen)) {
        seen = atomic_load(&crew->part);
        atomic_fetch_add(&crew->active, 1);
        void (*task)(void *, size_t, size_t) = crew->task;
        void *closure = crew->closure;
        pthread_mutex_unlock(&crew->lock);
        take_all(crew, task, closure, member->id);
        pthread_mutex_lock(&crew->lock);
        if (atomic_fetch_sub(&crew->active, 1) == 1) {
            pthread_cond_signal(&crew->done);
        }
        pthread_mutex_unlock(&crew->lock);
        look_for_part(crew, seen);
        pthread_mutex_lock(&crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Signals are for the program's own threads: none reaches a crew. */
static void start_members(struct crew *crew, size_t threads)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (crew->thread_count < threads) {
        struct member *member = &crew->members[crew->thread_count];
        *member = (struct member){.crew = crew, .id = crew->thread_count};
        if (pthread_create(&member->thread, NULL, run_member, member) != 0) {
            break;
        }
        crew->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- The caller ---- */

int crew_new(struct crew **out, size_t threads, struct deepsad_error *error)
{
    threads = threads > 1 ? threads : 1;
    threads = threads < CREW_THREADS_MAX ? threads : CREW_THREADS_MAX;
    struct crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL) {
        return error_no_memory(error, "threads");
    }
    crew->members =
        aligned_alloc(_Alignof(struct member), threads * sizeof *crew->members);
    if (crew->members == NULL) {
        free(crew);
        return error_no_memory(error, "threads");
    }
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->start, NULL);
    pthread_cond_init(&crew->done, NULL);
    crew->members[0] = (struct member){.crew = crew};
    crew->thread_count = 1;
    start_members(crew, threads);
    *out = crew;
    return DEEPSAD_OK;
}

void crew_free(struct crew *crew)
{
    if (crew == NULL) {
        return;
    }
    pthread_mutex_lock(&crew->lock);
    crew->quit = true;
    pthread_mutex_unlock(&crew->lock);
    pthread_cond_broadcast(&crew->start);
    for (size_t i = 1; i < crew->thread_count; i++) {
        pthread_join(crew->members[i].thread, NULL);
    }
    pthread_cond_destroy(&crew->done);
    pthread_cond_destroy(&crew->start);
    pthread_mutex_destroy(&crew->lock);
    free(crew->members);
    free(crew);
}

size_t crew_threads(const struct crew *crew)
{
    return crew != NULL ? crew->thread_count : 1;
}

static void open_part(struct crew *crew, size_t count,
                      void (*task)(void *closure, size_t i, size_t thread), void *closure)
{
    pthread_mutex_lock(&crew->lock);
    crew->task = task;
    crew->closure = closure;
    crew->open = true;
    share_out(crew, count);
    atomic_fetch_add(&crew->part, 1);
    bool wake = crew->asleep > 0;
    pthread_mutex_unlock(&crew->lock);
    if (wake) {
        pthread_cond_broadcast(&crew->start);
    }
}

static void look_for_end(const struct crew *crew)
{
    double end = clock_monotonic() + LOOK_SECONDS;
    while (atomic_load(&crew->active) > 0 && clock_monotonic() < end) {
        relax();
    }
}

/* Nobody joins any more; those who did finish what they took. */
static void close_part(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->open = false;
    pthread_mutex_unlock(&crew->lock);
    look_for_end(crew);
    pthread_mutex_lock(&crew->lock);
    while (atomic_load(&crew->active) > 0) {
        pthread_cond_wait(&crew->done, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
}

void crew_run(struct crew *crew, size_t count,
              void (*task)(void *closure, size_t i, size_t thread), void *closure)
{
    if (crew_threads(crew) == 1 || count < 2) {
        for (size_t i = 0; i < count; i++) {
            task(closure, i, 0);
        }
        return;
    }
    open_part(crew, count, task, closure);
    take_all(crew, task, closure, 0);
    close_part(crew);
}
