/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/app.h"
#include "api/label_rows.h"
#include "base/clock.h"

static const struct counter_family families[METRIC_COUNT] = {
    [METRIC_REQUESTS] = {"deepsad_http_requests_total",
                         COUNTER_TOTAL,
                         {"route", "status"},
                         "Requests by route and status; 499: the client went away."},
    [METRIC_REQUEST_SECONDS] = {"deepsad_http_request_duration_seconds",
                                COUNTER_HISTOGRAM,
                                {"route"},
                                "Time from a request's head to its answer."},
    [METRIC_ROWS] = {"deepsad_scored_rows_total",
                     COUNTER_TOTAL,
                     {"model"},
                     "Rows scored."},
    [METRIC_ANOMALOUS] = {"deepsad_anomalous_rows_total",
                          COUNTER_TOTAL,
                          {"model"},
                          "Rows called anomalous."},
    [METRIC_BATCHES] = {"deepsad_batches_total",
                        COUNTER_TOTAL,
                        {"model"},
                        "Batches of requests that were scored together."},
    [METRIC_BATCHED] = {"deepsad_batched_requests_total",
                        COUNTER_TOTAL,
                        {"model"},
                        "Requests in those batches."},
    [METRIC_MODELS_LOADED] = {"deepsad_models_live",
                              COUNTER_GAUGE,
                              {NULL},
                              "Models that can score."},
    [METRIC_MODELS_FAULTY] =
        {"deepsad_models_faulty",
         COUNTER_GAUGE,
         {NULL},
         "Models with a fault: a version or a policy that does not load."},
    [METRIC_MODEL_UP] = {"deepsad_model_version",
                         COUNTER_GAUGE,
                         {"model"},
                         "Live version of a model, 0 where none could be loaded."},
    [METRIC_RELOADS] = {"deepsad_reloads_total",
                        COUNTER_TOTAL,
                        {"result"},
                        "Reloads of configuration and models."},
    [METRIC_CONNECTIONS] = {"deepsad_http_connections",
                            COUNTER_GAUGE,
                            {NULL},
                            "Open connections."},
    [METRIC_EXPIRED] = {"deepsad_http_connections_expired_total",
                        COUNTER_TOTAL,
                        {NULL},
                        "Connections shut down because a time limit had passed."},
    [METRIC_EVICTED] = {"deepsad_http_connections_evicted_total",
                        COUNTER_TOTAL,
                        {NULL},
                        "Connections shut down to make room for others."},
    [METRIC_BUILD] = {"deepsad_build_info",
                      COUNTER_GAUGE,
                      {"version"},
                      "Version of the daemon, as a label; always 1."},
    [METRIC_CPU] = {"deepsad_process_cpu_seconds_total",
                    COUNTER_TOTAL,
                    {NULL},
                    "CPU time of the process, user and system."},
    [METRIC_RESIDENT] = {"deepsad_process_resident_memory_bytes",
                         COUNTER_GAUGE,
                         {NULL},
                         "Resident memory of the process."},
    [METRIC_START] = {"deepsad_process_start_time_seconds",
                      COUNTER_GAUGE,
                      {NULL},
                      "When the process started, in seconds since 1970."},
    [METRIC_LABELS] = {"deepsad_labels_total",
                       COUNTER_TOTAL,
                       {"model", "verdict"},
                       "Labels written."},
    [METRIC_LABELS_QUARANTINED] = {"deepsad_labels_quarantined_total",
                                   COUNTER_TOTAL,
                                   {"model"},
                                   "Labels that the gate put in quarantine."},
    [METRIC_SAMPLES_KEPT] = {"deepsad_samples_kept_total",
                             COUNTER_TOTAL,
                             {NULL},
                             "Scored rows that were kept."},
    [METRIC_SAMPLES_DROPPED] = {"deepsad_samples_dropped_total",
                                COUNTER_TOTAL,
                                {NULL},
                                "Scored rows that should have been kept, but the queue "
                                "was full or writing failed."},
    [METRIC_STORE_UP] = {"deepsad_store_up",
                         COUNTER_GAUGE,
                         {NULL},
                         "Whether the store of labels can be written."},
    [METRIC_STORE_COMMITS] = {"deepsad_store_commits_total",
                              COUNTER_TOTAL,
                              {NULL},
                              "Commits of the store."},
    [METRIC_STORE_ENTRIES] = {"deepsad_store_entries_total",
                              COUNTER_TOTAL,
                              {NULL},
                              "Operations that those commits held."},
    [METRIC_STORE_QUEUE] = {"deepsad_store_queue",
                            COUNTER_GAUGE,
                            {NULL},
                            "Operations that wait for a commit."},
    [METRIC_JOBS] = {"deepsad_retraining_jobs_total",
                     COUNTER_TOTAL,
                     {"model", "result"},
                     "Retrainings that have ended, by their result."},
    [METRIC_JOB_SECONDS] = {"deepsad_retraining_duration_seconds",
                            COUNTER_HISTOGRAM,
                            {"model"},
                            "Time that a retraining took, with the gate."},
    [METRIC_JOBS_RUNNING] = {"deepsad_retraining_running",
                             COUNTER_GAUGE,
                             {NULL},
                             "Retrainings that run now."},
    [METRIC_JOB_PROGRESS] = {"deepsad_retraining_progress_ratio",
                             COUNTER_GAUGE,
                             {"model"},
                             "How much of the running retraining is done, 0 to 1; 0 "
                             "where none runs."},
    [METRIC_GATE] = {"deepsad_gate_decisions_total",
                     COUNTER_TOTAL,
                     {"model", "decision"},
                     "What the gate decided."},
};

