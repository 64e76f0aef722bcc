/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kernels for one sum: 16 rows as the lanes of a vector, one sample after the other,
 * where there are rows enough; 16 samples as the lanes, one row, where there are not. In
 * both each squared distance is summed in the order of the member's features, and the
 * members' shares are summed in the same order, so that a row's score is the same bits
 * either way.
 */
#include "nn/neighbours.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "nn/rng.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = NEIGHBOURS_SAMPLES };
typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(LANES * sizeof(float))));

enum {
    /* Rows with more features than this are scored one by one: 16 of them, transposed, no
     * longer fit the stack of a thread (64 KiB here). */
    TRANSPOSED_FEATURES = 1024,
    /* From this many rows on, a block of 16 lanes that are not all used is worth it. */
    BLOCK_ROWS_MIN = 6,
};

#define SCALE_FLOOR 1e-12

/* ---- Construction ---- */

int neighbours_new(struct neighbours **out, size_t features, size_t members,
                   size_t total_features, struct deepsad_error *error)
{
    const size_t limit = SIZE_MAX / 8 / (LANES * sizeof(float));
    if (members > limit || total_features > limit) {
        return error_no_memory(error, "nearest neighbours");
    }
    size_t padded = (members + LANES - 1) / LANES * LANES;
    struct neighbours *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return error_no_memory(error, "nearest neighbours");
    }
    n->features = features;
    n->members = members;
    n->member_features = calloc(members + 1, sizeof *n->member_features);
    n->feature_index = calloc(total_features + 1, sizeof *n->feature_index);
    size_t sample_bytes = (total_features + 1) * LANES * sizeof *n->samples;
    n->samples = aligned_alloc(SIMD_ALIGN, sample_bytes);
    size_t scale_bytes = (padded + LANES) * sizeof *n->inverse_scale;
    n->inverse_scale = aligned_alloc(SIMD_ALIGN, scale_bytes);
    if (n->member_features == NULL || n->feature_index == NULL || n->samples == NULL ||
        n->inverse_scale == NULL) {
        neighbours_free(n);
        return error_no_memory(error, "nearest neighbours");
    }
    memset(n->samples, 0, sample_bytes);
    memset(n->inverse_scale, 0, scale_bytes);
    *out = n;
    return DEEPSAD_OK;
}

void neighbours_free(struct neighbours *neighbours)
{
    if (neighbours != NULL) {
        free(neighbours->member_features);
        free(neighbours->feature_index);
        free(neighbours->samples);
        free(neighbours->inverse_scale);
        free(neighbours);
    }
}

/* ---- Kernels ---- */

/* Smaller of each lane; b where a is NaN. */
INLINE void lower(vector *b, const vector *a)
{
    mask less = *a < *b;
    *b = (vector)(((mask)*a & less) | ((mask)*b & ~less));
}

/* Where the members' data stand, as a loop goes from one to the next. */
struct member {
    const uint32_t *features; /* (count) */
    size_t count;
    const float *samples; /* (count, LANES) */
};

INLINE struct member first_member(const struct neighbours *n)
{
    return (struct member){n->feature_index, n->member_features[0], n->samples};
}

INLINE struct member next_member(const struct neighbours *n, struct member member,
                                 size_t next)
{
    member.features += member.count;
    member.samples += member.count * LANES;
    member.count = n->member_features[next];
    return member;
}

enum { ABREAST = 4 }; /* samples at a time: as many independent sums */

/* Squared distances of 16 rows to the nearest sample of the member; rows (features,
 * LANES). At most FLT_MAX, never NaN. */
INLINE void nearest_of_rows(vector *nearest, struct member member, const vector *rows)
{
    vector best = (vector){0} + FLT_MAX;
    for (size_t s = 0; s < LANES; s += ABREAST) {
        vector sum[ABREAST] = {{0}};
        for (size_t k = 0; k < member.count; k++) {
            vector x = rows[member.features[k]];
            const float *samples = member.samples + k * LANES + s;
            for (size_t a = 0; a < ABREAST; a++) {
                vector d = x - samples[a];
                sum[a] += d * d;
            }
        }
        for (size_t a = 0; a < ABREAST; a++) {
            lower(&best, &sum[a]);
        }
    }
    *nearest = best;
}

