/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/select.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "model/order.h"
#include "nn/rng.h"

struct selection {
    const struct select_rows *rows;
    uint32_t *order; /* (rows) highest score first */
    bool *taken;     /* (rows) */
    struct rng rng;
    struct select_choice *choices;
    size_t count;
};

static void take(struct selection *selection, size_t rank, size_t at, enum select_why why)
{
    selection->taken[at] = true;
    selection->choices[selection->count++] =
        (struct select_choice){.at = at, .rank = rank, .why = why};
}

static int order_by_score(struct selection *selection, struct deepsad_error *error)
{
    const struct select_rows *rows = selection->rows;
    float *keys = malloc((rows->count + 1) * sizeof *keys);
    if (keys == NULL) {
        return error_no_memory(error, "the review list");
    }
    for (size_t i = 0; i < rows->count; i++) {
        keys[i] = -rows->samples[i].score;
    }
    int status = order_ascending(&selection->order, keys, rows->count, error);
    free(keys);
    return status;
}

static void choose_top(struct selection *selection, size_t wanted)
{
    for (size_t i = 0; i < selection->rows->count && selection->count < wanted; i++) {
        if (!selection->taken[selection->order[i]]) {
            take(selection, i, selection->order[i], SELECT_HIGHEST);
        }
    }
}

static void choose_random(struct selection *selection, size_t wanted)
{
    size_t count = selection->rows->count, left = 0;
    for (size_t i = 0; i < count; i++) {
        left += !selection->taken[i];
    }
    while (selection->count < wanted && left > 0) {
        size_t rank = rng_below(&selection->rng, count);
        if (!selection->taken[selection->order[rank]]) {
            take(selection, rank, selection->order[rank], SELECT_RANDOM);
            left--;
        }
    }
}

/* Nearness on the scale of p-values: as far in ratio below as above. */
static int choose_uncertain(struct selection *selection, size_t wanted,
                            struct deepsad_error *error)
{
    const struct select_rows *rows = selection->rows;
    float *keys = malloc((rows->count + 1) * sizeof *keys);
    uint32_t *order = NULL;
    if (keys == NULL) {
        return error_no_memory(error, "the review list");
    }
    for (size_t rank = 0; rank < rows->count; rank++) {
        double p = (double)rows->samples[selection->order[rank]].p_value;
        keys[rank] = (float)fabs(log(fmax(p, 1e-9) / rows->alpha));
    }
    int status = order_ascending(&order, keys, rows->count, error);
    for (size_t i = 0; i < rows->count && selection->count < wanted && status == 0; i++) {
        take(selection, order[i], selection->order[order[i]], SELECT_THRESHOLD);
    }
    free(order);
    free(keys);
    return status;
}

/* ---- Mixed ------------------------------------------------------------------------- */

