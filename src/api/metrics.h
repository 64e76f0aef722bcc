/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon counts, and GET /metrics, which shows it. */
#ifndef API_METRICS_H
#define API_METRICS_H

#include "base/counter.h"
#include "http/server.h"
#include "model/registry.h"

enum metric {
    METRIC_REQUESTS,
    METRIC_REQUEST_SECONDS,
    METRIC_ROWS,
    METRIC_ANOMALOUS,
    METRIC_MODELS_LOADED,
    METRIC_MODELS_FAULTY,
    METRIC_MODEL_UP,
    METRIC_RELOADS,
    METRIC_CONNECTIONS,
    METRIC_EXPIRED,
    METRIC_BUILD,
    METRIC_CPU,
    METRIC_RESIDENT,
    METRIC_START,
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

/* Series of one model, kept by who scores: looked up once in a while, not per request. */
struct model_metrics {
    struct counter *rows, *anomalous;
};
struct model_metrics metrics_of_model(struct metrics *metrics, const char *model);

struct counter_set *metrics_set(struct metrics *metrics);

void handle_metrics(void *closure, struct request *request, struct reply *reply);

#endif
