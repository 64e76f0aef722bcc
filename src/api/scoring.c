/* SPDX-License-Identifier: Apache-2.0 */
#include "api/scoring.h"

#include <stdlib.h>
#include <string.h>

#include "api/cores.h"
#include "api/keep.h"
#include "api/model_columns.h"
#include "api/models.h"
#include "base/clock.h"
#include "model/component.h"

enum {
    IDLE_MAX = 4 << 20,    /* bytes of buffers that a request leaves for the next */
    BLOCK_BYTES = 1 << 20, /* of rows that are scored at once: fits a core's cache */
    BLOCK_ROWS_MAX = 4096,
};

/* ---- Lifetime ---------------------------------------------------------------------- */

static bool reset_rows(struct scoring *scoring)
{
    struct rows_columns columns = model_columns(scoring->version->model);
    struct rows_limits limits = {
        .rows = atomic_load_explicit(&scoring->app->max_rows, memory_order_relaxed),
        .bytes = atomic_load_explicit(&scoring->app->max_decoded, memory_order_relaxed),
    };
    return rows_reset(&scoring->rows, &columns, &limits);
}

bool scoring_begin(struct scoring *scoring, struct app *app, struct request *request,
                   struct reply *reply)
{
    scoring->app = app;
    scoring->started = clock_monotonic();
    scoring->sample = (struct inference_sample){.rows = 0};
    scoring->scored = scoring->anomalous = 0;
    scoring->catalog = registry_acquire(app->registry);
    scoring->version =
        models_find_version(scoring->catalog, request, reply, &scoring->entry);
    if (scoring->version == NULL) {
        return false;
    }
    scoring->wants_rows = keep_wanted_of(scoring, false);
    reset_rows(scoring); /* a fault is reported with the body's */
    return true;
}

static void drop_scores(struct scoring *scoring)
{
    free(scoring->scores);
    free(scoring->p_values);
    scoring->scores = scoring->p_values = NULL;
    scoring->capacity = 0;
}

void scoring_end(struct scoring *scoring)
{
    if (scoring->catalog != NULL) {
        registry_release(scoring->app->registry, scoring->catalog);
        scoring->catalog = NULL;
        scoring->version = NULL;
    }
    rows_trim(&scoring->rows, IDLE_MAX);
    if (scoring->capacity * 2 * sizeof(float) > IDLE_MAX) {
        drop_scores(scoring);
    }
}

void scoring_done(struct scoring *scoring)
{
    rows_done(&scoring->rows);
    drop_scores(scoring);
}

/* ---- Times ------------------------------------------------------------------------- */

static uint64_t nanoseconds(double since)
{
    double seconds = clock_monotonic() - since;
    return seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
}

void scoring_decoded(struct scoring *scoring, double since)
{
    scoring->sample.input_ns += nanoseconds(since);
}

void scoring_written(struct scoring *scoring, double since)
{
    scoring->sample.output_ns += nanoseconds(since);
}

/* ---- Blocks ------------------------------------------------------------------------ */

static bool reserve(struct scoring *scoring, size_t rows)
{
    if (rows <= scoring->capacity) {
        return true;
    }
    size_t capacity = scoring->capacity == 0 ? 64 : scoring->capacity;
    while (capacity < rows) {
        capacity *= 2;
    }
    float *scores = realloc(scoring->scores, capacity * sizeof *scores);
    scoring->scores = scores == NULL ? scoring->scores : scores;
    float *p_values = realloc(scoring->p_values, capacity * sizeof *p_values);
    scoring->p_values = p_values == NULL ? scoring->p_values : p_values;
    if (scores == NULL || p_values == NULL) {
        return false;
    }
    scoring->capacity = capacity;
    return true;
}

static size_t count_anomalous(const struct scoring *scoring, size_t first, size_t rows)
{
    double alpha = scoring->entry->alpha; /* as the threshold compares it */
    size_t count = 0;
    for (size_t i = first; i < first + rows; i++) {
        count += (double)scoring->p_values[i] <= alpha;
    }
    return count;
}

