/* SPDX-License-Identifier: Apache-2.0 */
#include "api/batcher.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/batch_lane.h"
#include "base/clock.h"

enum { LANES = 16 /* models with requests that wait, at once */ };

struct batch_thread {
    pthread_t id;
    struct batcher *batcher;
    struct deepsad_workspace *workspace;
    float *x;        /* rows of a batch */
    size_t capacity; /* floats */
    float *scores;   /* (score_capacity) */
    float *p_values;
    size_t score_capacity;
};

struct batcher {
    struct cores *cores;
    struct metrics *metrics;
    size_t thread_count;
    pthread_mutex_t mutex; /* guards what follows; a leaf */
    pthread_cond_t due;    /* for the one who watches: look at the lanes again */
    pthread_cond_t watch;  /* for the others: nobody watches */
    bool watched, stopping;
    size_t idle;    /* threads that wait for one of the two */
    size_t started; /* of `threads` */
    struct batch_thread *threads;
    struct batch_lane lanes[LANES];
};

/* ---- One batch --------------------------------------------------------------------- */

static bool reserve(float **floats, size_t *capacity, size_t needed)
{
    if (needed > *capacity) {
        float *more = realloc(*floats, needed * sizeof **floats);
        if (more == NULL) {
            return false;
        }
        *floats = more;
        *capacity = needed;
    }
    return true;
}

static bool reserve_scores(struct batch_thread *thread, size_t rows)
{
    size_t scores = thread->score_capacity, p_values = scores;
    bool done = reserve(&thread->scores, &scores, rows) &&
                reserve(&thread->p_values, &p_values, rows);
    thread->score_capacity = done ? scores : thread->score_capacity;
    return done;
}

/* The rows of all requests, one after the other; those of a single one where they are.
 * NULL: out of memory. */
static const float *gather(struct batch_thread *thread, const struct scoring *batch,
                           size_t rows)
{
    size_t features = batch->rows.columns.count, used = 0;
    if (batch->queued.next == NULL) {
        return scoring_unscored(batch);
    }
    if (!reserve(&thread->x, &thread->capacity, rows * features)) {
        return NULL;
    }
    for (; batch != NULL; batch = batch->queued.next) {
        size_t count = batch->rows.count * features;
        memcpy(thread->x + used, scoring_unscored(batch), count * sizeof *thread->x);
        used += count;
    }
    return thread->x;
}

/* What a batch was: the same for all of its requests. */
struct batch_times {
    double start, seconds;
    size_t rows;
    bool scored;
};

/* The request's share of the time. The first one tells of the batch. */
static void note_times(struct scoring *scoring, const struct batch_times *times,
                       bool first)
{
    struct inference_sample *sample = &scoring->sample;
    double waited = times->start - scoring->queued.since;
    sample->queue_ns += waited > 0 ? (uint64_t)(waited * 1e9) : 0;
    if (times->scored) {
        double share = (double)scoring->rows.count / (double)times->rows;
        sample->infer_ns += (uint64_t)(times->seconds * share * 1e9);
        sample->shared = true;
        sample->executed = first ? times->rows : 0;
        sample->executed_ns = first ? (uint64_t)(times->seconds * 1e9) : 0;
    }
}

/* Each request may be somebody else's as soon as its task has run. */
static void give_back(struct batch_thread *thread, struct scoring *batch,
                      const struct batch_times *times)
{
    size_t first = 0;
    while (batch != NULL) {
        struct scoring *next = batch->queued.next;
        struct executor_task *task = batch->queued.task;
        size_t rows = batch->rows.count;
        if (times->scored) {
            scoring_put(batch, thread->scores + first, thread->p_values + first, rows);
        }
        note_times(batch, times, first == 0);
        first += rows;
        task->run(task, NULL, false);
        batch = next;
    }
}

