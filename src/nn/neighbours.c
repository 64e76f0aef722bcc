/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kernels for one sum: a vector's width of rows as the lanes, one sample after the
 * other, where there are rows enough; the samples as the lanes, one row, where there are
 * not. In both each squared distance is summed in the order of the member's features, and
 * the members' shares are summed in the same order, so that a row's score is the same
 * bits either way.
 */
#include "nn/neighbours.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "nn/rng.h"

enum {
    SAMPLES = NEIGHBOURS_SAMPLES,
    LANES_MAX = 16, /* of the widest vectors */
    /* Rows with more features than this are scored one by one: a block of them no longer
     * fits the stack of a thread (64 KiB here). */
    BLOCK_FEATURES = 1024,
    /* A block with fewer rows than this part of its lanes costs more than its rows one by
     * one. */
    BLOCK_SHARE = 3,
    /* Shares are summed in so many partial sums, member i in sum i mod 16, those
     * pairwise.
     */
    PARTIAL_SUMS = 16,
};

/* Distances are of scaled values, about 1. Where all a member's rows are equal in its
 * features, u is 0, or the rounding of one processor and not of another; the floor keeps
 * such a u from turning roundings into whole shares. */
#define SCALE_FLOOR 1e-4

/* ---- Construction ---- */

int neighbours_new(struct neighbours **out, size_t features, size_t members,
                   size_t total_features, struct deepsad_error *error)
{
    const size_t limit = SIZE_MAX / 8 / (SAMPLES * sizeof(float));
    if (members > limit || total_features > limit) {
        return error_no_memory(error, "nearest neighbours");
    }
    size_t padded = (members + PARTIAL_SUMS - 1) / PARTIAL_SUMS * PARTIAL_SUMS;
    struct neighbours *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return error_no_memory(error, "nearest neighbours");
    }
    n->features = features;
    n->members = members;
    n->member_features = calloc(members + 1, sizeof *n->member_features);
    n->feature_index = calloc(total_features + 1, sizeof *n->feature_index);
    size_t sample_bytes = (total_features + 1) * SAMPLES * sizeof *n->samples;
    n->samples = aligned_alloc(SIMD_ALIGN, sample_bytes);
    size_t scale_bytes = (padded + PARTIAL_SUMS) * sizeof *n->inverse_scale;
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

/* Where the members' data stand, as a loop goes from one to the next. */
struct member {
    const uint32_t *features; /* (count) */
    size_t count;
    const float *samples; /* (count, SAMPLES) */
};

SIMD_INLINE struct member first_member(const struct neighbours *n)
{
    return (struct member){n->feature_index, n->member_features[0], n->samples};
}

SIMD_INLINE struct member next_member(const struct neighbours *n, struct member member,
                                      size_t next)
{
    member.features += member.count;
    member.samples += member.count * SAMPLES;
    member.count = n->member_features[next];
    return member;
}

SIMD_INLINE float add_up(const float partial[static PARTIAL_SUMS])
{
    float sum[PARTIAL_SUMS];
    memcpy(sum, partial, sizeof sum);
    for (size_t width = PARTIAL_SUMS / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) {
            sum[i] += sum[i + width];
        }
    }
    return sum[0];
}

typedef float half __attribute__((vector_size(8 * sizeof(float))));
typedef int32_t half_mask __attribute__((vector_size(8 * sizeof(float))));
typedef float quarter __attribute__((vector_size(4 * sizeof(float))));
typedef int32_t quarter_mask __attribute__((vector_size(4 * sizeof(float))));

/* Smaller of each lane. */
SIMD_INLINE void lower_half(half *b, const half *a)
{
    half_mask less = *a < *b;
    *b = (half)(((half_mask)*a & less) | ((half_mask)*b & ~less));
}

SIMD_INLINE void lower_quarter(quarter *b, const quarter *a)
{
    quarter_mask less = *a < *b;
    *b = (quarter)(((quarter_mask)*a & less) | ((quarter_mask)*b & ~less));
}

/* Lane i of `least`: the smallest lane of q[i]. */
SIMD_INLINE void least_of_four(quarter *least, const quarter q[static 4])
{
    quarter ab = __builtin_shufflevector(q[0], q[1], 0, 4, 1, 5);
    quarter ab_upper = __builtin_shufflevector(q[0], q[1], 2, 6, 3, 7);
    quarter cd = __builtin_shufflevector(q[2], q[3], 0, 4, 1, 5);
    quarter cd_upper = __builtin_shufflevector(q[2], q[3], 2, 6, 3, 7);
    lower_quarter(&ab, &ab_upper);
    lower_quarter(&cd, &cd_upper);
    quarter lower = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    quarter upper = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    lower_quarter(&lower, &upper);
    *least = lower;
}

