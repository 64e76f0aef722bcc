/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/sqlite_retention.h"
#include "store/sqlite_session.h"

enum {
    /* Bytes of samples in one transaction: a label that waits behind a full queue sees
     * progress, and rolling back stays cheap. */
    GROUP_BYTES = 1 << 20,
    /* Rows that retention drops in one transaction; or twice as many as the last group
     * brought, or what comes would outrun what goes. */
    BITE = 1000,
};
static const double PROBE_SECONDS = 1;
static const double TRIM_SECONDS = 1;       /* between two looks while there is work */
static const double IDLE_TRIM_SECONDS = 60; /* and while there is none */

struct task {
    struct task *next;
    sqlite_work *work;
    void *argument;
    int status;
    struct deepsad_error error;
    /* Of rows that nobody waits for; else 0. */
    size_t bytes, rows;
    bool waited_for, done;
    pthread_cond_t finished;
};

struct sqlite_writer {
    pthread_t thread;
    pthread_mutex_t mutex; /* a leaf; guards what follows up to `queue` */
    pthread_cond_t wake;   /* the thread: there is something to do */
    pthread_cond_t flushed;
    struct task *first, **end;
    size_t queued, queued_bytes;
    uint64_t posted, settled; /* tasks that nobody waits for: taken, and seen to */
    bool stopping, trim_now;
    struct deepsad_error sickness; /* status DEEPSAD_OK = healthy */
    struct store_statistics statistics;
    struct store_retention retention;

    /* Set once. */
    size_t queue;
    bool commit_each;
    int64_t began_ms; /* by the wall clock, when `began` by the other */
    double began;

    /* The thread's own. */
    struct sqlite_session session;
    double trim_at, probe_at;
    size_t rows_kept; /* by the last group */
};

static void lock(struct sqlite_writer *writer)
{
    int failed = pthread_mutex_lock(&writer->mutex);
    assert(failed == 0);
    (void)failed;
}

static void unlock(struct sqlite_writer *writer)
{
    int failed = pthread_mutex_unlock(&writer->mutex);
    assert(failed == 0);
    (void)failed;
}

/* ---- Health ------------------------------------------------------------------------ */

static void set_health(struct sqlite_writer *writer, const struct deepsad_error *error)
{
    lock(writer);
    bool was_healthy = writer->sickness.status == DEEPSAD_OK;
    writer->sickness = *error;
    unlock(writer);
    writer->probe_at = clock_monotonic() + PROBE_SECONDS;
    if (was_healthy && error->status != DEEPSAD_OK) {
        log_event(LOG_LEVEL_ERROR, "label store failed",
                  LOG_TEXT("error", error->message));
    } else if (!was_healthy && error->status == DEEPSAD_OK) {
        log_event(LOG_LEVEL_INFO, "label store writes again");
    }
}

static bool is_healthy(struct sqlite_writer *writer)
{
    lock(writer);
    bool healthy = writer->sickness.status == DEEPSAD_OK;
    unlock(writer);
    return healthy;
}

static void probe(struct sqlite_writer *writer)
{
    struct deepsad_error error = {0};
    sqlite_session_probe(&writer->session, &error);
    set_health(writer, &error);
}

/* ---- Groups ------------------------------------------------------------------------ */

/* Fails alone unless it fails for all. */
static int run_task(struct sqlite_db *db, struct task *task, struct deepsad_error *error)
{
    int status = sqlite_run_values(db, error, "SAVEPOINT task", NULL);
    if (status != DEEPSAD_OK) {
        return status;
    }
    task->status = task->work(db, task->argument, &task->error);
    if (task->status == DEEPSAD_OK) {
        return sqlite_run_values(db, error, "RELEASE task", NULL);
    }
    if (task->status == DEEPSAD_IO || sqlite3_get_autocommit(db->handle)) {
        return error_set(error, DEEPSAD_IO, "%s", task->error.message);
    }
    status = sqlite_run_values(db, error, "ROLLBACK TO task", NULL);
    return status == DEEPSAD_OK ? sqlite_run_values(db, error, "RELEASE task", NULL)
                                : status;
}

static int run_group(struct sqlite_writer *writer, struct task *group,
                     struct deepsad_error *error)
{
    int status = sqlite_session_begin(&writer->session, error);
    for (struct task *task = group; status == DEEPSAD_OK && task != NULL;
         task = task->next) {
        status = run_task(writer->session.db, task, error);
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_session_commit(&writer->session, error);
    }
    if (status != DEEPSAD_OK) {
        sqlite_session_roll_back(&writer->session);
    }
    return status;
}

/* With the lock held. */
static void settle(struct sqlite_writer *writer, struct task *task)
{
    struct store_statistics *statistics = &writer->statistics;
    if (task->waited_for) {
        task->done = true;
        pthread_cond_signal(
            &task->finished); /* its memory is the caller's from here on */
        return;
    }
    writer->settled++;
    writer->queued_bytes -= task->bytes;
    *(task->status == DEEPSAD_OK ? &statistics->samples_kept
                                 : &statistics->samples_dropped) += task->rows;
    free(task->argument);
    free(task);
}