/* The same for one row, whose samples are the lanes. */
INLINE float nearest_of_row(struct member member, const float *row)
{
    vector sum = {0};
    for (size_t k = 0; k < member.count; k++) {
        vector d =
            row[member.features[k]] - *(const vector *)(member.samples + k * LANES);
        sum += d * d;
    }
    vector best = (vector){0} + FLT_MAX;
    lower(&best, &sum);
    vector half = __builtin_shufflevector(best, best, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1,
                                          2, 3, 4, 5, 6, 7);
    lower(&best, &half);
    half = __builtin_shufflevector(best, best, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8,
                                   9, 10, 11);
    lower(&best, &half);
    half = __builtin_shufflevector(best, best, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14,
                                   15, 12, 13);
    lower(&best, &half);
    half = __builtin_shufflevector(best, best, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13,
                                   12, 15, 14);
    lower(&best, &half);
    return best[0];
}

INLINE void square_root(vector *v)
{
    float lanes[LANES];
    memcpy(lanes, v, sizeof lanes);
#pragma omp simd
    for (size_t i = 0; i < LANES; i++) {
        lanes[i] = sqrtf(lanes[i]);
    }
    memcpy(v, lanes, sizeof lanes);
}

/* v / (1 + v), v = distance x inverse scale: a member's share of the score. */
INLINE void share(vector *squared, const vector *inverse_scale)
{
    square_root(squared);
    vector v = *squared * *inverse_scale;
    *squared = v / (1 + v);
}

/* Shares are summed in 16 partial sums, member i in sum i mod 16, and those pairwise. */
INLINE float add_up(const float partial[static LANES], size_t members)
{
    float sum[LANES];
    memcpy(sum, partial, sizeof sum);
    for (size_t width = LANES / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) {
            sum[i] += sum[i + width];
        }
    }
    return sum[0] / (float)members;
}

SIMD_CLONES
static void score_row(const struct neighbours *n, float *score, const float *row)
{
    _Alignas(SIMD_ALIGN) float squared[LANES] = {0};
    vector partial = {0};
    struct member member = first_member(n);
    for (size_t i = 0; i < n->members; member = next_member(n, member, i)) {
        squared[i % LANES] = nearest_of_row(member, row);
        i++;
        if (i % LANES == 0 || i == n->members) {
            /* lanes past the last member: inverse scale 0, share 0 */
            vector shares = *(const vector *)squared;
            share(&shares, (const vector *)(n->inverse_scale + (i - 1) / LANES * LANES));
            partial += shares;
        }
    }
    *score = add_up((const float *)&partial, n->members);
}

/* 16 rows, of which `count` scores are wanted. */
SIMD_CLONES
static void score_block(const struct neighbours *n, float *score, const vector *rows,
                        size_t count)
{
    vector partial[LANES] = {{0}};
    struct member member = first_member(n);
    for (size_t i = 0; i < n->members; member = next_member(n, member, i)) {
        vector squared;
        nearest_of_rows(&squared, member, rows);
        vector inverse_scale = (vector){0} + n->inverse_scale[i];
        share(&squared, &inverse_scale);
        partial[i % LANES] += squared;
        i++;
    }
    for (size_t width = LANES / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) {
            partial[i] += partial[i + width];
        }
    }
    partial[0] /= (float)n->members;
    memcpy(score, &partial[0], count * sizeof *score);
}

/* sums (members) += distances of the block's first `count` rows. */
SIMD_CLONES
static void add_distances(const struct neighbours *n, double *sums, const vector *rows,
                          size_t count)
{
    struct member member = first_member(n);
    for (size_t i = 0; i < n->members; member = next_member(n, member, i)) {
        vector distance;
        nearest_of_rows(&distance, member, rows);
        square_root(&distance);
        for (size_t r = 0; r < count; r++) {
            sums[i] += (double)distance[r];
        }
        i++;
    }
}

/* out (features, LANES) of `count` rows z[index[.]], or z from its start without index;
 * the lanes past them repeat the last. */
static void transpose(float *out, const float *z, const size_t *index, size_t count,
                      size_t features)
{
    for (size_t r = 0; r < LANES; r++) {
        size_t i = r < count ? r : count - 1;
        const float *row = z + (index != NULL ? index[i] : i) * features;
        for (size_t j = 0; j < features; j++) {
            out[j * LANES + r] = row[j];
        }
    }
}

void neighbours_score(const struct neighbours *neighbours, float *score, const float *z,
                      size_t rows)
{
    size_t features = neighbours->features;
    _Alignas(SIMD_ALIGN) float block[TRANSPOSED_FEATURES * LANES];
    for (size_t done = 0; done < rows;) {
        size_t left = rows - done;
        const float *x = z + done * features;
        if (features > TRANSPOSED_FEATURES || left < BLOCK_ROWS_MIN) {
            score_row(neighbours, score + done, x);
            done++;
        } else {
            size_t count = left < LANES ? left : LANES;
            transpose(block, x, NULL, count, features);
            score_block(neighbours, score + done, (const vector *)block, count);
            done += count;
        }
    }
}

