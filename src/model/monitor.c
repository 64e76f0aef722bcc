/* SPDX-License-Identifier: Apache-2.0 */
#include "model/monitor.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"

/* Between steps (an epoch may take minutes) the callback is heard at least so often, so
 * that it can cancel. */
static const double quiet_seconds = 0.02;

struct monitor {
    struct deepsad_train_options options;
    double total, start;
    atomic_bool cancelled;
    pthread_mutex_t mutex; /* guards the rest, and the callback */
    double done, last_call;
    struct deepsad_progress last;
};

struct monitor *monitor_new(const struct deepsad_train_options *options,
                            double total_work)
{
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL) {
        return NULL;
    }
    monitor->options = *options;
    monitor->total = total_work;
    monitor->start = clock_monotonic();
    monitor->last = (struct deepsad_progress){
        .phase = "train", .loss = (double)NAN, .seconds_left = (double)NAN, .members = 1};
    int failed = pthread_mutex_init(&monitor->mutex, NULL);
    assert(failed == 0);
    (void)failed;
    return monitor;
}

void monitor_free(struct monitor *monitor)
{
    if (monitor != NULL) {
        pthread_mutex_destroy(&monitor->mutex);
        free(monitor);
    }
}

/* Under the mutex. */
static void call(struct monitor *monitor)
{
    double now = clock_monotonic();
    struct deepsad_progress *last = &monitor->last;
    last->fraction = fmin(monitor->done / monitor->total, 1);
    last->seconds_left = last->fraction > 0.01 ? (now - monitor->start) *
                                                     (1 - last->fraction) / last->fraction
                                               : (double)NAN;
    monitor->last_call = now;
    if (!atomic_load(&monitor->cancelled) &&
        monitor->options.progress(monitor->options.closure, last) != 0) {
        atomic_store(&monitor->cancelled, true);
    }
}

static void on_progress(void *closure, size_t done, size_t total, double loss)
{
    struct monitor_phase *phase = closure;
    struct monitor *monitor = phase->monitor;
    if (monitor->options.progress == NULL) {
        return;
    }
    double reached = phase->work * (double)done / (double)(total > 0 ? total : 1);
    pthread_mutex_lock(&monitor->mutex);
    monitor->done += reached - phase->reported;
    phase->reported = reached;
    monitor->last.phase = phase->name;
    monitor->last.member = phase->member;
    monitor->last.members = phase->members;
    monitor->last.step = done;
    monitor->last.steps = total;
    monitor->last.loss = loss;
    monitor->last.epochs = phase->epochs;
    call(monitor);
    pthread_mutex_unlock(&monitor->mutex);
}

static bool on_batch(void *closure)
{
    struct monitor_phase *phase = closure;
    struct monitor *monitor = phase->monitor;
    if (monitor->options.progress != NULL && !atomic_load(&monitor->cancelled)) {
        pthread_mutex_lock(&monitor->mutex);
        if (clock_monotonic() - monitor->last_call > quiet_seconds) {
            call(monitor);
        }
        pthread_mutex_unlock(&monitor->mutex);
    }
    return atomic_load(&monitor->cancelled);
}

void monitor_phase_start(struct monitor_phase *phase, struct monitor *monitor,
                         const char *name, size_t member, size_t members, double work)
{
    *phase = (struct monitor_phase){
        .monitor = monitor,
        .name = name,
        .member = member,
        .members = members,
        .work = work,
        .watch = {.progress = on_progress, .cancelled = on_batch, .closure = phase},
    };
}

void monitor_phase_end(struct monitor_phase *phase)
{
    on_progress(phase, 1, 1, (double)NAN);
}

bool monitor_cancelled(struct monitor *monitor)
{
    return atomic_load(&monitor->cancelled);
}

void monitor_cancel(struct monitor *monitor)
{
    atomic_store(&monitor->cancelled, true);
}

double monitor_seconds(const struct monitor *monitor)
{
    return clock_monotonic() - monitor->start;
}
