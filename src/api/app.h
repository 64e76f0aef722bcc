/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the endpoints work on, given to each of them; and what a thread keeps for them.
 * The daemon fills a struct app before the server starts and leaves it alone but for the
 * atomics.
 */
#ifndef API_APP_H
#define API_APP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/inference_stats.h"
#include "api/metrics.h"
#include "base/uuid.h"
#include "http/server.h"
#include "learn/learner.h"
#include "learn/review.h"
#include "model/registry.h"
#include "store/store.h"

enum { APP_SERVERS = 2 }; /* the one for clients, the one for operations */

struct app {
    struct registry *registry;
    /* NULL where there is none: what needs it answers 503. */
    struct store *store;
    struct learner *learner;
    struct review *review;
    struct metrics *metrics;
    struct inference_stats *inference_stats; /* NULL: nothing is counted */
    struct cores *cores;     /* NULL: each request is scored by its own thread alone */
    struct batcher *batcher; /* NULL: no request waits for others */
    struct server *_Atomic servers[APP_SERVERS]; /* NULL where there is none */
    atomic_size_t max_rows;                      /* of a request */
    atomic_size_t max_decoded;                   /* bytes of a request's rows as floats */
    atomic_size_t max_labels;                    /* of a request */
    atomic_size_t max_label_text;                /* bytes of a label's texts, each */
    atomic_size_t max_page;                      /* entries of a list's page */
    atomic_bool model_control;                   /* models may be loaded and unloaded */
    atomic_bool log_access;
    atomic_bool draining;
};

struct score_request; /* score.h */
struct infer_request; /* infer.h */

/* States a worker keeps: what a crowd of requests took is given back. */
enum { WORKER_IDLE_MAX = 32 };

/* One per thread that runs handlers. */
struct worker {
    struct deepsad_workspace *workspace;
    struct uuid_source ids;
    struct score_request *idle; /* states of requests, to be used again */
    struct infer_request *idle_infer;
    size_t idle_count; /* of both, at most WORKER_IDLE_MAX */
    char model[65];    /* whose series `counted` holds */
    struct model_metrics counted;
    struct inference_series *series; /* that this thread used last */
};

/* struct server_options' functions; `app` is a struct app. */
void *app_worker_new(void *app);
void app_worker_free(void *app, void *closure);
void app_observe(void *closure, const struct server_event *event);

#endif