static void finish_group(struct sqlite_writer *writer, struct task *group, int status,
                         const struct deepsad_error *error)
{
    lock(writer);
    uint64_t entries = 0, kept_before = writer->statistics.samples_kept;
    for (struct task *task = group, *next; task != NULL; task = next) {
        next = task->next;
        if (status != DEEPSAD_OK) {
            task->status = status;
            task->error = *error;
        }
        entries += task->status == DEEPSAD_OK;
        settle(writer, task);
    }
    writer->statistics.entries += entries;
    writer->statistics.commits += entries > 0;
    writer->rows_kept = (size_t)(writer->statistics.samples_kept - kept_before);
    pthread_cond_broadcast(&writer->flushed);
    unlock(writer);
}

static void write_group(struct sqlite_writer *writer, struct task *group)
{
    struct deepsad_error error = {0};
    int status = run_group(writer, group, &error);
    if (status != DEEPSAD_OK) {
        status =
            DEEPSAD_IO; /* out of memory included: nothing is wrong with the request */
        error.status = DEEPSAD_IO;
    }
    if (status != DEEPSAD_OK || !is_healthy(writer)) {
        set_health(writer, &error);
    }
    finish_group(writer, group, status, &error);
    sqlite_session_checkpoint(&writer->session);
}

/* With the lock held. */
static struct task *take_group(struct sqlite_writer *writer)
{
    struct task *group = writer->first, *last = NULL;
    size_t bytes = 0, count = 0;
    for (struct task *task = group; task != NULL; task = task->next) {
        bytes += task->bytes;
        if (count > 0 && (writer->commit_each || bytes > GROUP_BYTES)) {
            break;
        }
        last = task;
        count++;
    }
    if (last != NULL) {
        writer->first = last->next;
        last->next = NULL;
        writer->queued -= count;
    }
    if (writer->first == NULL) {
        writer->end = &writer->first;
    }
    return group;
}

/* ---- Between groups ---------------------------------------------------------------- */

/* What ages are counted by: a wall clock that jumps years ahead while the daemon runs
 * must not delete what is young. Rather too early than too late. */
static int64_t cautious_now_ms(const struct sqlite_writer *writer)
{
    int64_t passed = (int64_t)(1e3 * (clock_monotonic() - writer->began));
    int64_t wall = clock_realtime_ms();
    return wall < writer->began_ms + passed ? wall : writer->began_ms + passed;
}

static void trim(struct sqlite_writer *writer, bool after_work)
{
    struct deepsad_error error = {0};
    lock(writer);
    struct store_retention retention = writer->retention;
    unlock(writer);
    bool more = false;
    size_t bite = BITE > 2 * writer->rows_kept ? BITE : 2 * writer->rows_kept;
    int status = sqlite_session_begin(&writer->session, &error);
    if (status == DEEPSAD_OK) {
        status = sqlite_retention_bite(writer->session.db, &retention,
                                       cautious_now_ms(writer), bite, &more, &error);
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_session_commit(&writer->session, &error);
    }
    if (status != DEEPSAD_OK) {
        sqlite_session_roll_back(&writer->session);
        set_health(writer, &error);
    }
    sqlite_session_checkpoint(&writer->session);
    double pause = after_work ? TRIM_SECONDS : IDLE_TRIM_SECONDS;
    writer->trim_at = clock_monotonic() + (more && status == DEEPSAD_OK ? 0 : pause);
}

static void tend(struct sqlite_writer *writer, bool after_work)
{
    double now = clock_monotonic();
    if (!is_healthy(writer)) {
        if (now >= writer->probe_at) {
            probe(writer);
        }
    } else if (now >= writer->trim_at) {
        trim(writer, after_work);
    }
}

/* With the lock held: until there is something to do, or it is time to tend. */
static void wait_for_work(struct sqlite_writer *writer)
{
    bool healthy = writer->sickness.status == DEEPSAD_OK;
    double until = healthy ? writer->trim_at : writer->probe_at;
    struct timespec deadline = {.tv_sec = (time_t)until};
    deadline.tv_nsec = (long)((until - (double)deadline.tv_sec) * 1e9);
    int timed_out = 0;
    while (writer->first == NULL && !writer->stopping && !writer->trim_now &&
           timed_out == 0) {
        timed_out = pthread_cond_timedwait(&writer->wake, &writer->mutex, &deadline);
    }
}

static void *write_all(void *context)
{
    struct sqlite_writer *writer = context;
    lock(writer);
    for (;;) {
        wait_for_work(writer);
        struct task *group = take_group(writer);
        if (group == NULL && writer->stopping) {
            break;
        }
        if (writer->trim_now) {
            writer->trim_now = false;
            writer->trim_at = 0;
        }
        unlock(writer);
        if (group != NULL) {
            write_group(writer, group);
            double soon = clock_monotonic() + TRIM_SECONDS;
            writer->trim_at = writer->trim_at < soon ? writer->trim_at : soon;
        }
        tend(writer, group != NULL);
        lock(writer);
    }
    unlock(writer);
    return NULL;
}

