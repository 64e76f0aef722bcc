/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each backward pass against central differences of its forward pass: for random r, the
 * gradient of sum(r * y) by x must be what backward makes of dy = r.
 */
#include "../testing.h"

#include "nn/layer.h"
#include "nn/matrix.h"
#include "nn/rng.h"

enum { ROWS = 11, INPUTS = 5, OUTPUTS = 19, MOST = ROWS * OUTPUTS };
#define STEP 1e-2F

static void fill(float *values, size_t count, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (size_t i = 0; i < count; i++) {
        values[i] = 4 * rng_float(&rng) - 2;
    }
}

/* forward(y, values) for the values under test; fixed inputs in `fixed` */
struct check {
    void (*forward)(float *y, const float *values, const float *fixed);
    const float *fixed;
    size_t outputs; /* elements of y */
};

static double weighted_sum(const struct check *check, const float *values,
                           const float *weights)
{
    float y[MOST];
    double sum = 0;
    check->forward(y, values, check->fixed);
    for (size_t i = 0; i < check->outputs; i++) {
        sum += (double)y[i] * (double)weights[i];
    }
    return sum;
}

static void check_gradient(const struct check *check, float *values,
                           const float *gradient, const float *weights, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float value = values[i];
        values[i] = value + STEP;
        double above = weighted_sum(check, values, weights);
        values[i] = value - STEP;
        double below = weighted_sum(check, values, weights);
        values[i] = value;
        double slope =
            (above - below) / ((double)(value + STEP) - (double)(value - STEP));
        assert_near_floor(gradient[i], slope, 1e-3, 1);
    }
}

/* ---- Dense ---- */

static void dense_of_x(float *y, const float *x, const float *w)
{
    layer_dense_forward(y, x, w, w + INPUTS * OUTPUTS, ROWS, INPUTS, OUTPUTS);
}

static void dense_of_w(float *y, const float *w, const float *x)
{
    layer_dense_forward(y, x, w, w + INPUTS * OUTPUTS, ROWS, INPUTS, OUTPUTS);
}

static void dense_gradients_are_the_slopes(void **state)
{
    (void)state;
    enum { WEIGHTS = INPUTS * OUTPUTS, PARAMS = WEIGHTS + OUTPUTS };
    float x[ROWS * INPUTS];
    float w[PARAMS]; /* W, then b */
    float dy[MOST];
    float dx[ROWS * INPUTS];
    float dw[PARAMS];
    float scratch[WEIGHTS];
    fill(x, ROWS * INPUTS, 1);
    fill(w, PARAMS, 2);
    fill(dy, MOST, 3);
    layer_dense_backward(dx, dw, dw + WEIGHTS, dy, x, w, ROWS, INPUTS, OUTPUTS, scratch);
    check_gradient(&(struct check){dense_of_x, w, MOST}, x, dx, dy, ROWS * INPUTS);
    check_gradient(&(struct check){dense_of_w, x, MOST}, w, dw, dy, PARAMS);
}

static void dense_leaves_out_what_is_not_wanted(void **state)
{
    (void)state;
    const float x[4] = {1, 2, 3, 4};
    const float w[4] = {1, 0, 0, -1};
    float y[4];
    float dw[4];
    float scratch[4];
    layer_dense_forward(y, x, w, NULL, 2, 2, 2);
    assert_memory_equal(y, ((float[]){1, -2, 3, -4}), sizeof y);
    layer_dense_backward(NULL, dw, NULL, y, x, w, 2, 2, 2, scratch);
    assert_memory_equal(dw, ((float[]){10, -14, 14, -20}), sizeof dw);
}

/* ---- Batch norm ---- */

static void batch_norm_of_x(float *y, const float *x, const float *unused)
{
    (void)unused;
    float deviation[OUTPUTS];
    float mean[OUTPUTS] = {0};
    float variance[OUTPUTS] = {0};
    layer_batch_norm_train(y, deviation, mean, variance, x, ROWS, OUTPUTS);
}

static void batch_norm_gradient_is_the_slope(void **state)
{
    (void)state;
    float x[MOST];
    float y[MOST];
    float dy[MOST];
    float dx[MOST];
    float deviation[OUTPUTS];
    float running[2 * OUTPUTS] = {0};
    fill(x, MOST, 1);
    fill(dy, MOST, 2);
    layer_batch_norm_train(y, deviation, running, running + OUTPUTS, x, ROWS, OUTPUTS);
    layer_batch_norm_backward(dx, dy, y, deviation, ROWS, OUTPUTS);
    check_gradient(&(struct check){batch_norm_of_x, NULL, MOST}, x, dx, dy, MOST);
    layer_batch_norm_backward(dy, dy, y, deviation, ROWS, OUTPUTS);
    assert_memory_equal(dy, dx, sizeof dx); /* in place is the same */
}