bool scoring_take(struct scoring *scoring, struct worker *worker, const float *x,
                  size_t rows)
{
    size_t first = scoring->scored;
    double start = clock_monotonic();
    if (worker == NULL || !reserve(scoring, first + rows) ||
        cores_score(scoring->app->cores, scoring->version->model, worker->workspace,
                    scoring->scores + first, scoring->p_values + first, x,
                    rows) != DEEPSAD_OK) {
        return rows_fail(&scoring->rows, 500, "", "out of memory for scoring");
    }
    scoring->scored += rows;
    scoring->anomalous += count_anomalous(scoring, first, rows);
    scoring->sample.infer_ns += nanoseconds(start);
    return true;
}

bool scoring_put(struct scoring *scoring, const float *scores, const float *p_values,
                 size_t rows)
{
    size_t first = scoring->scored;
    if (!reserve(scoring, first + rows)) {
        return false;
    }
    memcpy(scoring->scores + first, scores, rows * sizeof *scores);
    memcpy(scoring->p_values + first, p_values, rows * sizeof *p_values);
    scoring->scored += rows;
    scoring->anomalous += count_anomalous(scoring, first, rows);
    return true;
}

const float *scoring_unscored(const struct scoring *scoring)
{
    const struct rows *rows = &scoring->rows;
    return rows->x + (scoring->scored - rows->first) * rows->columns.count;
}

/* Rows that are scored at once: as many as fit into the cache, in whole blocks. */
static size_t block_rows(const struct scoring *scoring)
{
    size_t rows = BLOCK_BYTES / sizeof(float) / scoring->rows.columns.count;
    rows = rows < BLOCK_ROWS_MAX ? rows : BLOCK_ROWS_MAX;
    rows -= rows % COMPONENT_BLOCK;
    return rows < COMPONENT_BLOCK ? COMPONENT_BLOCK : rows;
}

static bool holds_too_much(const struct scoring *scoring)
{
    const struct rows *rows = &scoring->rows;
    size_t held = (scoring->scored - rows->first) * rows->columns.count;
    return held * sizeof(float) > SCORING_HELD_MAX || rows->first > 0;
}

bool scoring_advance(struct scoring *scoring, struct worker *worker)
{
    struct rows *rows = &scoring->rows;
    size_t block = block_rows(scoring);
    while (rows->fault.status == 0 && rows->count - scoring->scored >= block) {
        if (!scoring_take(scoring, worker, scoring_unscored(scoring), block)) {
            return false;
        }
        if (!scoring->wants_rows && holds_too_much(scoring)) {
            rows_drop(rows, scoring->scored);
        }
    }
    return rows->fault.status == 0;
}

bool scoring_finish(struct scoring *scoring, struct worker *worker)
{
    size_t left = scoring->rows.count - scoring->scored;
    return left == 0 || scoring_take(scoring, worker, scoring_unscored(scoring), left);
}

bool scoring_has_rows(const struct scoring *scoring)
{
    return scoring->rows.first == 0;
}

/* ---- Counting ---------------------------------------------------------------------- */

static void count_rows(struct scoring *scoring, struct worker *worker)
{
    const char *model = scoring->entry->name;
    if (strcmp(worker->model, model) != 0) {
        strncpy(worker->model, model, sizeof worker->model - 1);
        worker->counted = metrics_of_model(scoring->app->metrics, model);
    }
    counter_add(worker->counted.rows, scoring->scored);
    if (scoring->anomalous > 0) {
        counter_add(worker->counted.anomalous, scoring->anomalous);
    }
}

void scoring_count(struct scoring *scoring, struct worker *worker, bool success)
{
    struct inference_sample *sample = &scoring->sample;
    if (success) {
        count_rows(scoring, worker);
    }
    sample->rows = scoring->scored;
    sample->success = success;
    sample->total_ns = nanoseconds(scoring->started);
    inference_stats_record(scoring->app->inference_stats, &worker->series,
                           scoring->entry->name, scoring->version->number, sample);
}
