/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "model/network_cost.h"
#include "nn/architecture_parse.h"
#include "nn/lanes.h"

static int cost_of(struct network_cost *cost, const char *text, struct image_shape input,
                   bool decoder, struct deepsad_error *error)
{
    struct architecture architecture;
    assert_int_equal(architecture_parse(&architecture, text, error), DEEPSAD_OK);
    return network_cost_architecture(cost, &architecture, input, decoder, error);
}

/* conv 25 * 16 weights at 28 * 28 places, 16 * 25 * 32 at 14 * 14, dense 1568 * 128 and
 * 128 * 64 */
static void the_cost_of_a_lenet_is_that_of_its_layers(void **state)
{
    (void)state;
    struct network_cost cost;
    struct deepsad_error error = {0};
    const struct image_shape input = {1, 28, 28};
    assert_int_equal(cost_of(&cost, "fashion-mnist-lenet", input, false, &error), 0);
    assert_near(cost.weights, 400 + 12800 + 1568 * 128 + 128 * 64, 1e-9);
    assert_near(cost.products, 400 * 784.0 + 12800 * 196.0 + 1568 * 128 + 128 * 64, 1e-9);
}

/* dense 64 * 128, deconvs 8 * 32 and 32 * 16 of 25 at 8 * 8 and 14 * 14, 16 * 25 at 28^2
 */
static void a_decoder_is_counted_where_it_is_asked_for(void **state)
{
    (void)state;
    struct network_cost encoder, both;
    struct deepsad_error error = {0};
    const struct image_shape input = {1, 28, 28};
    assert_int_equal(cost_of(&encoder, "fashion-mnist-lenet", input, false, &error), 0);
    assert_int_equal(cost_of(&both, "fashion-mnist-lenet", input, true, &error), 0);
    assert_near(both.weights - encoder.weights, 8192 + 25 * (256 + 512 + 16), 1e-9);
    assert_near(both.products - encoder.products,
                8192 + 25 * (256 * 64.0 + 512 * 196.0 + 16 * 784.0), 1e-9);
}

static void dense_networks_cost_their_weights(void **state)
{
    (void)state;
    struct network_cost cost;
    struct deepsad_error error = {0};
    const struct image_shape row = {9, 1, 1};
    assert_int_equal(cost_of(&cost, "dense:128,rep:64", row, true, &error), DEEPSAD_OK);
    assert_near(cost.weights, 2 * (9 * 128 + 128 * 64), 1e-9);
    assert_near(cost.products, cost.weights, 1e-9);
}

static void what_no_machine_holds_is_refused(void **state)
{
    (void)state;
    struct network_cost cost;
    struct deepsad_error error = {0};
    const struct image_shape small = {1, 12, 12}, large = {1, 512, 512};
    assert_int_equal(cost_of(&cost, "conv:128,rep:8", large, false, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "step 1 makes 128 x 512 x 512 values");
    error = (struct deepsad_error){0};
    assert_int_equal(
        cost_of(&cost, "conv1x1:65536,conv1x1:65536,rep:8", small, false, &error),
        DEEPSAD_INVALID);
    assert_error_says(error, "step 2 brings the weights to 4.3e+09");
}

/* By hand: 8 x 6 x 6 and 8 x 3 x 3 values, 200 filters' weights, 72 * 4 of rep */
static void training_takes_memory_for_values_weights_and_sums_by_group(void **state)
{
    (void)state;
    struct network_cost cost;
    struct deepsad_error error = {0};
    const struct image_shape input = {1, 6, 6};
    assert_int_equal(cost_of(&cost, "conv:8,pool,rep:4", input, false, &error), 0);
    assert_near(cost.values, 288 + 72 + 4, 1e-9);
    assert_near(cost.filters, 200, 1e-9);
    assert_near(network_cost_memory(&cost, 32),
                4 * (2 * 364 * 32 + 4 * 488 + 200 * 32 / LANES), 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cost_of_a_lenet_is_that_of_its_layers),
        cmocka_unit_test(a_decoder_is_counted_where_it_is_asked_for),
        cmocka_unit_test(dense_networks_cost_their_weights),
        cmocka_unit_test(what_no_machine_holds_is_refused),
        cmocka_unit_test(training_takes_memory_for_values_weights_and_sums_by_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
