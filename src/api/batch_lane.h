/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests to one model that wait to be scored together, and when they have waited
 * long enough: once as many are there as lately came together, or their rows fill a
 * batch, or the oldest has waited for the policy's delay. How many come together is
 * learned, because a request that waits for others who do not come only loses time:
 *
 * - a batch that others overtook while it was not taken raises the number to what is
 * there;
 * - one that the delay closed lowers it, half the way to what had come;
 * - after some full batches (`patience`) the lane tries one request more. Where that one
 *   does not come, the next try is twice as many batches away, up to some hundred.
 *
 * A single client that sends one request after the other so finds the number at 1 and
 * does not wait, but for one in some hundred requests. Plain arithmetic: no lock and no
 * clock in here.
 */
#ifndef API_BATCH_LANE_H
#define API_BATCH_LANE_H

#include "api/scoring.h"

struct batch_lane {
    const struct deepsad_model *model; /* to be compared only; NULL = unused so far */
    struct scoring *first, *last;      /* oldest to newest, by queued.next */
    size_t requests, rows;             /* that wait */
    size_t most;                       /* rows of a batch */
    double due;                        /* when it should be taken; if requests > 0 */
    size_t expected;                   /* requests that lately came together */
    size_t patience, full;             /* full batches until the next try, and so far */
    bool tried;                        /* `expected` holds one that never came so far */
};

/* For the requests of that model; nothing may wait in it. */
void batch_lane_init(struct batch_lane *lane, const struct deepsad_model *model);

/* Rows that requests of its model, with its policy, may have in one batch. */
size_t batch_lane_most(const struct scoring *scoring);

/* Whether a request that could be scored at once should rather wait; learns, if not. */
bool batch_lane_wanted(struct batch_lane *lane);

/* `now`: seconds, any origin. The request stays the caller's memory. */
void batch_lane_add(struct batch_lane *lane, struct scoring *scoring, double now);

/* The oldest ones, a batch at most, chained by queued.next; learns from how many there
 * are. At least one must wait. */
struct scoring *batch_lane_take(struct batch_lane *lane);

#endif