static void batch_norm_moves_its_statistics_as_torch_does(void **state)
{
    (void)state;
    const float x[3] = {1, 3, 8}; /* mean 4, variance 26/3, unbiased 13 */
    float y[3];
    float deviation[1];
    float mean[1] = {10};
    float variance[1] = {2};
    layer_batch_norm_train(y, deviation, mean, variance, x, 3, 1);
    assert_near(mean[0], 0.9 * 10 + 0.1 * 4, 1e-6);
    assert_near(variance[0], 0.9 * 2 + 0.1 * 13, 1e-6);
    double std = sqrt(26.0 / 3 + 1e-4);
    assert_near(deviation[0], 1 / std, 1e-6);
    assert_near(y[2], 4 / std, 1e-6);
    layer_batch_norm_eval(y, mean, variance, x, 3, 1);
    assert_near(y[2], (8 - 9.4) / sqrt(3.1 + 1e-4), 1e-6);
}

static void batch_norm_of_a_constant_is_zero_and_finite(void **state)
{
    (void)state;
    float x[MOST];
    float y[MOST];
    float dy[MOST];
    float deviation[OUTPUTS];
    float running[2 * OUTPUTS] = {0};
    for (size_t i = 0; i < MOST; i++) {
        x[i] = 123.456F;
    }
    fill(dy, MOST, 1);
    layer_batch_norm_train(y, deviation, running, running + OUTPUTS, x, ROWS, OUTPUTS);
    layer_batch_norm_backward(dy, dy, y, deviation, ROWS, OUTPUTS);
    for (size_t i = 0; i < MOST; i++) {
        assert_true(y[i] == 0);
        assert_true(isfinite(dy[i]));
    }
}

/* ---- Activations ---- */

static void leaky_relu_of_x(float *y, const float *x, const float *unused)
{
    (void)unused;
    layer_leaky_relu_forward(y, x, MOST);
}

/* x is random, but farther from 0 than `margin`. */
static void check_activation(void (*of_x)(float *y, const float *x, const float *unused),
                             void (*backward)(float *dx, const float *dy, const float *y,
                                              size_t count),
                             float margin)
{
    float x[MOST];
    float y[MOST];
    float dy[MOST];
    float dx[MOST];
    fill(x, MOST, 1);
    fill(dy, MOST, 2);
    for (size_t i = 0; i < MOST; i++) {
        x[i] += x[i] > 0 ? margin : -margin;
    }
    of_x(y, x, NULL);
    backward(dx, dy, y, MOST);
    check_gradient(&(struct check){of_x, NULL, MOST}, x, dx, dy, MOST);
}

static void leaky_relu_gradient_is_the_slope(void **state)
{
    (void)state;
    check_activation(leaky_relu_of_x, layer_leaky_relu_backward, 2 * STEP); /* the kink */
}

static void leaky_relu_keeps_a_hundredth_of_what_is_negative(void **state)
{
    (void)state;
    float x[3] = {-2, 0, 3};
    layer_leaky_relu_forward(x, x, 3);
    assert_memory_equal(x, ((float[]){-0.02F, 0, 3}), sizeof x);
    float dy[3] = {5, 5, 5};
    layer_leaky_relu_backward(dy, dy, x, 3);
    assert_memory_equal(dy, ((float[]){0.01F * 5, 0.01F * 5, 5}), sizeof dy);
}

static void sigmoid_of_x(float *y, const float *x, const float *unused)
{
    (void)unused;
    layer_sigmoid_forward(y, x, MOST);
}

static void sigmoid_gradient_is_the_slope(void **state)
{
    (void)state;
    check_activation(sigmoid_of_x, layer_sigmoid_backward, 0);
}

static void sigmoid_is_that_of_the_c_library_everywhere(void **state)
{
    (void)state;
    for (double x = -120; x <= 120; x += 0.37) {
        float y[1];
        layer_sigmoid_forward(y, (float[]){(float)x}, 1);
        assert_near_floor(y[0], 1 / (1 + exp(-(double)(float)x)), 5e-7, 1e-30);
    }
    float extreme[4] = {-INFINITY, -3e38F, 3e38F, INFINITY};
    layer_sigmoid_forward(extreme, extreme, 4);
    assert_true(extreme[0] >= 0 && extreme[0] < 1e-37F && extreme[1] < 1e-37F);
    assert_true(extreme[2] == 1 && extreme[3] == 1);
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_gradients_are_the_slopes),
        cmocka_unit_test(dense_leaves_out_what_is_not_wanted),
        cmocka_unit_test(batch_norm_gradient_is_the_slope),
        cmocka_unit_test(batch_norm_moves_its_statistics_as_torch_does),
        cmocka_unit_test(batch_norm_of_a_constant_is_zero_and_finite),
        cmocka_unit_test(leaky_relu_gradient_is_the_slope),
        cmocka_unit_test(leaky_relu_keeps_a_hundredth_of_what_is_negative),
        cmocka_unit_test(sigmoid_gradient_is_the_slope),
        cmocka_unit_test(sigmoid_is_that_of_the_c_library_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
