/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/quiet.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

enum { QUIET_NICENESS = 10 };

struct quiet {
    int priority;
    void (*work)(void *closure);
    void *closure;
};

/* A system that refuses leaves the thread as it is: the work is done all the same. */
static void lower_priority(int priority)
{
    struct sched_param none = {0};
    if (priority == QUIET_IDLE) {
        pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
    } else if (priority == QUIET_NICE) {
        setpriority(PRIO_PROCESS, (id_t)gettid(), QUIET_NICENESS);
    }
}

static void *run(void *argument)
{
    struct quiet *quiet = argument;
    lower_priority(quiet->priority);
    quiet->work(quiet->closure);
    return NULL;
}

int quiet_run(int priority, void (*work)(void *closure), void *closure,
              struct deepsad_error *error)
{
    struct quiet quiet = {priority, work, closure};
    pthread_t thread;
    int number = pthread_create(&thread, NULL, run, &quiet);
    if (number != 0) {
        return error_system(error, number, "cannot start a thread");
    }
    pthread_join(thread, NULL);
    return DEEPSAD_OK;
}
