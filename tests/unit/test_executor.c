/* SPDX-License-Identifier: Apache-2.0 */
/* Threads for what may wait: order, parallelism, and how they end. */
#include "../testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "http/executor.h"

enum { TASKS = 200 };

struct bench {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open; /* tasks may go on */
    size_t running, done, cancelled;
    size_t order[TASKS];
    atomic_size_t workers;
};

struct task {
    struct executor_task base;
    struct bench *bench;
    size_t number;
};

static void *worker_new(void *app)
{
    struct bench *bench = app;
    atomic_fetch_add(&bench->workers, 1);
    return bench;
}

static void worker_free(void *app, void *worker)
{
    struct bench *bench = app;
    assert_ptr_equal(worker, bench);
    atomic_fetch_sub(&bench->workers, 1);
}

static void run_task(struct executor_task *base, void *worker, bool cancelled)
{
    struct task *task = (struct task *)base;
    struct bench *bench = task->bench;
    pthread_mutex_lock(&bench->mutex);
    bench->running++;
    pthread_cond_broadcast(&bench->changed);
    while (!bench->open && !cancelled) {
        pthread_cond_wait(&bench->changed, &bench->mutex);
    }
    bench->order[bench->done++] = task->number;
    bench->cancelled += cancelled && worker == NULL;
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->mutex);
}

static struct executor *start(struct bench *bench, size_t threads)
{
    struct executor_options options = {threads, bench, worker_new, worker_free};
    struct executor *executor = NULL;
    pthread_mutex_init(&bench->mutex, NULL);
    pthread_cond_init(&bench->changed, NULL);
    assert_int_equal(executor_start(&executor, &options, NULL), DEEPSAD_OK);
    return executor;
}

static void submit_all(struct executor *executor, struct bench *bench, struct task *tasks,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tasks[i] = (struct task){{run_task, NULL}, bench, i};
        assert_true(executor_submit(executor, &tasks[i].base));
    }
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

static void one_thread_runs_tasks_in_their_order(void **state)
{
    static struct task tasks[TASKS];
    struct bench bench = {.open = true};
    struct executor *executor = start(&bench, 1);
    (void)state;
    submit_all(executor, &bench, tasks, TASKS);
    wait_until(&bench, &bench.done, TASKS);
    executor_free(executor);
    for (size_t i = 0; i < TASKS; i++) {
        assert_int_equal(bench.order[i], i);
    }
    assert_int_equal(bench.cancelled, 0);
    assert_int_equal(atomic_load(&bench.workers), 0);
}

static void as_many_tasks_wait_at_once_as_there_are_threads(void **state)
{
    static struct task tasks[8];
    struct bench bench = {.open = false};
    struct executor *executor = start(&bench, 8);
    (void)state;
    submit_all(executor, &bench, tasks, 8);
    wait_until(&bench, &bench.running, 8);
    assert_int_equal(bench.done, 0);
    open_gate(&bench);
    executor_free(executor);
    assert_int_equal(bench.done, 8);
}

static void *stop_executor(void *executor)
{
    executor_stop(executor);
    return NULL;
}

static void stopping_finishes_what_runs_and_cancels_what_is_queued(void **state)
{
    static struct task tasks[20];
    struct bench bench = {.open = false};
    struct executor *executor = start(&bench, 2);
    pthread_t stopper;
    (void)state;
    submit_all(executor, &bench, tasks, 20);
    wait_until(&bench, &bench.running, 2);
    assert_int_equal(pthread_create(&stopper, NULL, stop_executor, executor), 0);
    wait_until(&bench, &bench.cancelled, 18);
    open_gate(&bench);
    pthread_join(stopper, NULL);
    assert_int_equal(bench.done, 20);
    struct task late = {{run_task, NULL}, &bench, 0};
    assert_false(executor_submit(executor, &late.base));
    executor_free(executor);
}

static void *no_worker(void *app)
{
    (void)app;
    return NULL;
}

static void a_thread_without_a_worker_is_an_error(void **state)
{
    struct bench bench = {.open = true};
    struct executor_options options = {2, &bench, no_worker, worker_free};
    struct executor *executor = NULL;
    (void)state;
    assert_int_equal(executor_start(&executor, &options, NULL), DEEPSAD_NO_MEMORY);
    assert_null(executor);
    executor_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_runs_tasks_in_their_order),
        cmocka_unit_test(as_many_tasks_wait_at_once_as_there_are_threads),
        cmocka_unit_test(stopping_finishes_what_runs_and_cancels_what_is_queued),
        cmocka_unit_test(a_thread_without_a_worker_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
