/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "nn/optimizer.h"

enum { COUNT = 19, STEPS = 50 };

static float gradient(size_t step, size_t i)
{
    return sinf((float)(step * 7 + i * 3)) * (float)(i + 1) * 0.1F;
}

/* The formulas of torch.optim in double, one parameter. */
struct adam {
    double param, first, second;
};

static void adam_step(struct adam *adam, double grad, size_t step, double rate,
                      double decay, bool decoupled)
{
    if (decoupled) {
        adam->param *= 1 - rate * decay;
    } else {
        grad += decay * adam->param;
    }
    adam->first = 0.9 * adam->first + 0.1 * grad;
    adam->second = 0.999 * adam->second + 0.001 * grad * grad;
    double corrected = sqrt(adam->second) / sqrt(1 - pow(0.999, (double)step + 1));
    adam->param -=
        rate / (1 - pow(0.9, (double)step + 1)) * adam->first / (corrected + 1e-8);
}

static void check(float decay, bool decoupled)
{
    float params[COUNT];
    struct adam expected[COUNT] = {{0}};
    for (size_t i = 0; i < COUNT; i++) {
        params[i] = 1 - 0.1F * (float)i;
        expected[i].param = (double)params[i];
    }
    struct optimizer *optimizer = NULL;
    assert_int_equal(optimizer_new(&optimizer, COUNT, decay, decoupled, NULL), 0);
    for (size_t step = 0; step < STEPS; step++) {
        double rate = step < 25 ? 1e-2 : 1e-3;
        float grads[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            grads[i] = gradient(step, i);
            adam_step(&expected[i], (double)grads[i], step, rate, (double)decay,
                      decoupled);
        }
        optimizer_step(optimizer, params, grads, rate);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_near_floor(params[i], expected[i].param, 1e-5, 0.1);
    }
    optimizer_free(optimizer);
}

static void adam_is_that_of_torch(void **state)
{
    (void)state;
    check(0, false);
}

static void l2_decay_goes_through_the_moments(void **state)
{
    (void)state;
    check(0.3F, false);
}

static void decoupled_decay_does_not(void **state)
{
    (void)state;
    check(0.3F, true);
}

static void without_a_gradient_only_decoupled_decay_moves_weights(void **state)
{
    (void)state;
    float param[1] = {2};
    const float none[1] = {0};
    struct optimizer *optimizer = NULL;
    assert_int_equal(optimizer_new(&optimizer, 1, 0.5F, true, NULL), DEEPSAD_OK);
    optimizer_step(optimizer, param, none, 0.1);
    assert_near(param[0], 2 * (1 - 0.1 * 0.5), 1e-6);
    optimizer_free(optimizer);
}

static void the_first_step_is_the_learning_rate_whatever_the_gradient(void **state)
{
    (void)state;
    float params[2] = {0, 0};
    struct optimizer *optimizer = NULL;
    assert_int_equal(optimizer_new(&optimizer, 2, 0, false, NULL), DEEPSAD_OK);
    optimizer_step(optimizer, params, (float[]){1e-3F, -1e6F}, 0.25);
    assert_near(params[0], -0.25, 1e-4);
    assert_near(params[1], 0.25, 1e-4);
    optimizer_free(optimizer);
    optimizer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_is_that_of_torch),
        cmocka_unit_test(l2_decay_goes_through_the_moments),
        cmocka_unit_test(decoupled_decay_does_not),
        cmocka_unit_test(without_a_gradient_only_decoupled_decay_moves_weights),
        cmocka_unit_test(the_first_step_is_the_learning_rate_whatever_the_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
