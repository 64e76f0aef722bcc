/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on lanes against naive ones in double on single samples. */
#include "../testing.h"

#include <stdlib.h>

#include "nn/lanes.h"
#include "nn/rng.h"

enum { SIDE = 13, MOST = SIDE * SIDE * LANES };

static void fill(float *values, size_t count, uint64_t seed, float offset)
{
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (size_t i = 0; i < count; i++) {
        values[i] = 2 * rng_float(&rng) - 1 + offset;
    }
}

/* Lanes beyond count are 0, as everywhere. */
static void clear_beyond(float *values, size_t pixels, size_t count)
{
    for (size_t i = 0; i < pixels * LANES; i++) {
        values[i] = i % LANES < count ? values[i] : 0;
    }
}

/* ---- Rows ---- */

static void rows_become_lanes_and_lanes_rows(void **state)
{
    (void)state;
    enum { WIDTH = 150 };
    float rows[LANES * WIDTH];
    float lanes[WIDTH * LANES];
    float back[LANES * WIDTH];
    fill(rows, LANES * WIDTH, 1, 0);
    for (size_t count = 1; count <= LANES; count++) {
        fill(lanes, WIDTH * LANES, 2, 0);
        lanes_from_rows(lanes, rows, count, WIDTH);
        for (size_t i = 0; i < WIDTH * LANES; i++) {
            size_t l = i % LANES;
            assert_true(lanes[i] == (l < count ? rows[l * WIDTH + i / LANES] : 0));
        }
        lanes_to_rows(back, lanes, count, WIDTH);
        assert_memory_equal(back, rows, count * WIDTH * sizeof *back);
    }
}

/* ---- Moments ---- */

static void check_moments(const float *z, size_t pixels, size_t count, double tolerance)
{
    double n = (double)(pixels * count);
    double mean = 0;
    double squares = 0;
    for (size_t i = 0; i < pixels * LANES; i++) {
        mean += i % LANES < count ? (double)z[i] / n : 0;
    }
    for (size_t i = 0; i < pixels * LANES; i++) {
        double d = (double)z[i] - mean;
        squares += i % LANES < count ? d * d : 0;
    }
    struct lanes_moments moments;
    lanes_moments(&moments, z, pixels, count);
    assert_near_floor(moments.mean, mean, 1e-6, sqrt(squares / n));
    assert_near_floor(moments.squares, squares, tolerance, 1e-20);
}

static void moments_are_those_of_the_samples_alone(void **state)
{
    (void)state;
    float z[MOST];
    for (size_t count = 1; count <= LANES; count++) {
        for (size_t pixels = 1; pixels <= SIDE * SIDE; pixels += 7) {
            fill(z, pixels * LANES, pixels, 0.3F);
            check_moments(z, pixels, count, 1e-5);
        }
    }
}

static void moments_are_exact_far_from_zero_and_behind_a_flat_border(void **state)
{
    (void)state;
    enum { PIXELS = 32 * 32 };
    static float z[PIXELS * LANES];
    fill(z, PIXELS * LANES, 1, 1000);
    check_moments(z, PIXELS, LANES, 1e-4); /* floats there are 6e-5 apart */
    fill(z, PIXELS * LANES, 2, 50);
    memset(z, 0, 3 * 32 * LANES * sizeof *z); /* the first rows, of which the shift is */
    check_moments(z, PIXELS, LANES, 1e-5);
    for (size_t i = 0; i < PIXELS * LANES; i++) {
        z[i] = 123.456F;
    }
    struct lanes_moments moments;
    lanes_moments(&moments, z, PIXELS, LANES);
    assert_true(moments.squares == 0);
}

/* ---- Tails ---- */

struct naive {
    double n[SIDE * SIDE], y[SIDE * SIDE], g[SIDE * SIDE], dz[SIDE * SIDE];
};

static size_t source(const struct lanes_tail *tail, const double *n, size_t pixel)
{
    size_t u = pixel % tail->out.width;
    size_t v = pixel / tail->out.width;
    size_t width = tail->in.width;
    size_t best = 2 * v * width + 2 * u;
    switch (tail->resize) {
    case LANES_SAME:
        return pixel;
    case LANES_UPSAMPLE:
        v = v / 2 < tail->in.height ? v / 2 : tail->in.height - 1;
        u = u / 2 < width ? u / 2 : width - 1;
        return v * width + u;
    case LANES_POOL:
        for (size_t i = 1; i < 4; i++) {
            size_t other = (2 * v + i / 2) * width + 2 * u + i % 2;
            best = n[other] > n[best] ? other : best;
        }
        break;
    }
    return best;
}

/* One lane; dy and z with LANES between pixels. */
static void naive_tail(struct naive *naive, const float *z, const float *dy,
                       const struct lanes_tail *tail, struct lanes_norm norm,
                       struct lanes_means means)
{
    size_t in = tail->in.height * tail->in.width;
    memset(naive, 0, sizeof *naive);
    for (size_t i = 0; i < in; i++) {
        naive->n[i] =
            ((double)z[i * LANES] - (double)norm.mean) * (double)norm.inverse_std;
    }
    for (size_t i = 0; i < tail->out.height * tail->out.width; i++) {
        size_t from = source(tail, naive->n, i);
        double slope = naive->n[from] > 0 ? 1 : (double)tail->slope;
        naive->y[i] = naive->n[from] * slope;
        naive->g[from] += (double)dy[i * LANES] * slope;
    }
    for (size_t i = 0; i < in; i++) {
        naive->dz[i] = (double)norm.inverse_std * (naive->g[i] - (double)means.g -
                                                   naive->n[i] * (double)means.product);
    }
}