/* Status codes that have a slot; others are counted as the last one, 500. */
static const unsigned statuses[] = {200, 201, 202, 400, 404, 405, 408, 409,
                                    411, 413, 415, 422, 499, 503, 500};
enum { STATUS_COUNT = sizeof statuses / sizeof statuses[0] };

struct metrics {
    struct counter_set *set;
    const struct route *table;
    size_t routes;
    struct counter **seconds; /* (routes + 1): the last for requests without a route */
    /* (routes + 1, STATUS_COUNT), found when first counted */
    struct counter *_Atomic *requests;
};

static const char *route_name(const struct metrics *metrics, size_t route)
{
    return route < metrics->routes ? metrics->table[route].pattern : "none";
}

static struct counter *series1(struct metrics *metrics, enum metric family,
                               const char *value)
{
    return counter_series(metrics->set, (size_t)family, &value);
}

int metrics_new(struct metrics **out, const struct route *routes, size_t count,
                struct deepsad_error *error)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return error_no_memory(error, "the metrics");
    }
    metrics->table = routes;
    metrics->routes = count;
    metrics->seconds = calloc(count + 1, sizeof(struct counter *));
    metrics->requests = calloc((count + 1) * STATUS_COUNT, sizeof *metrics->requests);
    int status = counter_set_new(&metrics->set, families, METRIC_COUNT, error);
    if (status != DEEPSAD_OK || metrics->seconds == NULL || metrics->requests == NULL) {
        metrics_free(metrics);
        return error_no_memory(error, "the metrics");
    }
    for (size_t i = 0; i <= count; i++) {
        metrics->seconds[i] =
            series1(metrics, METRIC_REQUEST_SECONDS, route_name(metrics, i));
    }
    series1(metrics, METRIC_RELOADS, "success");
    series1(metrics, METRIC_RELOADS, "failure");
    counter_set_value(series1(metrics, METRIC_BUILD, DEEPSAD_VERSION), 1.0);
    counter_set_value(series1(metrics, METRIC_START, NULL),
                      1e-3 * (double)clock_realtime_ms());
    *out = metrics;
    return DEEPSAD_OK;
}

void metrics_free(struct metrics *metrics)
{
    if (metrics != NULL) {
        counter_set_free(metrics->set);
        free(metrics->seconds);
        free(metrics->requests);
        free(metrics);
    }
}

struct counter_set *metrics_set(struct metrics *metrics)
{
    return metrics->set;
}

void metrics_count_request(struct metrics *metrics, const struct server_event *event)
{
    size_t slot = 0;
    while (slot + 1 < STATUS_COUNT && statuses[slot] != event->status) {
        slot++;
    }
    struct counter *_Atomic *place =
        &metrics->requests[event->route * STATUS_COUNT + slot];
    struct counter *series = atomic_load_explicit(place, memory_order_acquire);
    if (series == NULL) {
        char status[16];
        snprintf(status, sizeof status, "%u", statuses[slot]);
        const char *const values[] = {route_name(metrics, event->route), status};
        series = counter_series(metrics->set, METRIC_REQUESTS, values);
        atomic_store_explicit(place, series, memory_order_release);
    }
    counter_add(series, 1);
    counter_observe(metrics->seconds[event->route], event->seconds);
}

void metrics_count_reload(struct metrics *metrics, bool success)
{
    counter_add(series1(metrics, METRIC_RELOADS, success ? "success" : "failure"), 1);
}

static struct counter *series2(struct metrics *metrics, enum metric family,
                               const char *first, const char *second)
{
    const char *const values[] = {first, second};
    return counter_series(metrics->set, (size_t)family, values);
}

void metrics_count_labels(struct metrics *metrics, const char *model,
                          const struct store_labels *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        const char *verdict = label_verdict_name(labels->labels[i].verdict);
        counter_add(series2(metrics, METRIC_LABELS, model, verdict), 1);
    }
}

void metrics_count_batch(struct metrics *metrics, const char *model, size_t requests)
{
    counter_add(series1(metrics, METRIC_BATCHES, model), 1);
    counter_add(series1(metrics, METRIC_BATCHED, model), requests);
}

