/* SPDX-License-Identifier: Apache-2.0 */
#include "http/executor.h"

#include <pthread.h>
#include <stdlib.h>

enum { EXECUTOR_STACK = 1 << 20 /* bytes of a thread */ };

struct executor_thread {
    pthread_t id;
    struct executor *executor;
    void *worker;
};

struct executor {
    struct executor_options options;
    pthread_mutex_t mutex;  /* guards what follows; a leaf */
    pthread_cond_t changed; /* the queue is no longer empty, or stopping */
    struct executor_task *first, *last;
    bool stopping;
    size_t started; /* threads; of the owner alone */
    struct executor_thread *threads;
};

/* The next task, waiting for one; NULL when the executor stops. */
static struct executor_task *take(struct executor *executor)
{
    struct executor_task *task = NULL;
    pthread_mutex_lock(&executor->mutex);
    while (executor->first == NULL && !executor->stopping) {
        pthread_cond_wait(&executor->changed, &executor->mutex);
    }
    if (!executor->stopping) {
        task = executor->first;
        executor->first = task->next;
    }
    pthread_mutex_unlock(&executor->mutex);
    return task;
}

static void *serve(void *argument)
{
    struct executor_thread *thread = argument;
    struct executor_task *task;
    while ((task = take(thread->executor)) != NULL) {
        task->run(task, thread->worker, false);
    }
    return NULL;
}

static int start_thread(struct executor *executor, struct executor_thread *thread,
                        struct deepsad_error *error)
{
    const struct executor_options *options = &executor->options;
    pthread_attr_t attributes;
    thread->executor = executor;
    thread->worker = options->worker_new(options->app);
    if (thread->worker == NULL) {
        return error_no_memory(error, "a thread that may wait");
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, EXECUTOR_STACK);
    int number = pthread_create(&thread->id, &attributes, serve, thread);
    pthread_attr_destroy(&attributes);
    if (number != 0) {
        options->worker_free(options->app, thread->worker);
        return error_system(error, number, "cannot start a thread that may wait");
    }
    executor->started++;
    return DEEPSAD_OK;
}

int executor_start(struct executor **out, const struct executor_options *options,
                   struct deepsad_error *error)
{
    struct executor *executor = calloc(1, sizeof *executor);
    if (executor == NULL) {
        return error_no_memory(error, "the threads that may wait");
    }
    executor->options = *options;
    pthread_mutex_init(&executor->mutex, NULL);
    pthread_cond_init(&executor->changed, NULL);
    executor->threads = calloc(options->threads, sizeof *executor->threads);
    int status = executor->threads == NULL
                     ? error_no_memory(error, "the threads that may wait")
                     : DEEPSAD_OK;
    for (size_t i = 0; i < options->threads && status == DEEPSAD_OK; i++) {
        status = start_thread(executor, &executor->threads[i], error);
    }
    if (status != DEEPSAD_OK) {
        executor_free(executor);
        return status;
    }
    *out = executor;
    return DEEPSAD_OK;
}

bool executor_submit(struct executor *executor, struct executor_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&executor->mutex);
    bool taken = !executor->stopping;
    if (taken) {
        if (executor->first == NULL) {
            executor->first = task;
        } else {
            executor->last->next = task;
        }
        executor->last = task;
        pthread_cond_signal(&executor->changed);
    }
    pthread_mutex_unlock(&executor->mutex);
    return taken;
}

void executor_stop(struct executor *executor)
{
    if (executor == NULL) {
        return;
    }
    pthread_mutex_lock(&executor->mutex);
    struct executor_task *queued = executor->first;
    executor->first = NULL;
    executor->stopping = true;
    pthread_cond_broadcast(&executor->changed);
    pthread_mutex_unlock(&executor->mutex);
    while (queued != NULL) {
        struct executor_task *task = queued;
        queued = task->next; /* running a task may free it */
        task->run(task, NULL, true);
    }
    for (; executor->started > 0; executor->started--) {
        struct executor_thread *thread = &executor->threads[executor->started - 1];
        pthread_join(thread->id, NULL);
        executor->options.worker_free(executor->options.app, thread->worker);
    }
}

void executor_free(struct executor *executor)
{
    if (executor != NULL) {
        executor_stop(executor);
        pthread_cond_destroy(&executor->changed);
        pthread_mutex_destroy(&executor->mutex);
        free(executor->threads);
        free(executor);
    }
}