struct blocks {
    float z[MOST], dy[4 * MOST], y[4 * MOST], dz[MOST];
};

static void check_tail(const struct lanes_tail *tail, struct lanes_norm norm,
                       struct lanes_means means, size_t count)
{
    static struct blocks b;
    size_t in = tail->in.height * tail->in.width;
    size_t out = tail->out.height * tail->out.width;
    struct lanes_sums sums;
    double sum = 0;
    double product = 0;
    fill(b.z, in * LANES, 1, 0);
    fill(b.dy, out * LANES, 2, 0);
    clear_beyond(b.z, in, count);
    clear_beyond(b.dy, out, count);
    lanes_tail_forward(b.y, b.z, tail, norm, count);
    for (size_t l = 0; l < LANES; l++) {
        struct naive naive;
        naive_tail(&naive, b.z + l, b.dy + l, tail, norm, means);
        for (size_t i = 0; i < out; i++) {
            assert_near_floor(b.y[i * LANES + l], l < count ? naive.y[i] : 0, 1e-6, 1);
        }
        for (size_t i = 0; l < count && i < in; i++) {
            sum += naive.g[i];
            product += naive.g[i] * naive.n[i];
        }
    }
    lanes_tail_gradient(&sums, b.y, b.y, b.dy, tail, count);
    assert_near_floor(sums.g, sum, 1e-5, 1);
    assert_near_floor(sums.product, product, 1e-5, 1);
    lanes_tail_backward(b.dz, b.z, b.y, tail, norm, means, count);
    for (size_t l = 0; l < LANES; l++) {
        struct naive naive;
        naive_tail(&naive, b.z + l, b.dy + l, tail, norm, means);
        for (size_t i = 0; i < in; i++) {
            assert_near_floor(b.dz[i * LANES + l], l < count ? naive.dz[i] : 0, 1e-5, 1);
        }
    }
}

/* `out` of each resize, for sides of 2 to 6 */
static void check_sides(enum lanes_resize resize, struct lanes_norm norm,
                        struct lanes_means means, float slope)
{
    for (size_t i = 0; i < 5 * 5 * 4; i++) {
        struct lanes_tail tail = {.resize = resize, .slope = slope};
        tail.in = (struct lanes_side){2 + i % 5, 2 + i / 5 % 5};
        tail.out = tail.in;
        if (resize == LANES_POOL) {
            tail.out = (struct lanes_side){tail.in.height / 2, tail.in.width / 2};
        }
        if (resize == LANES_UPSAMPLE) {
            tail.out.height = 2 * tail.in.height + i / 25 % 2;
            tail.out.width = 2 * tail.in.width + i / 50;
        }
        check_tail(&tail, norm, means, 1 + i % LANES);
    }
}

static void tails_of_all_parts_are_as_naive_ones(void **state)
{
    (void)state;
    struct lanes_norm norm = {0.2F, 1.7F};
    struct lanes_means means = {0.05F, -0.3F};
    check_sides(LANES_SAME, norm, means, 0.01F);
    check_sides(LANES_POOL, norm, means, 0.01F);
    check_sides(LANES_UPSAMPLE, norm, means, 0.01F);
}

static void any_part_of_a_tail_may_be_missing(void **state)
{
    (void)state;
    struct lanes_norm none = {0, 1};
    struct lanes_means zero = {0, 0};
    for (int resize = LANES_SAME; resize <= LANES_UPSAMPLE; resize++) {
        check_sides((enum lanes_resize)resize, none, zero, 0.01F);
        check_sides((enum lanes_resize)resize, none, zero, 1);
        check_sides((enum lanes_resize)resize, (struct lanes_norm){0.1F, 0.5F}, zero, 1);
    }
}

static void the_first_of_equal_maxima_gets_the_gradient(void **state)
{
    (void)state;
    const struct lanes_tail tail = {LANES_POOL, {2, 2}, {1, 1}, 0.01F};
    for (size_t equal = 1; equal < 16; equal++) { /* which of the four are the maximum */
        float z[4 * LANES];
        float g[LANES];
        float dz[4 * LANES];
        for (size_t i = 0; i < 4 * LANES; i++) {
            z[i] = equal >> (i / LANES) & 1 ? 0.5F : -0.5F;
            g[i % LANES] = 3;
        }
        lanes_tail_backward(dz, z, g, &tail, (struct lanes_norm){0, 1},
                            (struct lanes_means){0, 0}, LANES);
        size_t first = (size_t)__builtin_ctzl(equal);
        for (size_t i = 0; i < 4 * LANES; i++) {
            assert_true(dz[i] == (i / LANES == first ? 3 : 0));
        }
    }
}

static void an_infinite_value_is_pooled_as_any_other(void **state)
{
    (void)state;
    const struct lanes_tail tail = {LANES_POOL, {2, 2}, {1, 1}, 0.01F};
    float z[4 * LANES] = {0};
    float y[LANES];
    z[2 * LANES] = INFINITY;
    lanes_tail_forward(y, z, &tail, (struct lanes_norm){0, 1}, 2);
    assert_true(y[0] == INFINITY && y[1] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_lanes_and_lanes_rows),
        cmocka_unit_test(moments_are_those_of_the_samples_alone),
        cmocka_unit_test(moments_are_exact_far_from_zero_and_behind_a_flat_border),
        cmocka_unit_test(tails_of_all_parts_are_as_naive_ones),
        cmocka_unit_test(any_part_of_a_tail_may_be_missing),
        cmocka_unit_test(the_first_of_equal_maxima_gets_the_gradient),
        cmocka_unit_test(an_infinite_value_is_pooled_as_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