static void score_batch(struct batch_thread *thread, struct scoring *batch)
{
    const struct batcher *batcher = thread->batcher;
    struct batch_times times = {.start = clock_monotonic()};
    size_t requests = 0;
    for (const struct scoring *one = batch; one != NULL; one = one->queued.next) {
        times.rows += one->rows.count;
        requests++;
    }
    if (batcher->metrics != NULL) {
        metrics_count_batch(batcher->metrics, batch->entry->name, requests);
    }
    const float *x =
        reserve_scores(thread, times.rows) ? gather(thread, batch, times.rows) : NULL;
    times.scored =
        x != NULL &&
        cores_score(batcher->cores, batch->version->model, thread->workspace,
                    thread->scores, thread->p_values, x, times.rows) == DEEPSAD_OK;
    times.seconds = clock_monotonic() - times.start;
    give_back(thread, batch, &times);
}

/* ---- Threads ----------------------------------------------------------------------- */

/* Of the lanes in which something waits, the one that should be taken first, or NULL. */
static struct batch_lane *most_urgent(struct batcher *batcher)
{
    struct batch_lane *found = NULL;
    for (size_t i = 0; i < LANES; i++) {
        struct batch_lane *lane = &batcher->lanes[i];
        if (lane->requests > 0 && (found == NULL || lane->due < found->due)) {
            found = lane;
        }
    }
    return found;
}

/* With the lock held: waits until `lane` is due, or for something to wait at all. */
static void keep_watch(struct batcher *batcher, const struct batch_lane *lane)
{
    batcher->watched = true;
    if (lane == NULL) {
        pthread_cond_wait(&batcher->due, &batcher->mutex);
    } else {
        time_t seconds = (time_t)lane->due;
        struct timespec until = {seconds, (long)((lane->due - (double)seconds) * 1e9)};
        pthread_cond_timedwait(&batcher->due, &batcher->mutex, &until);
    }
    batcher->watched = false;
}

static void *serve(void *argument);

/* With the lock held: one more, where there is none to do what comes. */
static void start_thread(struct batcher *batcher)
{
    if (batcher->started == batcher->thread_count || batcher->stopping) {
        return;
    }
    struct batch_thread *thread = &batcher->threads[batcher->started];
    thread->batcher = batcher;
    if (thread->workspace == NULL) {
        thread->workspace = deepsad_workspace_new();
    }
    if (thread->workspace != NULL &&
        pthread_create(&thread->id, NULL, serve, thread) == 0) {
        batcher->started++;
    }
}

/* With the lock held, by a thread that has a batch to score. */
static void pass_watch_on(struct batcher *batcher)
{
    if (!batcher->watched && batcher->idle > 0) {
        pthread_cond_signal(&batcher->watch);
    } else if (!batcher->watched && most_urgent(batcher) != NULL) {
        start_thread(batcher);
    }
}

/* With the lock held: the next batch that is due, waiting for one; NULL when the batcher
 * stops and nothing waits any more. */
static struct scoring *take_batch(struct batcher *batcher)
{
    for (;;) {
        struct batch_lane *lane = most_urgent(batcher);
        if (lane != NULL && (batcher->stopping || lane->due <= clock_monotonic())) {
            struct scoring *batch = batch_lane_take(lane);
            pass_watch_on(batcher);
            return batch;
        }
        if (lane == NULL && batcher->stopping) {
            return NULL;
        }
        batcher->idle++;
        if (batcher->watched) {
            pthread_cond_wait(&batcher->watch, &batcher->mutex);
        } else {
            keep_watch(batcher, lane);
        }
        batcher->idle--;
    }
}

static void *serve(void *argument)
{
    struct batch_thread *thread = argument;
    struct batcher *batcher = thread->batcher;
    struct scoring *batch;
    pthread_mutex_lock(&batcher->mutex);
    while ((batch = take_batch(batcher)) != NULL) {
        pthread_mutex_unlock(&batcher->mutex);
        score_batch(thread, batch);
        pthread_mutex_lock(&batcher->mutex);
    }
    pthread_mutex_unlock(&batcher->mutex);
    return NULL;
}

/* ---- Lifetime ---------------------------------------------------------------------- */

int batcher_new(struct batcher **out, struct cores *cores, struct metrics *metrics,
                size_t threads, struct deepsad_error *error)
{
    struct batcher *batcher = calloc(1, sizeof *batcher);
    if (batcher == NULL) {
        return error_no_memory(error, "the threads of batches");
    }
    batcher->cores = cores;
    batcher->metrics = metrics;
    batcher->thread_count = threads;
    batcher->threads = calloc(threads, sizeof *batcher->threads);
    if (batcher->threads == NULL) {
        free(batcher);
        return error_no_memory(error, "the threads of batches");
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&batcher->mutex, NULL);
    pthread_cond_init(&batcher->due, &attributes);
    pthread_cond_init(&batcher->watch, NULL);
    pthread_condattr_destroy(&attributes);
    *out = batcher;
    return DEEPSAD_OK;
}

