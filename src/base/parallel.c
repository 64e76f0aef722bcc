/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { PARALLEL_THREADS_MAX = 64 };

struct work {
    size_t count;
    atomic_size_t next;
    void (*task)(void *closure, size_t i);
    void *closure;
};

size_t parallel_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (size_t)count;
}

static void *run(void *argument)
{
    struct work *work = argument;
    for (;;) {
        size_t i = atomic_fetch_add(&work->next, 1);
        if (i >= work->count) {
            return NULL;
        }
        work->task(work->closure, i);
    }
}

void parallel_for(size_t count, size_t threads, void (*task)(void *closure, size_t i),
                  void *closure)
{
    struct work work = {.count = count, .task = task, .closure = closure};
    pthread_t helpers[PARALLEL_THREADS_MAX];
    size_t started = 0;
    threads = threads < count ? threads : count;
    threads = threads < PARALLEL_THREADS_MAX ? threads : PARALLEL_THREADS_MAX;
    while (started + 1 < threads &&
           pthread_create(&helpers[started], NULL, run, &work) == 0) {
        started++;
    }
    run(&work);
    for (size_t i = 0; i < started; i++) {
        pthread_join(helpers[i], NULL);
    }
}
