/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../testing.h"

#include "learn/quiet.h"

struct seen {
    pthread_t thread;
    int policy, niceness;
};

static void look(void *closure)
{
    struct seen *seen = closure;
    struct sched_param none;
    seen->thread = pthread_self();
    pthread_getschedparam(seen->thread, &seen->policy, &none);
    seen->niceness = getpriority(PRIO_PROCESS, (id_t)gettid());
}

static struct seen see(int priority)
{
    struct seen seen = {0};
    assert_int_equal(quiet_run(priority, look, &seen, NULL), DEEPSAD_OK);
    return seen;
}

static void the_work_is_done_in_a_thread_of_its_own(void **state)
{
    (void)state;
    struct seen seen = see(QUIET_NORMAL), own;
    look(&own);
    assert_true(seen.policy == own.policy && seen.niceness == own.niceness);
    assert_false(pthread_equal(seen.thread, pthread_self()));
}

static void the_priority_is_that_threads_alone(void **state)
{
    (void)state;
    struct seen before, after;
    look(&before);
    assert_int_equal(see(QUIET_IDLE).policy, SCHED_IDLE);
    assert_true(see(QUIET_NICE).niceness >= 10);
    look(&after);
    assert_true(before.policy == after.policy && before.niceness == after.niceness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_work_is_done_in_a_thread_of_its_own),
        cmocka_unit_test(the_priority_is_that_threads_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