void batcher_stop(struct batcher *batcher)
{
    if (batcher == NULL) {
        return;
    }
    pthread_mutex_lock(&batcher->mutex);
    batcher->stopping = true; /* from here on no thread is started */
    pthread_cond_broadcast(&batcher->due);
    pthread_cond_broadcast(&batcher->watch);
    pthread_mutex_unlock(&batcher->mutex);
    for (; batcher->started > 0; batcher->started--) {
        pthread_join(batcher->threads[batcher->started - 1].id, NULL);
    }
}

void batcher_free(struct batcher *batcher)
{
    if (batcher == NULL) {
        return;
    }
    batcher_stop(batcher);
    for (size_t i = 0; i < batcher->thread_count; i++) {
        struct batch_thread *thread = &batcher->threads[i];
        deepsad_workspace_free(thread->workspace);
        free(thread->x);
        free(thread->scores);
        free(thread->p_values);
    }
    pthread_cond_destroy(&batcher->due);
    pthread_cond_destroy(&batcher->watch);
    pthread_mutex_destroy(&batcher->mutex);
    free(batcher->threads);
    free(batcher);
}

/* ---- Requests ---------------------------------------------------------------------- */

bool batcher_used(const struct batcher *batcher, const struct scoring *scoring)
{
    return batcher != NULL && scoring->version != NULL &&
           scoring->entry->policy.batching.delay > 0;
}

/* With the lock held: the model's lane, which may be one that another model has left;
 * NULL where all are in use. */
static struct batch_lane *lane_of(struct batcher *batcher,
                                  const struct deepsad_model *model)
{
    struct batch_lane *unused = NULL, *left = NULL;
    for (size_t i = 0; i < LANES; i++) {
        struct batch_lane *lane = &batcher->lanes[i];
        if (lane->model == model) {
            return lane;
        }
        unused = lane->model == NULL && unused == NULL ? lane : unused;
        left = lane->requests == 0 ? lane : left;
    }
    struct batch_lane *lane = unused != NULL ? unused : left;
    if (lane != NULL) {
        batch_lane_init(lane, model);
    }
    return lane;
}

bool batcher_wants(struct batcher *batcher, const struct scoring *scoring)
{
    const struct rows *rows = &scoring->rows;
    if (scoring->scored > 0 || rows->count == 0 ||
        rows->count >= batch_lane_most(scoring)) {
        return false; /* there is nothing left, or no room for others */
    }
    pthread_mutex_lock(&batcher->mutex);
    struct batch_lane *lane = lane_of(batcher, scoring->version->model);
    bool wanted = lane != NULL && !batcher->stopping && batch_lane_wanted(lane);
    pthread_mutex_unlock(&batcher->mutex);
    return wanted;
}

/* With the lock held: somebody looks at the lane, whose first request has just come, or
 * which has become due. */
static void call_for(struct batcher *batcher)
{
    if (batcher->watched) {
        pthread_cond_signal(&batcher->due);
    } else if (batcher->idle > 0) {
        pthread_cond_signal(&batcher->watch);
    }
}

bool batcher_take(struct batcher *batcher, struct scoring *scoring,
                  struct executor_task *task)
{
    pthread_mutex_lock(&batcher->mutex);
    struct batch_lane *lane =
        batcher->stopping ? NULL : lane_of(batcher, scoring->version->model);
    if (lane != NULL && batcher->idle == 0) {
        start_thread(batcher);
    }
    bool taken = lane != NULL && batcher->started > 0;
    if (taken) {
        bool first = lane->requests == 0, called = !first && lane->due <= 0;
        scoring->queued.task = task;
        batch_lane_add(lane, scoring, clock_monotonic());
        if (first || (!called && lane->due <= 0)) {
            call_for(batcher);
        }
    }
    pthread_mutex_unlock(&batcher->mutex);
    return taken;
}
