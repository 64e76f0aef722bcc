/* SPDX-License-Identifier: Apache-2.0 */
#include "api/batch_lane.h"

enum {
    PATIENCE_START = 16,
    PATIENCE_MIN = 4,
    PATIENCE_MAX = 256,
    BATCH_BYTES = 4 << 20, /* of rows, so that a thread's memory stays small */
};

void batch_lane_init(struct batch_lane *lane, const struct deepsad_model *model)
{
    *lane =
        (struct batch_lane){.model = model, .expected = 1, .patience = PATIENCE_START};
}

size_t batch_lane_most(const struct scoring *scoring)
{
    size_t most = scoring->entry->policy.batching.rows;
    size_t fits = BATCH_BYTES / sizeof(float) / scoring->rows.columns.count;
    fits = fits > 0 ? fits : 1;
    return most < fits ? most : fits;
}

/* ---- Learning ---------------------------------------------------------------------- */

/* As many came as were expected; now and then the lane hopes for one more. */
static void learn_full(struct batch_lane *lane)
{
    if (lane->tried) {
        lane->tried = false;
        lane->patience =
            lane->patience / 2 > PATIENCE_MIN ? lane->patience / 2 : PATIENCE_MIN;
    }
    if (++lane->full >= lane->patience) {
        lane->full = 0;
        lane->tried = true;
        lane->expected++;
    }
}

static void learn_late(struct batch_lane *lane, size_t came)
{
    if (lane->tried) {
        lane->tried = false;
        lane->patience =
            lane->patience * 2 < PATIENCE_MAX ? lane->patience * 2 : PATIENCE_MAX;
    }
    lane->full = 0;
    lane->expected = (lane->expected + came) / 2;
}

static void learn(struct batch_lane *lane)
{
    if (lane->requests > lane->expected) {
        lane->expected = lane->requests;
        lane->tried = false;
    } else if (lane->requests == lane->expected) {
        learn_full(lane);
    } else if (lane->rows < lane->most) {
        learn_late(lane, lane->requests);
    }
    lane->expected = lane->expected < lane->most ? lane->expected : lane->most;
}

bool batch_lane_wanted(struct batch_lane *lane)
{
    if (lane->requests == 0 && lane->expected == 1) {
        learn_full(lane);
        return lane->expected > 1;
    }
    return true;
}

/* ---- The queue --------------------------------------------------------------------- */

static void set_due(struct batch_lane *lane, double latest)
{
    bool full = lane->requests >= lane->expected || lane->rows >= lane->most;
    lane->due = full ? 0 : latest;
}

static double latest(const struct scoring *scoring)
{
    return scoring->queued.since + scoring->entry->policy.batching.delay;
}

void batch_lane_add(struct batch_lane *lane, struct scoring *scoring, double now)
{
    scoring->queued.since = now;
    scoring->queued.next = NULL;
    if (lane->first == NULL) {
        lane->first = scoring;
        lane->due = latest(scoring);
    } else {
        lane->last->queued.next = scoring;
    }
    lane->last = scoring;
    lane->requests++;
    lane->rows += scoring->rows.count;
    lane->most = batch_lane_most(scoring);
    set_due(lane, lane->due < latest(scoring) ? lane->due : latest(scoring));
}

struct scoring *batch_lane_take(struct batch_lane *lane)
{
    struct scoring *first = lane->first, *last;
    size_t rows = 0;
    learn(lane);
    do {
        last = lane->first;
        rows += last->rows.count;
        lane->requests--;
        lane->first = last->queued.next;
    } while (lane->first != NULL && rows + lane->first->rows.count <= lane->most);
    last->queued.next = NULL;
    lane->rows -= rows;
    if (lane->first != NULL) {
        set_due(lane, latest(lane->first));
    }
    return first;
}
