/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel that this machine can run, against a naive loop in double. */
#include "../testing.h"

#include <stdlib.h>

#include "nn/packed.h"
#include "nn/rng.h"

enum { ROWS = 50, STRIDE_MORE = 3 };

struct fixture {
    struct packed layer;
    float *x; /* (ROWS, inputs + STRIDE_MORE) */
    float *y; /* (ROWS, padded) */
    size_t stride;
};

static struct fixture make(size_t inputs, size_t outputs,
                           enum packed_activation activation)
{
    struct fixture f = {.stride = inputs + STRIDE_MORE};
    struct rng rng;
    rng_init(&rng, inputs, outputs);
    assert_int_equal(packed_init(&f.layer, inputs, outputs, activation, NULL),
                     DEEPSAD_OK);
    f.x = calloc(ROWS * f.stride, sizeof *f.x);
    f.y = aligned_alloc(64, ROWS * f.layer.padded * sizeof *f.y);
    assert_true(f.x != NULL && f.y != NULL);
    for (size_t i = 0; i < ROWS * f.stride; i++) {
        f.x[i] = 2 * rng_float(&rng) - 1;
    }
    for (size_t o = 0; o < outputs; o++) {
        f.layer.bias[o] = rng_float(&rng) - 0.5F;
        for (size_t i = 0; i < inputs; i++) {
            f.layer.weight[packed_index(&f.layer, i, o)] = rng_float(&rng) - 0.5F;
        }
    }
    return f;
}

static void done(struct fixture *f)
{
    packed_done(&f->layer);
    free(f->x);
    free(f->y);
}

static double naive(const struct fixture *f, size_t row, size_t output)
{
    double sum = (double)f->layer.bias[output];
    for (size_t i = 0; i < f->layer.inputs; i++) {
        sum += (double)f->x[row * f->stride + i] *
               (double)f->layer.weight[packed_index(&f->layer, i, output)];
    }
    switch (f->layer.activation) {
    case PACKED_LEAKY_RELU:
        return sum > 0 ? sum : 0.01 * sum;
    case PACKED_SIGMOID:
        return 1 / (1 + exp(-sum));
    case PACKED_LINEAR:
        break;
    }
    return sum;
}

static void check_rows(const struct fixture *f, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t o = 0; o < f->layer.outputs; o += 1 + f->layer.outputs / 20) {
            assert_near_floor(f->y[i * f->layer.padded + o], naive(f, i, o), 1e-5, 1);
        }
        for (size_t o = f->layer.outputs; o < f->layer.padded; o++) {
            assert_true(f->y[i * f->layer.padded + o] == 0);
        }
    }
}

static void check_layer(size_t inputs, size_t outputs, enum packed_activation activation)
{
    struct fixture f = make(inputs, outputs, activation);
    for (int level = SIMD_BASELINE; level <= (int)simd_level(); level++) {
        const size_t batches[] = {1, 2, 3, 4, 5, 6, 7, 11, ROWS};
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
            packed_forward_level(&f.layer, f.y, f.x, f.stride, batches[b],
                                 (enum simd_level)level);
            check_rows(&f, batches[b]);
        }
    }
    done(&f);
}

static void every_kernel_agrees_with_a_naive_loop(void **state)
{
    (void)state;
    const size_t outputs[] = {1, 8, 16, 17, 33, 64, 100, 128, 145, 300};
    for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++) {
        check_layer(9, outputs[o], PACKED_LEAKY_RELU);
        check_layer(32, outputs[o], PACKED_LINEAR);
        check_layer(1, outputs[o], PACKED_SIGMOID);
    }
}

static void more_inputs_than_a_pass_are_summed_over_passes(void **state)
{
    (void)state;
    const size_t inputs[] = {255, 256, 257, 511, 512, 784, 1025};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        check_layer(inputs[i], 24, PACKED_LEAKY_RELU);
        check_layer(inputs[i], 150, PACKED_LINEAR);
    }
}

static void every_kernel_gives_a_row_the_same_bits_in_any_batch(void **state)
{
    (void)state;
    for (size_t outputs = 5; outputs < 300; outputs += 23) {
        struct fixture f = make(300, outputs, PACKED_LEAKY_RELU);
        float *alone = aligned_alloc(64, f.layer.padded * sizeof *alone);
        assert_non_null(alone);
        for (int level = SIMD_BASELINE; level <= (int)simd_level(); level++) {
            enum simd_level l = (enum simd_level)level;
            packed_forward_level(&f.layer, f.y, f.x, f.stride, ROWS, l);
            for (size_t i = 0; i < ROWS; i++) {
                packed_forward_level(&f.layer, alone, f.x + i * f.stride, f.stride, 1, l);
                assert_memory_equal(alone, f.y + i * f.layer.padded,
                                    f.layer.padded * sizeof *alone);
            }
        }
        free(alone);
        done(&f);
    }
}

static void distances_sum_all_columns(void **state)
{
    (void)state;
    for (size_t padded = 16; padded <= 160; padded += 48) {
        float *y = aligned_alloc(64, 2 * padded * sizeof *y);
        assert_non_null(y);
        float *center = y + padded;
        double expected = 0;
        for (size_t j = 0; j < padded; j++) {
            y[j] = (float)(j % 7);
            center[j] = (float)(j % 5);
            expected += (double)((y[j] - center[j]) * (y[j] - center[j]));
        }
        float distance = 0;
        packed_distances(&distance, y, center, 1, padded);
        assert_near(distance, expected, 0); /* small integers: exact */
        free(y);
    }
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct packed layer = {0};
    assert_int_equal(packed_init(&layer, SIZE_MAX / 8, 100, PACKED_LINEAR, NULL),
                     DEEPSAD_NO_MEMORY);
    assert_int_equal(packed_init(&layer, 1, SIZE_MAX, PACKED_LINEAR, NULL),
                     DEEPSAD_NO_MEMORY);
    assert_int_equal(packed_init(&layer, 0, 1, PACKED_LINEAR, NULL), DEEPSAD_INVALID);
    assert_int_equal(packed_init(&layer, 1, 0, PACKED_LINEAR, NULL), DEEPSAD_INVALID);
    assert_null(layer.weight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_agrees_with_a_naive_loop),
        cmocka_unit_test(more_inputs_than_a_pass_are_summed_over_passes),
        cmocka_unit_test(every_kernel_gives_a_row_the_same_bits_in_any_batch),
        cmocka_unit_test(distances_sum_all_columns),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
