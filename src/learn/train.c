/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

enum { TRAIN_NICENESS = 10 };

struct training_thread {
    const struct train_options *options;
    struct retrain_options how;
    const struct training_set *set;
    const struct deepsad_recipe *recipe;
    struct deepsad_model *model;
    bool late;
    int status;
    struct deepsad_error error;
};

/* A system that refuses leaves the thread as it is: training still works. */
static void lower_priority(int priority)
{
    struct sched_param none = {0};
    if (priority == TRAIN_IDLE) {
        pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
    } else if (priority == TRAIN_NICE) {
        setpriority(PRIO_PROCESS, (id_t)gettid(), TRAIN_NICENESS);
    }
}

static int on_progress(void *closure, const struct deepsad_progress *progress)
{
    struct training_thread *thread = closure;
    const struct train_options *options = thread->options;
    if (options->progress != NULL) {
        options->progress(options->closure, progress);
    }
    thread->late = clock_monotonic() > options->deadline;
    return thread->late || atomic_load(options->cancelled);
}

static void *run(void *closure)
{
    struct training_thread *thread = closure;
    lower_priority(thread->options->priority);
    thread->status = retrain(&thread->model, thread->set, thread->recipe, &thread->how,
                             &thread->error);
    return NULL;
}

int train_quietly(struct deepsad_model **out, const struct training_set *set,
                  const struct deepsad_recipe *recipe, const struct retrain_options *how,
                  const struct train_options *options, struct deepsad_error *error)
{
    struct training_thread thread = {
        .options = options, .how = *how, .set = set, .recipe = recipe};
    thread.how.threads = options->threads;
    thread.how.progress = on_progress;
    thread.how.closure = &thread;
    pthread_t id;
    int number = pthread_create(&id, NULL, run, &thread);
    if (number != 0) {
        return error_system(error, number, "cannot start a thread for training");
    }
    pthread_join(id, NULL);
    if (thread.status == DEEPSAD_CANCELLED && thread.late) {
        return error_set(error, DEEPSAD_CANCELLED,
                         "over the deadline (retraining.deadline of model.yaml)");
    }
    if (thread.status != DEEPSAD_OK) {
        return error_set(error, (enum deepsad_status)thread.status, "%s",
                         thread.error.message);
    }
    *out = thread.model;
    return DEEPSAD_OK;
}
