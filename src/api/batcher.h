/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores the requests of several connections together: what a large network costs a row
 * is mostly the reading of its weights, and a batch reads them once. A model's policy
 * says whether (batching.delay, batching.rows); batch_lane.h says who waits for whom.
 *
 * The batcher has threads of its own, started when first needed. One of those that have
 * nothing to do keeps watch over the delays; it takes what is due, wakes another to keep
 * watch, scores, and gives the requests back to their connections' threads, which answer.
 *
 * Lock: the batcher's own, a leaf; nothing is scored and no task is run under it.
 */
#ifndef API_BATCHER_H
#define API_BATCHER_H

#include "api/cores.h"
#include "api/metrics.h"
#include "api/scoring.h"
#include "http/executor.h"

struct batcher;

/* `threads`, at least 1: batches that may be scored at once. `cores` and `metrics` may be
 * NULL and must outlive the batcher. */
int batcher_new(struct batcher **out, struct cores *cores, struct metrics *metrics,
                size_t threads, struct deepsad_error *error);
/* Scores what waits, at once, and takes no more. Accepts NULL; may be called again. */
void batcher_stop(struct batcher *batcher);
/* Stops if need be. Accepts NULL. */
void batcher_free(struct batcher *batcher);

/* Whether the policy of the request's model says that it may wait; of `batcher` NULL
 * false. Costs nothing. */
bool batcher_used(const struct batcher *batcher, const struct scoring *scoring);

/* All rows of the request have come: whether it should wait for others. Not if it has too
 * many, or some that are scored already. */
bool batcher_wants(struct batcher *batcher, const struct scoring *scoring);

/* Takes the request, until it calls task->run(task, NULL, false): then its rows are
 * scored, or, out of memory, as they were; scoring_finish() knows what is left. False:
 * not taken. From any thread. */
bool batcher_take(struct batcher *batcher, struct scoring *scoring,
                  struct executor_task *task);

#endif