/* ---- Fitting ---- */

/* Rows and features to draw from. */
struct pool {
    const float *z;
    size_t rows, features;
    size_t *kept; /* (kept_count): rows, rising */
    size_t kept_count;
    size_t *active; /* (active_count): features that are not constant; shuffled */
    size_t active_count;
};

static void find_active(struct pool *pool)
{
    for (size_t j = 0; j < pool->features; j++) {
        bool varies = false;
        for (size_t i = 1; i < pool->rows && !varies; i++) {
            varies = pool->z[i * pool->features + j] != pool->z[j];
        }
        if (varies) {
            pool->active[pool->active_count++] = j;
        }
    }
}

/* ceil(sqrt(d)), exactly */
static size_t root_up(size_t d)
{
    size_t m = (size_t)sqrt((double)d);
    while (m * m < d) {
        m++;
    }
    return m;
}

static size_t features_of_member(size_t member, size_t active)
{
    const size_t m[4] = {active > 0 ? 1 : 0, root_up(active), (active + 1) / 2, active};
    return m[member % 4];
}

/* m distinct active features, in rising order. */
static void draw_features(uint32_t *out, size_t m, struct pool *pool, struct rng *rng)
{
    for (size_t k = 0; k < m; k++) {
        size_t other = k + rng_below(rng, pool->active_count - k);
        size_t drawn = pool->active[other];
        pool->active[other] = pool->active[k];
        pool->active[k] = drawn;
        size_t at = k;
        for (; at > 0 && out[at - 1] > drawn; at--) {
            out[at] = out[at - 1];
        }
        out[at] = (uint32_t)drawn;
    }
}

/* Distinct rows as long as there are any, then from the start again. */
static void draw_rows(size_t out[static LANES], const struct pool *pool, struct rng *rng)
{
    for (size_t s = 0; s < LANES; s++) {
        bool distinct = false;
        while (!distinct) {
            out[s] = pool->kept[rng_below(rng, pool->kept_count)];
            distinct = true;
            for (size_t t = s - s % pool->kept_count; t < s; t++) {
                distinct = distinct && out[t] != out[s];
            }
        }
    }
}

/* drawn (rows): how many members drew each row. */
static void draw_members(struct neighbours *n, uint32_t *drawn, struct pool *pool,
                         uint64_t seed, uint64_t pass)
{
    uint32_t *features = n->feature_index;
    float *samples = n->samples;
    memset(drawn, 0, pool->rows * sizeof *drawn);
    for (size_t i = 0; i < n->members; i++) {
        struct rng rng;
        rng_init(&rng, seed, pass * n->members + i);
        size_t m = features_of_member(i, pool->active_count);
        size_t rows[LANES];
        draw_features(features, m, pool, &rng);
        draw_rows(rows, pool, &rng);
        n->member_features[i] = (uint32_t)m;
        for (size_t s = 0; s < LANES; s++) {
            drawn[rows[s]] += s < pool->kept_count;
            for (size_t k = 0; k < m; k++) {
                samples[k * LANES + s] = pool->z[rows[s] * pool->features + features[k]];
            }
        }
        features += m;
        samples += m * LANES;
    }
}

/* Evenly spaced rows of those kept: u_i is the mean of their distances. block (features,
 * LANES) and sums (members) are scratch. */