/* ---- For the callers --------------------------------------------------------------- */

/* With the lock held. */
static void enqueue(struct sqlite_writer *writer, struct task *task)
{
    *writer->end = task;
    writer->end = &task->next;
    writer->queued++;
    pthread_cond_signal(&writer->wake);
}

int sqlite_writer_run(struct sqlite_writer *writer, sqlite_work *work, void *argument,
                      struct deepsad_error *error)
{
    struct task task = {.work = work, .argument = argument, .waited_for = true};
    pthread_cond_init(&task.finished, NULL);
    lock(writer);
    enqueue(writer, &task);
    while (!task.done) {
        pthread_cond_wait(&task.finished, &writer->mutex);
    }
    unlock(writer);
    pthread_cond_destroy(&task.finished);
    if (task.status != DEEPSAD_OK) {
        error_record(error, task.error.status, "%s", task.error.message);
    }
    return task.status;
}

bool sqlite_writer_post(struct sqlite_writer *writer, sqlite_work *work, void *argument,
                        size_t bytes, size_t rows)
{
    struct task *task = calloc(1, sizeof *task);
    bytes += sizeof *task;
    lock(writer);
    bool fits = task != NULL && bytes <= writer->queue &&
                writer->queued_bytes <= writer->queue - bytes;
    if (fits) {
        *task = (struct task){
            .work = work, .argument = argument, .bytes = bytes, .rows = rows};
        writer->queued_bytes += bytes;
        writer->posted++;
        enqueue(writer, task);
    } else {
        writer->statistics.samples_dropped += rows;
    }
    unlock(writer);
    if (!fits) {
        free(task);
        free(argument);
    }
    return fits;
}

void sqlite_writer_flush(struct sqlite_writer *writer)
{
    lock(writer);
    uint64_t posted = writer->posted;
    while (writer->settled < posted) {
        pthread_cond_wait(&writer->flushed, &writer->mutex);
    }
    unlock(writer);
}

void sqlite_writer_count_dropped(struct sqlite_writer *writer, size_t rows)
{
    lock(writer);
    writer->statistics.samples_dropped += rows;
    unlock(writer);
}

int sqlite_writer_health(struct sqlite_writer *writer, struct deepsad_error *error)
{
    lock(writer);
    struct deepsad_error sickness = writer->sickness;
    unlock(writer);
    if (sickness.status != DEEPSAD_OK) {
        error_record(error, sickness.status, "%s", sickness.message);
    }
    return (int)sickness.status;
}

void sqlite_writer_statistics(struct sqlite_writer *writer, struct store_statistics *out)
{
    lock(writer);
    *out = writer->statistics;
    out->queued = writer->queued;
    out->healthy = writer->sickness.status == DEEPSAD_OK;
    unlock(writer);
}

void sqlite_writer_set_retention(struct sqlite_writer *writer,
                                 const struct store_retention *retention)
{
    lock(writer);
    writer->retention = *retention;
    writer->trim_now = true;
    pthread_cond_signal(&writer->wake);
    unlock(writer);
}

/* ---- Life -------------------------------------------------------------------------- */

static void destroy(struct sqlite_writer *writer)
{
    sqlite_session_done(&writer->session);
    pthread_mutex_destroy(&writer->mutex);
    pthread_cond_destroy(&writer->wake);
    pthread_cond_destroy(&writer->flushed);
    free(writer);
}

static struct sqlite_writer *make(const struct sqlite_options *options)
{
    struct sqlite_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->wake, &monotonic);
    pthread_cond_init(&writer->flushed, NULL);
    pthread_condattr_destroy(&monotonic);
    writer->end = &writer->first;
    writer->queue = options->queue;
    writer->retention = options->retention;
    writer->commit_each = options->commit_each;
    writer->began_ms = clock_realtime_ms();
    writer->began = clock_monotonic();
    return writer;
}

int sqlite_writer_open(struct sqlite_writer **out, const char *path,
                       struct sqlite_readers *readers,
                       const struct sqlite_options *options, struct deepsad_error *error)
{
    struct sqlite_writer *writer = make(options);
    if (writer == NULL) {
        return error_no_memory(error, "the label store");
    }
    int status =
        sqlite_session_init(&writer->session, path, options->synchronous, readers, error);
    if (status == DEEPSAD_OK) {
        int number = pthread_create(&writer->thread, NULL, write_all, writer);
        if (number != 0) {
            status = error_system(error, number, "the label store's thread");
        }
    }
    if (status != DEEPSAD_OK) {
        destroy(writer);
        return status;
    }
    *out = writer;
    return DEEPSAD_OK;
}

void sqlite_writer_close(struct sqlite_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    lock(writer);
    writer->stopping = true;
    pthread_cond_signal(&writer->wake);
    unlock(writer);
    pthread_join(writer->thread, NULL);
    destroy(writer);
}