static float squared_distance(const float *a, const float *b, size_t features)
{
    float sum = 0;
    for (size_t i = 0; i < features; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sum;
}

/* z (pool, features): the highest rows, scaled. nearest (pool): distance to the nearest
 * row chosen so far. */
static void choose_farthest(struct selection *selection, size_t wanted, const float *z,
                            float *nearest, size_t pool)
{
    size_t features = selection->rows->features, chosen = 0; /* the top one */
    while (selection->count < wanted && chosen < pool) {
        take(selection, chosen, selection->order[chosen],
             chosen == 0 ? SELECT_HIGHEST : SELECT_DIFFERENT);
        size_t next = pool;
        float farthest = -1;
        for (size_t i = 0; i < pool; i++) {
            float distance =
                squared_distance(z + i * features, z + chosen * features, features);
            nearest[i] = fminf(nearest[i], distance);
            if (!selection->taken[selection->order[i]] && nearest[i] > farthest) {
                farthest = nearest[i];
                next = i;
            }
        }
        chosen = next;
    }
}

/* Room for the highest rows, scaled, and for their distances. */
static int choose_far(struct selection *selection, size_t wanted, size_t pool,
                      struct deepsad_error *error)
{
    const struct select_rows *rows = selection->rows;
    size_t features = rows->features;
    float *z = calloc((pool + 1) * features, sizeof *z);
    float *nearest = calloc(pool + 1, sizeof *nearest);
    if (z == NULL || nearest == NULL) {
        free(z);
        free(nearest);
        return error_no_memory(error, "the review list");
    }
    for (size_t i = 0; i < pool; i++) {
        nearest[i] = FLT_MAX;
        scaler_apply(rows->scaler, z + i * features,
                     rows->x + selection->order[i] * features, 1);
    }
    choose_farthest(selection, wanted, z, nearest, pool);
    free(z);
    free(nearest);
    return DEEPSAD_OK;
}

/* ---- Probes ------------------------------------------------------------------------ */

/* The ranks between which anomalies seem to end. */
struct boundary {
    size_t anomalous, normal; /* of the last row judged so above, the first below */
};

struct ranked_label {
    size_t rank; /* candidates with a higher score */
    bool anomalous;
};

static int by_rank(const void *a, const void *b)
{
    size_t one = ((const struct ranked_label *)a)->rank;
    size_t other = ((const struct ranked_label *)b)->rank;
    return (one > other) - (one < other);
}

/* How many candidates outscore `score`. */
static size_t rank_of(const struct selection *selection, float score)
{
    size_t low = 0, high = selection->rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (selection->rows->samples[selection->order[middle]].score > score) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The cut that contradicts the fewest verdicts: normals above it, anomalies below. */
static size_t best_cut(const struct ranked_label *labels, size_t count)
{
    size_t wrong = 0, best = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += labels[i].anomalous;
    }
    size_t least = wrong;
    for (size_t i = 0; i < count; i++) {
        wrong = labels[i].anomalous ? wrong - 1 : wrong + 1;
        if (wrong <= least) {
            least = wrong;
            best = i + 1;
        }
    }
    return best;
}

/* Where no normal is known below, one is taken to stand in the middle of all rows. */
static int find_boundary(struct boundary *out, const struct selection *selection,
                         struct deepsad_error *error)
{
    const struct select_rows *rows = selection->rows;
    struct ranked_label *labels = calloc(rows->label_count + 1, sizeof *labels);
    if (labels == NULL) {
        return error_no_memory(error, "the review list");
    }
    for (size_t i = 0; i < rows->label_count; i++) {
        labels[i] = (struct ranked_label){rank_of(selection, rows->labels[i].score),
                                          rows->labels[i].anomalous};
    }
    qsort(labels, rows->label_count, sizeof *labels, by_rank);
    size_t cut = best_cut(labels, rows->label_count);
    out->anomalous = cut > 0 ? labels[cut - 1].rank : 0;
    out->normal = cut < rows->label_count ? labels[cut].rank : rows->count / 2;
    free(labels);
    return DEEPSAD_OK;
}

/* The row of that rank, or the next below that is not taken yet. */
static void take_from(struct selection *selection, size_t rank, enum select_why why)
{
    size_t count = selection->rows->count;
    while (rank < count && selection->taken[selection->order[rank]]) {
        rank++;
    }
    if (rank < count) {
        take(selection, rank, selection->order[rank], why);
    }
}

/* Spread over the gap in equal ratios of rank: how many anomalies there are is not known
 * to an order of magnitude. */
static int choose_probes(struct selection *selection, size_t probes,
                         struct deepsad_error *error)
{
    struct boundary boundary = {0};
    int status = find_boundary(&boundary, selection, error);
    double first = (double)boundary.anomalous + 1;
    double ratio = fmax((double)(boundary.normal + 1) / first, 1);
    for (size_t i = 1; i <= probes && status == DEEPSAD_OK; i++) {
        double rank = first * pow(ratio, (double)i / (double)(probes + 1));
        take_from(selection, (size_t)rank - 1, SELECT_BOUNDARY);
    }
    return status;
}

/* ---- Mixed, as a whole ------------------------------------------------------------- */

static size_t count_found(const struct select_rows *rows)
{
    size_t found = 0;
    for (size_t i = 0; i < rows->label_count; i++) {
        found += rows->labels[i].anomalous;
    }
    return found;
}

static size_t pool_size(const struct select_rows *rows, size_t wanted, size_t found)
{
    size_t pool = SELECT_POOL_PER_ROW * wanted;
    pool = pool < SELECT_POOL ? SELECT_POOL : pool;
    pool += SELECT_POOL_PER_ANOMALY * found;
    return pool < rows->count ? pool : rows->count;
}

static int choose_mixed(struct selection *selection, size_t wanted,
                        struct deepsad_error *error)
{
    size_t found = count_found(selection->rows);
    size_t random = wanted / SELECT_RANDOM_PART;
    size_t probes = found > 0 ? wanted / SELECT_PROBE_PART : 0;
    int status = choose_far(selection, wanted - random - probes,
                            pool_size(selection->rows, wanted, found), error);
    if (status == DEEPSAD_OK && probes > 0) {
        status = choose_probes(selection, probes, error);
    }
    if (status == DEEPSAD_OK) {
        choose_random(selection, wanted);
    }
    return status;
}

int select_choose(struct select_choice *choices, size_t *count, size_t wanted,
                  enum select_strategy strategy, const struct select_rows *rows,
                  struct deepsad_error *error)
{
    struct selection selection = {.rows = rows, .choices = choices};
    rng_init(&selection.rng, rows->seed, 0);
    selection.taken = calloc(rows->count + 1, sizeof *selection.taken);
    int status = selection.taken == NULL ? error_no_memory(error, "the review list")
                                         : order_by_score(&selection, error);
    if (status == DEEPSAD_OK) {
        switch (strategy) {
        case SELECT_MIXED:
            status = choose_mixed(&selection, wanted, error);
            break;
        case SELECT_TOP:
            choose_top(&selection, wanted);
            break;
        case SELECT_UNCERTAIN:
            status = choose_uncertain(&selection, wanted, error);
            break;
        case SELECT_ANY:
            choose_random(&selection, wanted);
            break;
        }
    }
    free(selection.order);
    free(selection.taken);
    if (status == DEEPSAD_OK) {
        *count = selection.count;
    }
    return status;
}