static void set_scales(struct neighbours *n, const struct pool *pool, size_t scale_rows,
                       float *block, double *sums)
{
    size_t count = pool->kept_count;
    count = scale_rows > 0 && scale_rows < count ? scale_rows : count;
    memset(sums, 0, n->members * sizeof *sums);
    for (size_t done = 0; done < count;) {
        size_t index[LANES];
        size_t lanes = 0;
        for (; lanes < LANES && done < count; done++) {
            index[lanes++] = pool->kept[(size_t)((double)done * (double)pool->kept_count /
                                                 (double)count)];
        }
        transpose(block, pool->z, index, lanes, pool->features);
        add_distances(n, sums, (const vector *)block, lanes);
    }
    for (size_t i = 0; i < n->members; i++) {
        n->inverse_scale[i] = (float)(1 / (sums[i] / (double)count + SCALE_FLOOR));
    }
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Leaves out the `trim` highest of `scores` (rows); among equals, those that come last.
 * sorted (rows) is scratch. */
static void trim_pool(struct pool *pool, const float *scores, float *sorted, double trim)
{
    size_t keep = pool->rows - (size_t)(trim * (double)pool->rows);
    memcpy(sorted, scores, pool->rows * sizeof *sorted);
    qsort(sorted, pool->rows, sizeof *sorted, compare_floats);
    float highest = sorted[keep - 1];
    size_t equals = 0; /* to keep */
    while (equals < keep && sorted[keep - 1 - equals] == highest) {
        equals++;
    }
    pool->kept_count = 0;
    for (size_t i = 0; i < pool->rows; i++) {
        if (scores[i] < highest || (scores[i] == highest && equals > 0)) {
            equals -= scores[i] == highest;
            pool->kept[pool->kept_count++] = i;
        }
    }
}

/* A member that drew the row is at distance 0 of it and adds nothing to its score: the
 * mean over the others is the same sum over fewer. Where all drew it there are no others,
 * and the score stands. */
static void leave_out_drawn(float *scores, const uint32_t *drawn, size_t rows,
                            size_t members)
{
    for (size_t i = 0; i < rows; i++) {
        if (drawn[i] < members) {
            scores[i] *= (float)members / (float)(members - drawn[i]);
        }
    }
}

struct scratch {
    float *scores; /* (rows) */
    float *sorted; /* (rows) */
    uint32_t *drawn;
    double *sums;
    float *block;
};

static void fit_twice(struct neighbours *n, float *out_of_bag, struct pool *pool,
                      const struct neighbours_options *options, struct scratch scratch)
{
    for (uint64_t pass = 0; pass < 2; pass++) {
        draw_members(n, scratch.drawn, pool, options->seed, pass);
        set_scales(n, pool, options->scale_rows, scratch.block, scratch.sums);
        if (pass == 0) {
            neighbours_score(n, scratch.scores, pool->z, pool->rows);
            trim_pool(pool, scratch.scores, scratch.sorted, options->trim);
        }
    }
    if (out_of_bag != NULL) {
        neighbours_score(n, out_of_bag, pool->z, pool->rows);
        leave_out_drawn(out_of_bag, scratch.drawn, pool->rows, n->members);
    }
}

static int check_options(size_t rows, size_t features,
                         const struct neighbours_options *options,
                         struct deepsad_error *error)
{
    if (rows == 0 || features == 0 || features > UINT32_MAX) {
        return error_set(error, DEEPSAD_INVALID,
                         "nearest neighbours need at least one row and one feature");
    }
    if (options->members == 0 || !(options->trim >= 0 && options->trim < 1)) {
        return error_set(error, DEEPSAD_INVALID,
                         "nearest neighbours need at least one member and a trimmed "
                         "share in [0, 1)");
    }
    return DEEPSAD_OK;
}

static int new_for_pool(struct neighbours **out, const struct pool *pool, size_t members,
                        struct deepsad_error *error)
{
    size_t total = 0;
    for (size_t i = 0; i < members; i++) {
        size_t m = features_of_member(i, pool->active_count);
        if (__builtin_add_overflow(total, m, &total)) {
            return error_no_memory(error, "nearest neighbours");
        }
    }
    return neighbours_new(out, pool->features, members, total, error);
}

int neighbours_fit(struct neighbours **out, float *out_of_bag, const float *z,
                   size_t rows, size_t features, const struct neighbours_options *options,
                   struct deepsad_error *error)
{
    int status = check_options(rows, features, options, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct neighbours *n = NULL;
    struct pool pool = {.z = z, .rows = rows, .features = features};
    pool.kept = calloc(rows, sizeof *pool.kept);
    pool.active = calloc(features, sizeof *pool.active);
    struct scratch scratch = {.scores = calloc(rows, 2 * sizeof(float)),
                              .drawn = calloc(rows, sizeof(uint32_t)),
                              .sums = calloc(options->members, sizeof(double)),
                              .block =
                                  aligned_alloc(SIMD_ALIGN, features * sizeof(vector))};
    if (pool.kept == NULL || pool.active == NULL || scratch.scores == NULL ||
        scratch.drawn == NULL || scratch.sums == NULL || scratch.block == NULL) {
        status = error_no_memory(error, "fitting nearest neighbours");
        goto out;
    }
    scratch.sorted = scratch.scores + rows;
    for (size_t i = 0; i < rows; i++) {
        pool.kept[pool.kept_count++] = i;
    }
    find_active(&pool);
    status = new_for_pool(&n, &pool, options->members, error);
    if (status == DEEPSAD_OK) {
        fit_twice(n, out_of_bag, &pool, options, scratch);
        *out = n;
    }
out:
    free(pool.kept);
    free(pool.active);
    free(scratch.scores);
    free(scratch.drawn);
    free(scratch.sums);
    free(scratch.block);
    return status;
}
