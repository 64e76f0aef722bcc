/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon counts, and GET /metrics, which shows it. */
#ifndef API_METRICS_H
#define API_METRICS_H

#include "base/counter.h"
#include "http/server.h"
#include "learn/learner.h"
#include "model/registry.h"
#include "store/store.h"

enum metric {
    METRIC_REQUESTS,
    METRIC_REQUEST_SECONDS,
    METRIC_ROWS,
    METRIC_ANOMALOUS,
    METRIC_BATCHES,
    METRIC_BATCHED,
    METRIC_MODELS_LOADED,
    METRIC_MODELS_FAULTY,
    METRIC_MODEL_UP,
    METRIC_RELOADS,
    METRIC_CONNECTIONS,
    METRIC_EXPIRED,
    METRIC_EVICTED,
    METRIC_BUILD,
    METRIC_CPU,
    METRIC_RESIDENT,
    METRIC_START,
    METRIC_LABELS,
    METRIC_LABELS_QUARANTINED,
    METRIC_SAMPLES_KEPT,
    METRIC_SAMPLES_DROPPED,
    METRIC_STORE_UP,
    METRIC_STORE_COMMITS,
    METRIC_STORE_ENTRIES,
    METRIC_STORE_QUEUE,
    METRIC_JOBS,
    METRIC_JOB_SECONDS,
    METRIC_JOBS_RUNNING,
    METRIC_JOB_PROGRESS,
    METRIC_GATE,
    METRIC_COUNT,
};

struct metrics;
struct app;

/* Requests are counted by the patterns of `routes`. */
int metrics_new(struct metrics **out, const struct route *routes, size_t count,
                struct deepsad_error *error);
void metrics_free(struct metrics *metrics);

void metrics_count_request(struct metrics *metrics, const struct server_event *event);
void metrics_count_reload(struct metrics *metrics, bool success);

/* Labels that were written for a model. */
void metrics_count_labels(struct metrics *metrics, const char *model,
                          const struct store_labels *labels);
/* So many requests to a model were scored together. */
void metrics_count_batch(struct metrics *metrics, const char *model, size_t requests);
/* A retraining has ended: learner_options.observe, `closure` is the metrics. */
void metrics_count_job(void *closure, const struct learner_event *event);

/* Series of one model, kept by who scores: looked up once in a while, not per request. */
struct model_metrics {
    struct counter *rows, *anomalous;
};
struct model_metrics metrics_of_model(struct metrics *metrics, const char *model);

struct counter_set *metrics_set(struct metrics *metrics);

void handle_metrics(void *closure, struct request *request, struct reply *reply);

#endif
