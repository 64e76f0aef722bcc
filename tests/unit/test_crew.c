/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/crew.h"

enum { COUNT = 1000, THREADS = 4 };

struct tally {
    atomic_size_t times[COUNT]; /* that i was run */
    atomic_size_t thread_most;
    atomic_bool unblocked; /* a thread but the caller's would take SIGTERM */
};

static void count_task(void *closure, size_t i, size_t thread)
{
    struct tally *tally = closure;
    atomic_fetch_add(&tally->times[i], 1);
    size_t most = atomic_load(&tally->thread_most);
    while (thread > most &&
           !atomic_compare_exchange_weak(&tally->thread_most, &most, thread)) {
    }
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (thread > 0 && sigismember(&mask, SIGTERM) == 0) {
        atomic_store(&tally->unblocked, true);
    }
}

static void check_all_run(struct crew *crew, size_t count)
{
    static struct tally tally;
    memset(&tally, 0, sizeof tally);
    crew_run(crew, count, count_task, &tally);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(atomic_load(&tally.times[i]), i < count ? 1 : 0);
    }
    assert_true(atomic_load(&tally.thread_most) < crew_threads(crew));
    assert_false(atomic_load(&tally.unblocked));
}

static void each_task_runs_once_for_any_number_of_threads(void **state)
{
    (void)state;
    for (size_t threads = 0; threads <= THREADS; threads++) {
        struct crew *crew = NULL;
        assert_int_equal(crew_new(&crew, threads, NULL), DEEPSAD_OK);
        assert_int_equal(crew_threads(crew), threads > 1 ? threads : 1);
        check_all_run(crew, 0);
        check_all_run(crew, 1);
        check_all_run(crew, 3);
        check_all_run(crew, COUNT);
        crew_free(crew);
    }
}

static void no_crew_is_the_caller_alone(void **state)
{
    (void)state;
    assert_int_equal(crew_threads(NULL), 1);
    check_all_run(NULL, COUNT);
    crew_free(NULL);
}

static void add_task(void *closure, size_t i, size_t thread)
{
    size_t *sums = closure; /* (THREADS) no two threads write the same */
    sums[thread] += i + 1;
}

static void many_short_parts_one_after_the_other_are_all_done(void **state)
{
    (void)state;
    struct crew *crew = NULL;
    assert_int_equal(crew_new(&crew, THREADS, NULL), DEEPSAD_OK);
    for (size_t part = 0; part < 20000; part++) {
        size_t sums[THREADS] = {0};
        size_t count = 2 + part % 7;
        crew_run(crew, count, add_task, sums);
        size_t sum = sums[0] + sums[1] + sums[2] + sums[3];
        assert_int_equal(sum, count * (count + 1) / 2);
    }
    crew_free(crew);
}

static void sleep_task(void *closure, size_t i, size_t thread)
{
    (void)i;
    (void)thread;
    usleep(20000);
    atomic_fetch_add((atomic_size_t *)closure, 1);
}

static void run_waits_for_slow_tasks_and_threads_wake_from_sleep(void **state)
{
    (void)state;
    struct crew *crew = NULL;
    assert_int_equal(crew_new(&crew, 3, NULL), DEEPSAD_OK);
    for (size_t part = 1; part <= 3; part++) {
        atomic_size_t done = 0;
        usleep(2000); /* all threads are asleep by now */
        crew_run(crew, 5, sleep_task, &done);
        assert_int_equal(atomic_load(&done), 5);
    }
    crew_free(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_runs_once_for_any_number_of_threads),
        cmocka_unit_test(no_crew_is_the_caller_alone),
        cmocka_unit_test(many_short_parts_one_after_the_other_are_all_done),
        cmocka_unit_test(run_waits_for_slow_tasks_and_threads_wake_from_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
