/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "nn/network.h"

static const size_t widths[] = {32, 16, 8};

static struct network_shape shape_of(bool bias, bool batch_norm)
{
    static struct architecture form;
    architecture_dense(&form, widths, 3);
    return (struct network_shape){.input = {9, 1, 1},
                                  .architecture = &form,
                                  .bias = bias,
                                  .batch_norm = batch_norm};
}

static struct network *encoder(bool bias, bool batch_norm, uint64_t seed)
{
    struct network_shape shape = shape_of(bias, batch_norm);
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, seed, 0);
    assert_int_equal(network_new_encoder(&network, &shape, &rng, NULL), DEEPSAD_OK);
    return network;
}

static struct network *autoencoder(bool bias, bool sigmoid, uint64_t seed)
{
    struct network_shape shape = shape_of(bias, true);
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, seed, 0);
    assert_int_equal(network_new_autoencoder(&network, &shape, sigmoid, &rng, NULL),
                     DEEPSAD_OK);
    return network;
}

struct expected {
    enum layer_kind kind;
    size_t inputs, outputs;
};

static void assert_layers(const struct network *network, const struct expected *expected,
                          size_t count)
{
    assert_int_equal(network->layer_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(network->layers[i].kind, expected[i].kind);
        assert_int_equal(network->layers[i].inputs, expected[i].inputs);
        assert_int_equal(network->layers[i].outputs, expected[i].outputs);
    }
}

static const struct expected layers[] = {
    {LAYER_DENSE, 9, 32},       {LAYER_BATCH_NORM, 32, 32}, {LAYER_LEAKY_RELU, 32, 32},
    {LAYER_DENSE, 32, 16},      {LAYER_BATCH_NORM, 16, 16}, {LAYER_LEAKY_RELU, 16, 16},
    {LAYER_DENSE, 16, 8},       {LAYER_DENSE, 8, 16},       {LAYER_BATCH_NORM, 16, 16},
    {LAYER_LEAKY_RELU, 16, 16}, {LAYER_DENSE, 16, 32},      {LAYER_BATCH_NORM, 32, 32},
    {LAYER_LEAKY_RELU, 32, 32}, {LAYER_DENSE, 32, 9},       {LAYER_SIGMOID, 9, 9},
};

static void an_encoder_ends_in_a_dense_layer_without_activation(void **state)
{
    (void)state;
    struct network *network = encoder(false, true, 1);
    assert_layers(network, layers, 7);
    assert_int_equal(network->inputs, 9);
    assert_int_equal(network->outputs, 8);
    assert_int_equal(network->param_count, 9 * 32 + 32 * 16 + 16 * 8);
    assert_int_equal(network->state_count, 2 * (32 + 16));
    network_free(network);
}

static void an_autoencoder_goes_on_with_the_mirror(void **state)
{
    (void)state;
    struct network *network = autoencoder(false, true, 1);
    assert_layers(network, layers, 15);
    assert_int_equal(network->outputs, 9);
    network_free(network);
    network = autoencoder(false, false, 1);
    assert_layers(network, layers, 14);
    network_free(network);
}

static void a_network_may_do_without_batch_norm_and_with_bias(void **state)
{
    (void)state;
    struct network *network = encoder(true, false, 1);
    const struct expected plain[] = {layers[0], layers[2], layers[3], layers[5],
                                     layers[6]};
    assert_layers(network, plain, 5);
    assert_int_equal(network->param_count, 9 * 32 + 32 * 16 + 16 * 8 + 32 + 16 + 8);
    assert_int_equal(network->state_count, 0);
    network_free(network);
}

/* Each parameter belongs to one layer. */
static void offsets_divide_the_block(void **state)
{
    (void)state;
    struct network *network = encoder(true, true, 1);
    memset(network->params, 0, network->param_count * sizeof *network->params);
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->kind != LAYER_DENSE) {
            continue;
        }
        for (size_t j = 0; j < layer->inputs * layer->outputs; j++) {
            network->params[layer->weight + j] += 1;
        }
        for (size_t j = 0; j < layer->outputs; j++) {
            network->params[layer->bias + j] += 1;
        }
    }
    for (size_t i = 0; i < network->param_count; i++) {
        assert_true(network->params[i] == 1);
    }
    network_free(network);
}

