/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One scoring request under way, whatever protocol it came by: the version that scores,
 * the rows that arrive, their scores. Decoders write to `rows`; after each part of the
 * body scoring_advance() scores the blocks of rows that are complete. A long request so
 * needs memory for its scores, not for its rows: those are given up once they take more
 * than SCORING_HELD_MAX, unless somebody needs them afterwards (`wants_rows`).
 */
#ifndef API_SCORING_H
#define API_SCORING_H

#include "api/app.h"
#include "api/rows.h"

enum {
    SCORING_HELD_MAX = 4 << 20, /* bytes of scored rows that are kept anyway */
    SCORING_WHOLE_ROWS = 4096,  /* answers of more rows leave in pieces */
};

struct scoring {
    struct app *app;
    const struct catalog *catalog;
    const struct catalog_entry *entry;
    const struct catalog_version *version;
    struct rows rows;
    bool wants_rows; /* rows are needed after they have been scored */
    float *scores;   /* (scored) */
    float *p_values; /* (scored) */
    size_t scored, capacity;
    size_t anomalous; /* of those scored, at the entry's alpha */
    double started;
    struct inference_sample sample; /* where the time went */
    /* While it waits to be scored with others; batcher.h's. */
    struct {
        struct executor_task *task;
        struct scoring *next;
        double since;
    } queued;
};

/* Finds the model and version that the request names; the rows are ready to be filled. A
 * zeroed struct or one that has ended. False: the reply is the problem; wants
 * scoring_end() also then. */
bool scoring_begin(struct scoring *scoring, struct app *app, struct request *request,
                   struct reply *reply);
/* Releases the version, and memory beyond a few MiB. Accepts a zeroed struct. */
void scoring_end(struct scoring *scoring);
void scoring_done(struct scoring *scoring);

/* What has passed since then (clock_monotonic()) went into the input, or into the answer.
 */
void scoring_decoded(struct scoring *scoring, double since);
void scoring_written(struct scoring *scoring, double since);

/* Scores what blocks of complete rows there are. False: out of memory, rows.fault says
 * so. Does nothing once rows.fault is set. */
bool scoring_advance(struct scoring *scoring, struct worker *worker);
/* The same for rows that need not be held at all: x (rows, features), and no row may be
 * under way. */
bool scoring_take(struct scoring *scoring, struct worker *worker, const float *x,
                  size_t rows);
/* All rows have come and are fine: scores the rest. False: as above. */
bool scoring_finish(struct scoring *scoring, struct worker *worker);

/* The complete rows that have no scores yet, (rows.count - scored, features). */
const float *scoring_unscored(const struct scoring *scoring);
/* Their scores and p-values, (rows) each, where somebody else has made them. False: out
 * of memory, they still have none. */
bool scoring_put(struct scoring *scoring, const float *scores, const float *p_values,
                 size_t rows);

/* Whether all rows are still there: what explains or keeps them needs that. */
bool scoring_has_rows(const struct scoring *scoring);

/* The answer is made, or the problem: counts it. */
void scoring_count(struct scoring *scoring, struct worker *worker, bool success);

#endif
