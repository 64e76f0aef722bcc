/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel that this machine can run, against a naive loop in double. */
#include "../testing.h"

#include <stdlib.h>

#include "nn/blocked.h"
#include "nn/rng.h"

static float *random_floats(size_t count, uint64_t seed)
{
    float *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    struct rng rng;
    rng_init(&rng, seed, count);
    for (size_t i = 0; i < count; i++) {
        values[i] = 2 * rng_float(&rng) - 1;
    }
    values[count] = 42;
    return values;
}

static double naive(struct strided a, struct strided b, size_t i, size_t j, size_t k)
{
    double sum = 0;
    for (size_t p = 0; p < k; p++) {
        sum +=
            (double)a.at[i * a.row + p * a.step] * (double)b.at[p * b.row + j * b.step];
    }
    return sum;
}

static void check_product(struct strided a, struct strided b, size_t m, size_t k,
                          size_t n)
{
    for (int level = SIMD_BASELINE; level <= (int)simd_level(); level++) {
        float *c = random_floats(m * n, 3);
        blocked_multiply_level(c, a, b, m, k, n, (enum simd_level)level);
        for (size_t i = 0; i < m; i++) {
            for (size_t j = 0; j < n; j++) {
                assert_near_floor(c[i * n + j], naive(a, b, i, j, k), 1e-6,
                                  1 + (double)k / 10);
            }
        }
        assert_true(c[m * n] == 42);
        free(c);
    }
}

/* a and b as they are and transposed. */
static void check_shape(size_t m, size_t k, size_t n)
{
    float *a = random_floats(m * k, 1);
    float *b = random_floats(k * n, 2);
    check_product((struct strided){a, k, 1}, (struct strided){b, n, 1}, m, k, n);
    check_product((struct strided){a, 1, m}, (struct strided){b, n, 1}, m, k, n);
    check_product((struct strided){a, k, 1}, (struct strided){b, 1, k}, m, k, n);
    check_product((struct strided){a, 1, m}, (struct strided){b, 1, k}, m, k, n);
    free(a);
    free(b);
}

static void every_shape_is_the_naive_product(void **state)
{
    (void)state;
    for (size_t m = 8; m <= 17; m += 3) {
        for (size_t n = 1; n <= 67; n++) {
            check_shape(m, 1 + n % 7, n);
        }
    }
}

static void sums_go_on_over_blocks(void **state)
{
    (void)state;
    const size_t depths[] = {255, 256, 257, 512, 600};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        check_shape(8, depths[i], 32);
        check_shape(19, depths[i], 45);
    }
}

static void a_row_has_the_same_bits_whatever_the_others(void **state)
{
    (void)state;
    enum { M = 21, K = 300, N = 37 };
    float *a = random_floats((size_t)M * K, 1);
    float *b = random_floats((size_t)K * N, 2);
    float all[M * N];
    float some[M * N];
    blocked_multiply(all, (struct strided){a, K, 1}, (struct strided){b, N, 1}, M, K, N);
    for (size_t from = 1; from + BLOCKED_ROWS <= M; from++) {
        blocked_multiply(some, (struct strided){a + from * K, K, 1},
                         (struct strided){b, N, 1}, M - from, K, N);
        assert_memory_equal(some, all + from * N, (M - from) * N * sizeof *some);
    }
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_is_the_naive_product),
        cmocka_unit_test(sums_go_on_over_blocks),
        cmocka_unit_test(a_row_has_the_same_bits_whatever_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