void metrics_count_job(void *closure, const struct learner_event *event)
{
    struct metrics *metrics = closure;
    counter_add(series2(metrics, METRIC_JOBS, event->model, event->state), 1);
    counter_observe(series1(metrics, METRIC_JOB_SECONDS, event->model), event->seconds);
    if (event->decision != NULL && event->decision[0] != '\0') {
        counter_add(series2(metrics, METRIC_GATE, event->model, event->decision), 1);
    }
    if (event->quarantined > 0) {
        counter_add(series1(metrics, METRIC_LABELS_QUARANTINED, event->model),
                    event->quarantined);
    }
}

struct model_metrics metrics_of_model(struct metrics *metrics, const char *model)
{
    return (struct model_metrics){
        .rows = series1(metrics, METRIC_ROWS, model),
        .anomalous = series1(metrics, METRIC_ANOMALOUS, model),
    };
}

/* ---- What is only known when asked for --------------------------------------------- */

static double resident_bytes(void)
{
    char line[128] = ""; /* size resident ..., in pages */
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0.0;
    }
    const char *read = fgets(line, sizeof line, file);
    fclose(file);
    const char *second = read == NULL ? NULL : strchr(line, ' ');
    unsigned long resident = second == NULL ? 0 : strtoul(second, NULL, 10);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void collect_process(struct metrics *metrics)
{
    struct timespec cpu;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
        counter_set_value(series1(metrics, METRIC_CPU, NULL),
                          (double)cpu.tv_sec + 1e-9 * (double)cpu.tv_nsec);
    }
    counter_set_value(series1(metrics, METRIC_RESIDENT, NULL), resident_bytes());
}

static void collect_models(struct app *app)
{
    const struct catalog *catalog = registry_acquire(app->registry);
    size_t live = 0, faulty = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_entry *entry = &catalog->entries[i];
        unsigned version = entry->version_count > 0 ? entry->versions[0].number : 0;
        live += entry->version_count > 0;
        faulty += entry->fault != NULL;
        counter_set_value(series1(app->metrics, METRIC_MODEL_UP, entry->name), version);
    }
    registry_release(app->registry, catalog);
    counter_set_value(series1(app->metrics, METRIC_MODELS_LOADED, NULL), (double)live);
    counter_set_value(series1(app->metrics, METRIC_MODELS_FAULTY, NULL), (double)faulty);
}

static void collect_servers(struct app *app)
{
    double connections = 0.0, expired = 0.0, evicted = 0.0;
    for (size_t i = 0; i < APP_SERVERS; i++) {
        struct server *server = atomic_load(&app->servers[i]);
        if (server != NULL) {
            connections += (double)server_connections(server);
            expired += (double)server_expired(server);
            evicted += (double)server_evicted(server);
        }
    }
    counter_set_value(series1(app->metrics, METRIC_CONNECTIONS, NULL), connections);
    counter_set_value(series1(app->metrics, METRIC_EXPIRED, NULL), expired);
    counter_set_value(series1(app->metrics, METRIC_EVICTED, NULL), evicted);
}

static void set(struct app *app, enum metric family, double value)
{
    counter_set_value(series1(app->metrics, family, NULL), value);
}

static void collect_store(struct app *app)
{
    struct store_statistics statistics;
    if (app->store == NULL) {
        return;
    }
    store_statistics(app->store, &statistics);
    set(app, METRIC_STORE_UP, store_health(app->store, NULL) == DEEPSAD_OK ? 1.0 : 0.0);
    set(app, METRIC_SAMPLES_KEPT, (double)statistics.samples_kept);
    set(app, METRIC_SAMPLES_DROPPED, (double)statistics.samples_dropped);
    set(app, METRIC_STORE_COMMITS, (double)statistics.commits);
    set(app, METRIC_STORE_ENTRIES, (double)statistics.entries);
    set(app, METRIC_STORE_QUEUE, (double)statistics.queued);
}

static void collect_retraining(struct app *app)
{
    if (app->learner == NULL) {
        return;
    }
    const struct catalog *catalog = registry_acquire(app->registry);
    size_t running = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const char *name = catalog->entries[i].name;
        struct learner_status status;
        bool runs = learner_status(app->learner, &status, name, NULL) == DEEPSAD_OK &&
                    status.running;
        double fraction =
            runs && isfinite(status.progress.fraction) ? status.progress.fraction : 0.0;
        counter_set_value(series1(app->metrics, METRIC_JOB_PROGRESS, name), fraction);
        running += runs;
    }
    registry_release(app->registry, catalog);
    set(app, METRIC_JOBS_RUNNING, (double)running);
}

void handle_metrics(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    (void)request;
    collect_process(app->metrics);
    collect_models(app);
    collect_servers(app);
    collect_store(app);
    collect_retraining(app);
    counter_render(metrics_set(app->metrics), &reply->body);
    reply->status = 200;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
}