#define NAME(x) x##_baseline
#define TARGET
#define FLOATS 4
#define ABREAST 4
#include "nn/neighbours_kernel.inc"

#if SIMD_X86
#define NAME(x) x##_avx2
#define TARGET SIMD_TARGET_AVX2
#define FLOATS 8
#define ABREAST 8
#include "nn/neighbours_kernel.inc"

#define NAME(x) x##_avx512
#define TARGET SIMD_TARGET_AVX512
#define FLOATS 16
#define ABREAST 4
#include "nn/neighbours_kernel.inc"
#endif

/* The kernels of one instruction set. */
struct kernel {
    size_t floats; /* rows of a block */
    void (*score_row)(const struct neighbours *, float *score, const float *row);
    void (*score_block)(const struct neighbours *, float *score, const float *rows,
                        size_t count);
    void (*add_distances)(const struct neighbours *, double *sums, const float *rows,
                          size_t count);
};

static const struct kernel kernels[] = {
    [SIMD_BASELINE] = {4, score_row_baseline, score_block_baseline,
                       add_distances_baseline},
#if SIMD_X86
    [SIMD_AVX2] = {8, score_row_avx2, score_block_avx2, add_distances_avx2},
    [SIMD_AVX512] = {16, score_row_avx512, score_block_avx512, add_distances_avx512},
#endif
};

/* out (features, lanes) of `count` rows z[index[.]], or z from its start without index;
 * the lanes past them repeat the last. */
static void transpose(float *out, size_t lanes, const float *z, const size_t *index,
                      size_t count, size_t features)
{
    for (size_t r = 0; r < lanes; r++) {
        size_t i = r < count ? r : count - 1;
        const float *row = z + (index != NULL ? index[i] : i) * features;
        for (size_t j = 0; j < features; j++) {
            out[j * lanes + r] = row[j];
        }
    }
}

void neighbours_score_level(const struct neighbours *neighbours, float *score,
                            const float *z, size_t rows, enum simd_level level)
{
    const struct kernel *kernel = &kernels[level];
    size_t lanes = kernel->floats;
    size_t features = neighbours->features;
    _Alignas(SIMD_ALIGN) float block[BLOCK_FEATURES * LANES_MAX];
    for (size_t done = 0; done < rows;) {
        size_t left = rows - done;
        const float *x = z + done * features;
        if (features > BLOCK_FEATURES || left < lanes / BLOCK_SHARE) {
            kernel->score_row(neighbours, score + done, x);
            done++;
        } else {
            size_t count = left < lanes ? left : lanes;
            transpose(block, lanes, x, NULL, count, features);
            kernel->score_block(neighbours, score + done, block, count);
            done += count;
        }
    }
}

void neighbours_score(const struct neighbours *neighbours, float *score, const float *z,
                      size_t rows)
{
    neighbours_score_level(neighbours, score, z, rows, simd_level());
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
static void draw_rows(size_t out[static SAMPLES], const struct pool *pool,
                      struct rng *rng)
{
    for (size_t s = 0; s < SAMPLES; s++) {
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
        size_t rows[SAMPLES];
        draw_features(features, m, pool, &rng);
        draw_rows(rows, pool, &rng);
        n->member_features[i] = (uint32_t)m;
        for (size_t s = 0; s < SAMPLES; s++) {
            drawn[rows[s]] += s < pool->kept_count;
            for (size_t k = 0; k < m; k++) {
                samples[k * SAMPLES + s] =
                    pool->z[rows[s] * pool->features + features[k]];
            }
        }
        features += m;
        samples += m * SAMPLES;
    }
}

/* Evenly spaced rows of those kept: u_i is the mean of their distances. block (features,
 * LANES_MAX) and sums (members) are scratch. */
static void set_scales(struct neighbours *n, const struct pool *pool, size_t scale_rows,
                       float *block, double *sums)
{
    const struct kernel *kernel = &kernels[simd_level()];
    size_t count = pool->kept_count;
    count = scale_rows > 0 && scale_rows < count ? scale_rows : count;
    double step = (double)pool->kept_count / (double)count;
    memset(sums, 0, n->members * sizeof *sums);
    for (size_t done = 0; done < count;) {
        size_t index[LANES_MAX] = {0};
        size_t filled = 0;
        for (; filled < kernel->floats && done < count; done++) {
            index[filled++] = pool->kept[(size_t)((double)done * step)];
        }
        transpose(block, kernel->floats, pool->z, index, filled, pool->features);
        kernel->add_distances(n, sums, block, filled);
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
    struct scratch scratch = {
        .scores = calloc(rows, 2 * sizeof(float)),
        .drawn = calloc(rows, sizeof(uint32_t)),
        .sums = calloc(options->members, sizeof(double)),
        .block = aligned_alloc(SIMD_ALIGN, features * LANES_MAX * sizeof(float))};
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
