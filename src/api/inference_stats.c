/* SPDX-License-Identifier: Apache-2.0 */
#include "api/inference_stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/app.h"
#include "api/models.h"
#include "api/values.h"
#include "base/clock.h"
#include "http/auth.h"

struct duration {
    uint64_t count, ns;
};

struct batch {
    size_t rows;
    struct duration input, infer, output;
};

struct counts {
    int64_t last_ms; /* 0 = never used */
    uint64_t rows, executions;
    struct duration success, fail, queue, input, infer, output;
    size_t batch_count, batch_last;
    struct batch batches[INFERENCE_STATS_BATCHES_MAX];
};

struct inference_series {
    pthread_mutex_t mutex;
    char model[65];
    unsigned version;
    struct counts counts;
};

struct inference_stats {
    pthread_mutex_t mutex; /* guards the list; what is in it stays */
    size_t count;
    struct inference_series *series[INFERENCE_STATS_SERIES_MAX];
};

int inference_stats_new(struct inference_stats **out, struct deepsad_error *error)
{
    struct inference_stats *stats = calloc(1, sizeof *stats);
    if (stats == NULL) {
        return error_no_memory(error, "the statistics");
    }
    pthread_mutex_init(&stats->mutex, NULL);
    *out = stats;
    return DEEPSAD_OK;
}

void inference_stats_free(struct inference_stats *stats)
{
    if (stats == NULL) {
        return;
    }
    for (size_t i = 0; i < stats->count; i++) {
        pthread_mutex_destroy(&stats->series[i]->mutex);
        free(stats->series[i]);
    }
    pthread_mutex_destroy(&stats->mutex);
    free(stats);
}

/* ---- Series ------------------------------------------------------------------------ */

static bool is_of(const struct inference_series *series, const char *model,
                  unsigned version)
{
    return series->version == version && strcmp(series->model, model) == 0;
}

/* Locked if it is of that version; else NULL. */
static struct inference_series *try_lock(struct inference_series *series,
                                         const char *model, unsigned version)
{
    pthread_mutex_lock(&series->mutex);
    if (is_of(series, model, version)) {
        return series;
    }
    pthread_mutex_unlock(&series->mutex);
    return NULL;
}

static struct inference_series *make_series(struct inference_stats *stats)
{
    struct inference_series *series = calloc(1, sizeof *series);
    if (series != NULL) {
        pthread_mutex_init(&series->mutex, NULL);
        stats->series[stats->count++] = series;
    }
    return series;
}

static struct inference_series *oldest_series(struct inference_stats *stats)
{
    size_t oldest = 0;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < stats->count; i++) {
        pthread_mutex_lock(&stats->series[i]->mutex);
        int64_t used = stats->series[i]->counts.last_ms;
        pthread_mutex_unlock(&stats->series[i]->mutex);
        oldest = used < least ? i : oldest;
        least = used < least ? used : least;
    }
    return stats->series[oldest];
}

/* One that is new, or the one that was not used for longest; locked. */
static struct inference_series *lock_new(struct inference_stats *stats, const char *model,
                                         unsigned version)
{
    struct inference_series *series = stats->count < INFERENCE_STATS_SERIES_MAX
                                          ? make_series(stats)
                                          : oldest_series(stats);
    if (series == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&series->mutex);
    series->counts = (struct counts){.last_ms = 0};
    series->version = version;
    snprintf(series->model, sizeof series->model, "%s", model);
    return series;
}

static struct inference_series *lock_series(struct inference_stats *stats,
                                            const char *model, unsigned version)
{
    struct inference_series *found = NULL;
    pthread_mutex_lock(&stats->mutex);
    for (size_t i = 0; i < stats->count && found == NULL; i++) {
        found = try_lock(stats->series[i], model, version);
    }
    found = found == NULL ? lock_new(stats, model, version) : found;
    pthread_mutex_unlock(&stats->mutex);
    return found;
}

/* ---- Counting ---------------------------------------------------------------------- */

static void add(struct duration *duration, uint64_t ns)
{
    duration->count++;
    duration->ns += ns;
}

/* NULL: there is no room for another number of rows. */
static struct batch *find_batch(struct counts *counts, size_t rows)
{
    for (size_t i = 0; i < counts->batch_count; i++) {
        size_t place = (counts->batch_last + i) % counts->batch_count;
        if (counts->batches[place].rows == rows) {
            counts->batch_last = place;
            return &counts->batches[place];
        }
    }
    if (counts->batch_count == INFERENCE_STATS_BATCHES_MAX) {
        return NULL;
    }
    counts->batch_last = counts->batch_count++;
    counts->batches[counts->batch_last] = (struct batch){.rows = rows};
    return &counts->batches[counts->batch_last];
}

static void count_success(struct counts *counts, const struct inference_sample *sample)
{
    size_t executed = sample->shared ? sample->executed : sample->rows;
    struct batch *batch = executed == 0 ? NULL : find_batch(counts, executed);
    counts->rows += sample->rows;
    counts->executions += executed > 0;
    add(&counts->success, sample->total_ns);
    add(&counts->queue, sample->queue_ns);
    add(&counts->input, sample->input_ns);
    add(&counts->infer, sample->infer_ns);
    add(&counts->output, sample->output_ns);
    if (batch != NULL) {
        add(&batch->input, sample->input_ns);
        add(&batch->infer, sample->shared ? sample->executed_ns : sample->infer_ns);
        add(&batch->output, sample->output_ns);
    }
}

