/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/simd.h"
#include "nn/matrix.h"
#include "nn/rng.h"

static float *random_matrix(size_t rows, size_t columns, uint64_t seed)
{
    float *values = NULL;
    assert_int_equal(matrix_new(&values, rows, columns, "a test", NULL), DEEPSAD_OK);
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (size_t i = 0; i < rows * columns; i++) {
        values[i] = 2 * rng_float(&rng) - 1;
    }
    return values;
}

/* a(i, p) = a[i * row + p * step], likewise b: three loops in double. */
struct operand {
    const float *at;
    size_t row, step;
};

static void assert_product(const float *c, struct operand a, struct operand b, size_t m,
                           size_t k, size_t n)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t p = 0; p < k; p++) {
                sum += (double)a.at[i * a.row + p * a.step] *
                       (double)b.at[p * b.row + j * b.step];
            }
            assert_near_floor(c[i * n + j], sum, 1e-6, 1 + (double)k / 10);
        }
    }
}

/* All three products of shape m, k, n, with guards behind the results. */
static void check_products(size_t m, size_t k, size_t n)
{
    float *a = random_matrix(m, k, 1);
    float *b = random_matrix(k, n, 2);
    float *dc = random_matrix(m, n, 3);
    float *scratch = random_matrix(k, n, 4);
    size_t most = (m > k ? m : k) * (n > k ? n : k);
    float *out = random_matrix(1, most + 1, 5);
    out[m * n] = 42;
    matrix_multiply(out, a, b, m, k, n);
    assert_product(out, (struct operand){a, k, 1}, (struct operand){b, n, 1}, m, k, n);
    assert_true(out[m * n] == 42);
    out[k * n] = 42;
    matrix_multiply_at(out, a, dc, m, k, n);
    assert_product(out, (struct operand){a, 1, k}, (struct operand){dc, n, 1}, k, m, n);
    assert_true(out[k * n] == 42);
    out[m * k] = 42;
    matrix_multiply_bt(out, dc, b, m, n, k, scratch);
    assert_product(out, (struct operand){dc, n, 1}, (struct operand){b, 1, n}, m, n, k);
    assert_true(out[m * k] == 42);
    free(a);
    free(b);
    free(dc);
    free(scratch);
    free(out);
}

static void products_of_every_small_shape_are_the_naive_ones(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 2, 7, 8, 9, 17};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t k = 1; k <= 10; k++) {
            for (size_t n = 1; n <= 35; n++) {
                check_products(rows[i], k, n);
            }
        }
    }
}

static void products_of_training_shapes_are_the_naive_ones(void **state)
{
    (void)state;
    check_products(128, 9, 32);
    check_products(160, 128, 64);
    check_products(31, 274, 130);
}

static void products_by_blocks_are_the_naive_ones(void **state)
{
    (void)state;
    check_products(128, 300, 256);
    check_products(257, 191, 203);
    check_products(129, 600, 33);
}

static void products_that_may_go_to_blas_are_the_naive_ones(void **state)
{
    (void)state;
    check_products(410, 405, 409);
}

static void blas_is_used_where_its_core_is_as_wide_as_the_machine(void **state)
{
    (void)state;
    assert_true(matrix_blas_is_wide("SkylakeX", SIMD_AVX512));
    assert_true(matrix_blas_is_wide("SapphireRapids", SIMD_AVX512));
    assert_true(matrix_blas_is_wide("SkylakeX", SIMD_AVX2));
    assert_true(matrix_blas_is_wide("Haswell", SIMD_AVX2));
    assert_true(matrix_blas_is_wide("Zen", SIMD_AVX2));
    assert_true(matrix_blas_is_wide("neoversen1", SIMD_BASELINE));
    assert_false(matrix_blas_is_wide("Zen", SIMD_AVX512));
    assert_false(matrix_blas_is_wide("Haswell", SIMD_AVX512));
    assert_false(matrix_blas_is_wide("Sandybridge", SIMD_AVX2));
    assert_false(matrix_blas_is_wide("Prescott", SIMD_AVX512));
    assert_false(matrix_blas_is_wide("a core to come", SIMD_AVX2));
}

static void a_product_over_nothing_is_zero(void **state)
{
    (void)state;
    float c[6] = {1, 1, 1, 1, 1, 1};
    const float unused[1] = {5};
    matrix_multiply_at(c, unused, unused, 0, 2, 3);
    for (size_t i = 0; i < 6; i++) {
        assert_true(c[i] == 0);
    }
}

static void a_row_of_a_small_product_does_not_depend_on_the_other_rows(void **state)
{
    (void)state;
    enum { M = 37, K = 20, N = 13 };
    float *a = random_matrix(M, K, 1);
    float *b = random_matrix(K, N, 2);
    float all[M * N];
    matrix_multiply(all, a, b, M, K, N);
    for (size_t i = 0; i < M; i++) {
        float one[N];
        matrix_multiply(one, a + i * K, b, 1, K, N);
        assert_memory_equal(one, all + i * N, sizeof one);
    }
    free(a);
    free(b);
}