static void weights_are_uniform_within_one_over_the_root_of_the_inputs(void **state)
{
    (void)state;
    struct network *network = encoder(true, true, 1);
    const struct layer *layer = &network->layers[3]; /* 32 to 16 */
    double squares = 0;
    for (size_t i = 0; i < 32 * 16; i++) {
        double weight = (double)network->params[layer->weight + i];
        assert_true(fabs(weight) <= 1 / sqrt(32));
        squares += weight * weight;
    }
    assert_near(squares / (32 * 16), 1.0 / (3 * 32), 0.15); /* variance of a uniform */
    for (size_t i = 0; i < 16; i++) {
        float bias = network->params[layer->bias + i];
        assert_true(bias != 0 && fabs((double)bias) <= 1 / sqrt(32));
    }
    network_free(network);
}

static void running_statistics_start_at_mean_0_and_variance_1(void **state)
{
    (void)state;
    struct network *network = encoder(false, true, 1);
    const struct layer *layer = &network->layers[4];
    for (size_t j = 0; j < layer->outputs; j++) {
        assert_true(network->state[layer->mean + j] == 0);
        assert_true(network->state[layer->variance + j] == 1);
    }
    network_free(network);
}

static void the_same_seed_gives_the_same_weights_and_another_seed_others(void **state)
{
    (void)state;
    struct network *a = encoder(false, true, 7);
    struct network *b = encoder(false, true, 7);
    struct network *c = encoder(false, true, 8);
    assert_memory_equal(a->params, b->params, a->param_count * sizeof *a->params);
    assert_memory_not_equal(a->params, c->params, a->param_count * sizeof *a->params);
    network_free(a);
    network_free(b);
    network_free(c);
}

static void the_encoder_is_copied_with_weights_and_statistics(void **state)
{
    (void)state;
    struct network *from = autoencoder(true, true, 1);
    struct network *to = encoder(true, true, 2);
    for (size_t i = 0; i < from->state_count; i++) {
        from->state[i] = 100 + (float)i;
    }
    network_copy_encoder(to, from);
    for (size_t i = 0; i < to->layer_count; i++) {
        const struct layer *a = &from->layers[i];
        const struct layer *b = &to->layers[i];
        if (a->kind == LAYER_DENSE) {
            assert_memory_equal(to->params + b->weight, from->params + a->weight,
                                a->inputs * a->outputs * sizeof(float));
            assert_memory_equal(to->params + b->bias, from->params + a->bias,
                                a->outputs * sizeof(float));
        }
        if (a->kind == LAYER_BATCH_NORM) {
            assert_memory_equal(to->state + b->mean, from->state + a->mean,
                                a->outputs * sizeof(float));
            assert_memory_equal(to->state + b->variance, from->state + a->variance,
                                a->outputs * sizeof(float));
        }
    }
    network_free(from);
    network_free(to);
}

static void shapes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct network *network = NULL;
    struct deepsad_error error = {0};
    struct architecture form;
    architecture_dense(&form, (size_t[]){4, 0}, 2);
    struct network_shape shape = {.input = {3, 1, 1}, .architecture = &form};
    assert_int_equal(network_new_encoder(&network, &shape, &rng, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "widths of at least 1");
    form.encoder_count = 0;
    assert_int_equal(network_new_autoencoder(&network, &shape, true, &rng, NULL),
                     DEEPSAD_INVALID);
    architecture_dense(&form, (size_t[]){4, 2}, 2);
    shape.input.channels = SIZE_MAX / 2;
    assert_int_equal(network_new_encoder(&network, &shape, &rng, NULL), DEEPSAD_INVALID);
    assert_null(network);
    network_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_encoder_ends_in_a_dense_layer_without_activation),
        cmocka_unit_test(an_autoencoder_goes_on_with_the_mirror),
        cmocka_unit_test(a_network_may_do_without_batch_norm_and_with_bias),
        cmocka_unit_test(offsets_divide_the_block),
        cmocka_unit_test(weights_are_uniform_within_one_over_the_root_of_the_inputs),
        cmocka_unit_test(running_statistics_start_at_mean_0_and_variance_1),
        cmocka_unit_test(the_same_seed_gives_the_same_weights_and_another_seed_others),
        cmocka_unit_test(the_encoder_is_copied_with_weights_and_statistics),
        cmocka_unit_test(shapes_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
