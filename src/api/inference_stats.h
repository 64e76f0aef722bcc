/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics extension of the Open Inference Protocol: what each version of a model
 * has scored since the daemon started, by whatever endpoint, and where the time went. GET
 * /v2/models/stats, /v2/models/{model}[/versions/{version}]/stats.
 *
 * Locks: the table's mutex guards the list of series, each series' its numbers; both are
 * leaves, and a thread takes the table's only when the version it scores with changes.
 */
#ifndef API_INFERENCE_STATS_H
#define API_INFERENCE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "http/router.h"

enum {
    /* Versions that are counted; beyond them, those not used for longest are forgotten.
     */
    INFERENCE_STATS_SERIES_MAX = 1024,
    /* Numbers of rows that are told apart for each; further ones are in the sums only. */
    INFERENCE_STATS_BATCHES_MAX = 64,
};

/* What one scoring request was, and where its time went. Requests that were scored
 * together share one execution, which one of them tells of. */
struct inference_sample {
    size_t rows;
    uint64_t queue_ns, input_ns, infer_ns, output_ns, total_ns;
    bool success;
    bool shared;          /* by a batcher; then: */
    size_t executed;      /* rows scored at once, 0 where another request tells of them */
    uint64_t executed_ns; /* how long that took */
};

struct inference_stats;
struct inference_series;

int inference_stats_new(struct inference_stats **out, struct deepsad_error *error);
void inference_stats_free(struct inference_stats *stats);

/* Adds a request. *cached: what the calling thread used last, NULL at first. `stats`
 * NULL: nothing is counted. Never fails: where there is no memory, nothing is counted. */
void inference_stats_record(struct inference_stats *stats,
                            struct inference_series **cached, const char *model,
                            unsigned version, const struct inference_sample *sample);

void handle_stats(void *closure, struct request *request, struct reply *reply);
void handle_stats_all(void *closure, struct request *request, struct reply *reply);

#endif