void inference_stats_record(struct inference_stats *stats,
                            struct inference_series **cached, const char *model,
                            unsigned version, const struct inference_sample *sample)
{
    struct inference_series *series = NULL;
    if (stats == NULL) {
        return;
    }
    if (*cached != NULL) {
        series = try_lock(*cached, model, version);
    }
    if (series == NULL) {
        series = lock_series(stats, model, version);
    }
    *cached = series;
    if (series == NULL) {
        return;
    }
    series->counts.last_ms = clock_realtime_ms();
    if (sample->success) {
        count_success(&series->counts, sample);
    } else {
        add(&series->counts.fail, sample->total_ns);
    }
    pthread_mutex_unlock(&series->mutex);
}

/* ---- Showing ----------------------------------------------------------------------- */

static json_t *show_duration(struct duration duration)
{
    return json_pack("{sI sI}", "count", (json_int_t)duration.count, "ns",
                     (json_int_t)duration.ns);
}

static json_t *show_batches(const struct counts *counts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < counts->batch_count; i++) {
        const struct batch *batch = &counts->batches[i];
        json_array_append_new(
            list, json_pack("{sI so so so}", "batch_size", (json_int_t)batch->rows,
                            "compute_input", show_duration(batch->input), "compute_infer",
                            show_duration(batch->infer), "compute_output",
                            show_duration(batch->output)));
    }
    return list;
}

static json_t *show_series(const struct inference_series *series)
{
    const struct counts *counts = &series->counts;
    const struct duration none = {0, 0}; /* there is no cache of answers */
    json_t *times = json_pack(
        "{so so so so so so so so}", "success", show_duration(counts->success), "fail",
        show_duration(counts->fail), "queue", show_duration(counts->queue),
        "compute_input", show_duration(counts->input), "compute_infer",
        show_duration(counts->infer), "compute_output", show_duration(counts->output),
        "cache_hit", show_duration(none), "cache_miss", show_duration(none));
    return json_pack("{ss so sI sI sI so so}", "name", series->model, "version",
                     value_version(series->version), "last_inference",
                     (json_int_t)counts->last_ms, "inference_count",
                     (json_int_t)counts->rows, "execution_count",
                     (json_int_t)counts->executions, "inference_stats", times,
                     "batch_stats", show_batches(counts));
}

/* Also one that has scored nothing yet. */
static json_t *show_version(struct inference_stats *stats, const char *model,
                            unsigned version)
{
    struct inference_series *series =
        stats == NULL ? NULL : lock_series(stats, model, version);
    if (series == NULL) {
        return NULL;
    }
    json_t *shown = show_series(series);
    pthread_mutex_unlock(&series->mutex);
    return shown;
}

/* Versions that are loaded, and those that were and have been used. */
static void show_model(json_t *list, struct inference_stats *stats,
                       const struct catalog_entry *entry)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        json_array_append_new(
            list, show_version(stats, entry->name, entry->versions[i].number));
    }
    for (size_t i = 0; i < entry->available_count; i++) {
        unsigned number = entry->available[i];
        struct inference_series *series = NULL;
        if (catalog_version(entry, number) != NULL || stats == NULL) {
            continue;
        }
        pthread_mutex_lock(&stats->mutex);
        for (size_t k = 0; k < stats->count && series == NULL; k++) {
            series = try_lock(stats->series[k], entry->name, number);
        }
        pthread_mutex_unlock(&stats->mutex);
        if (series != NULL) {
            json_array_append_new(list, show_series(series));
            pthread_mutex_unlock(&series->mutex);
        }
    }
}

static void reply_stats(const struct request *request, struct reply *reply, json_t *list)
{
    reply_json(request, reply, 200, json_pack("{so}", "model_stats", list));
}

void handle_stats(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry = models_find(catalog, request, reply);
    bool all = request->parameters[1].data == NULL;
    unsigned number = all ? 0 : models_parse_version(request->parameters[1]);
    if (entry != NULL && !all && !models_has_version(entry, number)) {
        models_refuse_version(request, reply, entry, number);
    } else if (entry != NULL) {
        json_t *list = json_array();
        if (all) {
            show_model(list, app->inference_stats, entry);
        } else {
            json_array_append_new(
                list, show_version(app->inference_stats, entry->name, number));
        }
        reply_stats(request, reply, list);
    }
    registry_release(app->registry, catalog);
}

void handle_stats_all(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    const struct catalog *catalog = registry_acquire(app->registry);
    json_t *list = json_array();
    for (size_t i = 0; i < catalog->count; i++) {
        if (auth_allows(request, ROLE_ANY, catalog->entries[i].name)) {
            show_model(list, app->inference_stats, &catalog->entries[i]);
        }
    }
    registry_release(app->registry, catalog);
    reply_stats(request, reply, list);
}
