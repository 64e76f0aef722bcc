/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for what may wait: for a disk, a database, the scores of many rows. Tasks are
 * run in the order in which they came, each by one thread, with that thread's worker.
 *
 * The queue has no bound of its own: whoever submits bounds what is under way (the
 * server by limits.in_flight). Lock: the executor's own, a leaf; no task runs under it.
 */
#ifndef HTTP_EXECUTOR_H
#define HTTP_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Part of what is to be done; the memory stays the caller's, until `run` is called. */
struct executor_task {
    /* Called once. `cancelled`: the executor is stopping and the task was still queued;
     * `worker` is NULL then. Others than executors may keep tasks, too: routes that defer
     * their requests (router.h). */
    void (*run)(struct executor_task *task, void *worker, bool cancelled);
    struct executor_task *next; /* the executor's */
};

struct executor_options {
    size_t threads; /* at least 1 */
    void *app;      /* for the functions below */
    void *(*worker_new)(void *app);
    void (*worker_free)(void *app, void *worker);
};

struct executor;

/* Fails where a thread or its worker cannot be made. */
int executor_start(struct executor **out, const struct executor_options *options,
                   struct deepsad_error *error);

/* From any thread; never waits. False: the executor is stopping, the task is not taken.
 */
bool executor_submit(struct executor *executor, struct executor_task *task);

/* Lets tasks that run finish, cancels those queued, joins all threads. From then on
 * executor_submit() is false. Accepts NULL; may be called again. */
void executor_stop(struct executor *executor);
/* Stops if need be. Accepts NULL. */
void executor_free(struct executor *executor);

#endif