static void elementwise_kernels_do_what_they_say(void **state)
{
    (void)state;
    const float a[6] = {1, 2, 3, 4, 5, 6}; /* (2, 3) */
    float out[6];
    matrix_transpose(out, a, 2, 3);
    assert_memory_equal(out, ((float[]){1, 4, 2, 5, 3, 6}), sizeof out);
    matrix_gather(out, a, (size_t[]){1, 1}, 2, 3);
    assert_memory_equal(out, ((float[]){4, 5, 6, 4, 5, 6}), sizeof out);
    matrix_add_row(out, (float[]){1, 0, -6}, 2, 3);
    assert_memory_equal(out, ((float[]){5, 5, 0, 5, 5, 0}), sizeof out);
}

static void column_sums_keep_what_float_would_lose(void **state)
{
    (void)state;
    enum { ROWS = 1000, COLUMNS = 21 };
    float *a = random_matrix(ROWS, COLUMNS, 1);
    float sums[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++) {
        a[i] = 1e8F;
        a[(ROWS - 1) * COLUMNS + i] = -1e8F;
    }
    matrix_column_sums(sums, a, ROWS, COLUMNS);
    for (size_t j = 0; j < COLUMNS; j++) {
        double sum = 0;
        for (size_t i = 1; i < ROWS - 1; i++) {
            sum += (double)a[i * COLUMNS + j];
        }
        assert_near_floor(sums[j], sum, 1e-6, 1e-3);
    }
    free(a);
}

static void memory_is_zeroed_aligned_and_overflow_is_an_error(void **state)
{
    (void)state;
    float *values = NULL;
    assert_int_equal(matrix_new(&values, 3, 7, "a test", NULL), DEEPSAD_OK);
    assert_int_equal((uintptr_t)values % SIMD_ALIGN, 0);
    for (size_t i = 0; i < 21; i++) {
        assert_true(values[i] == 0);
    }
    free(values);
    values = NULL;
    struct deepsad_error error = {0};
    assert_int_equal(matrix_new(&values, SIZE_MAX / 2, 3, "a test", &error),
                     DEEPSAD_NO_MEMORY);
    assert_error_says(error, "out of memory for a test");
    assert_int_equal(matrix_new(&values, SIZE_MAX / 4, 1, "a test", NULL),
                     DEEPSAD_NO_MEMORY);
    assert_null(values);
}

static void *init_blas(void *status)
{
    *(int *)status = matrix_blas_init(NULL);
    return NULL;
}

static void blas_is_pinned_once_and_described(void **state)
{
    (void)state;
    pthread_t threads[4];
    int status[4] = {-1, -1, -1, -1};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, init_blas, &status[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(status[i], DEEPSAD_OK);
    }
    assert_non_null(strstr(matrix_blas_description(), "OpenBLAS "));
    assert_non_null(strstr(matrix_blas_description(), ", core "));
    assert_non_null(strstr(matrix_blas_description(), " lanes"));
}

enum { SHARED_M = 200, SHARED_K = 300, SHARED_N = 100, CALLERS = 4 };

struct caller {
    const float *a, *b;
    float *c;
};

static void *multiply(void *closure)
{
    const struct caller *caller = closure;
    for (int i = 0; i < 20; i++) {
        matrix_multiply(caller->c, caller->a, caller->b, SHARED_M, SHARED_K, SHARED_N);
    }
    return NULL;
}

static void concurrent_callers_get_the_same_bits(void **state)
{
    (void)state;
    float *a = random_matrix(SHARED_M, SHARED_K, 1);
    float *b = random_matrix(SHARED_K, SHARED_N, 2);
    float *alone = random_matrix(SHARED_M, SHARED_N, 3);
    multiply(&(struct caller){a, b, alone});
    pthread_t threads[CALLERS];
    struct caller callers[CALLERS];
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){a, b, random_matrix(SHARED_M, SHARED_N, 4)};
        assert_int_equal(pthread_create(&threads[i], NULL, multiply, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_memory_equal(callers[i].c, alone, SHARED_M * SHARED_N * sizeof *alone);
        free(callers[i].c);
    }
    free(a);
    free(b);
    free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blas_is_pinned_once_and_described),
        cmocka_unit_test(products_of_every_small_shape_are_the_naive_ones),
        cmocka_unit_test(products_of_training_shapes_are_the_naive_ones),
        cmocka_unit_test(products_by_blocks_are_the_naive_ones),
        cmocka_unit_test(products_that_may_go_to_blas_are_the_naive_ones),
        cmocka_unit_test(blas_is_used_where_its_core_is_as_wide_as_the_machine),
        cmocka_unit_test(a_product_over_nothing_is_zero),
        cmocka_unit_test(a_row_of_a_small_product_does_not_depend_on_the_other_rows),
        cmocka_unit_test(elementwise_kernels_do_what_they_say),
        cmocka_unit_test(column_sums_keep_what_float_would_lose),
        cmocka_unit_test(memory_is_zeroed_aligned_and_overflow_is_an_error),
        cmocka_unit_test(concurrent_callers_get_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
