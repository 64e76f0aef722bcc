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

static int choose_mixed(struct selection *selection, size_t wanted,
                        struct deepsad_error *error)
{
    const struct select_rows *rows = selection->rows;
    size_t random = wanted / SELECT_RANDOM_PART, features = rows->features;
    size_t pool = SELECT_POOL_PER_ROW * wanted;
    pool = pool < SELECT_POOL ? SELECT_POOL : pool;
    pool = pool < rows->count ? pool : rows->count;
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
    choose_farthest(selection, wanted - random, z, nearest, pool);
    choose_random(selection, wanted);
    free(z);
    free(nearest);
    return DEEPSAD_OK;
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
