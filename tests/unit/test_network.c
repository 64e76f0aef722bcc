/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "nn/architecture_parse.h"
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

/* ---- Images ---- */

static struct network *of_text(const char *text, struct image_shape input,
                               bool autoencoder_too)
{
    struct architecture form;
    assert_int_equal(architecture_parse(&form, text, NULL), DEEPSAD_OK);
    struct network_shape shape = {input, &form, false, true};
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 3, 0);
    int status = autoencoder_too
                     ? network_new_autoencoder(&network, &shape, true, &rng, NULL)
                     : network_new_encoder(&network, &shape, &rng, NULL);
    assert_int_equal(status, DEEPSAD_OK);
    return network;
}

struct expected_image {
    enum layer_kind kind;
    struct image_shape in, out;
};

static void assert_images(const struct network *network, size_t first,
                          const struct expected_image *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct layer *layer = &network->layers[first + i];
        assert_int_equal(layer->kind, expected[i].kind);
        assert_memory_equal(&layer->in, &expected[i].in, sizeof layer->in);
        assert_memory_equal(&layer->out, &expected[i].out, sizeof layer->out);
        assert_int_equal(layer->inputs, image_size(layer->in));
        assert_int_equal(layer->outputs, image_size(layer->out));
    }
}

static void an_encoders_images_become_rows_before_its_dense_layers(void **state)
{
    (void)state;
    const struct expected_image expected[] = {
        {LAYER_CONV, {1, 28, 28}, {16, 28, 28}},
        {LAYER_BATCH_NORM, {16, 28, 28}, {16, 28, 28}},
        {LAYER_LEAKY_RELU, {16, 28, 28}, {16, 28, 28}},
        {LAYER_MAX_POOL, {16, 28, 28}, {16, 14, 14}},
        {LAYER_CONV, {16, 14, 14}, {32, 14, 14}},
        {LAYER_BATCH_NORM, {32, 14, 14}, {32, 14, 14}},
        {LAYER_LEAKY_RELU, {32, 14, 14}, {32, 14, 14}},
        {LAYER_MAX_POOL, {32, 14, 14}, {32, 7, 7}},
        {LAYER_DENSE, {1568, 1, 1}, {128, 1, 1}},
        {LAYER_BATCH_NORM, {128, 1, 1}, {128, 1, 1}},
        {LAYER_LEAKY_RELU, {128, 1, 1}, {128, 1, 1}},
        {LAYER_DENSE, {128, 1, 1}, {64, 1, 1}},
    };
    struct network *network =
        of_text("fashion-mnist-lenet", (struct image_shape){1, 28, 28}, false);
    assert_int_equal(network->layer_count, 12);
    assert_images(network, 0, expected, 12);
    assert_int_equal(network->param_count,
                     25 * 16 + 25 * 16 * 32 + 1568 * 128 + 128 * 64);
    assert_int_equal(network->state_count, 2 * (16 + 32 + 128));
    network_free(network);
}

static void a_decoder_views_rows_as_images_and_ends_in_the_inputs_shape(void **state)
{
    (void)state;
    const struct expected_image expected[] = {
        {LAYER_LEAKY_RELU, {2, 4, 4}, {2, 4, 4}},
        {LAYER_UPSAMPLE, {2, 4, 4}, {2, 8, 8}},
        {LAYER_CONV, {2, 8, 8}, {4, 8, 8}},
        {LAYER_BATCH_NORM, {4, 8, 8}, {4, 8, 8}},
        {LAYER_LEAKY_RELU, {4, 8, 8}, {4, 8, 8}},
        {LAYER_UPSAMPLE, {4, 8, 8}, {4, 16, 16}},
        {LAYER_CONV, {4, 16, 16}, {8, 14, 14}},
        {LAYER_BATCH_NORM, {8, 14, 14}, {8, 14, 14}},
        {LAYER_LEAKY_RELU, {8, 14, 14}, {8, 14, 14}},
        {LAYER_UPSAMPLE, {8, 14, 14}, {8, 28, 28}},
        {LAYER_CONV, {8, 28, 28}, {1, 28, 28}},
        {LAYER_SIGMOID, {1, 28, 28}, {1, 28, 28}},
    };
    struct network *network =
        of_text("mnist-lenet", (struct image_shape){1, 28, 28}, true);
    assert_int_equal(network->layer_count, 9 + 12);
    assert_images(network, 9, expected, 12);
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        assert_int_equal(layer->transposed, layer->kind == LAYER_CONV && i >= 9);
        assert_int_equal(layer->padding, layer->kind != LAYER_CONV ? 0 : i == 15 ? 3 : 2);
    }
    network_free(network);
}

/* A mirror over odd sides, with batch norm over the rows before they are an image. */
static void the_mirror_of_a_list_of_steps_ends_in_the_inputs_shape(void **state)
{
    (void)state;
    const struct expected_image expected[] = {
        {LAYER_DENSE, {6, 1, 1}, {60, 1, 1}},
        {LAYER_BATCH_NORM, {60, 1, 1}, {60, 1, 1}},
        {LAYER_LEAKY_RELU, {60, 1, 1}, {60, 1, 1}},
        {LAYER_UPSAMPLE, {5, 4, 3}, {5, 9, 7}},
        {LAYER_CONV, {5, 9, 7}, {2, 9, 7}},
        {LAYER_SIGMOID, {2, 9, 7}, {2, 9, 7}},
    };
    struct network *network =
        of_text("conv3x3:5,pool,rep:6", (struct image_shape){2, 9, 7}, true);
    assert_int_equal(network->layer_count, 5 + 6);
    assert_images(network, 5, expected, 6);
    network_free(network);
}

/* All weights of a layer within the bound, and of a uniform's variance. */
static void assert_uniform(const struct network *network, size_t at, double bound)
{
    const struct layer *layer = &network->layers[at];
    assert_int_equal(layer->kind, LAYER_CONV);
    size_t count = layer->in.channels * layer->out.channels * 25;
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double weight = (double)network->params[layer->weight + i];
        assert_true(fabs(weight) <= bound * (1 + 1e-6));
        squares += weight * weight;
    }
    assert_near(squares / (double)count, bound * bound / 3, 0.15);
}

static void convolutions_are_drawn_as_torch_draws_them(void **state)
{
    (void)state;
    struct network *network =
        of_text("fashion-mnist-lenet", (struct image_shape){1, 28, 28}, true);
    assert_uniform(network, 0, 1 / sqrt(25));
    assert_uniform(network, 4, 1 / sqrt(16 * 25));
    assert_uniform(network, 16, 1 / sqrt(32 * 25)); /* transposed, 8 to 32 channels */
    assert_uniform(network, 20, 1 / sqrt(16 * 25));
    network_free(network);
    network = of_text("cifar-10-lenet", (struct image_shape){3, 32, 32}, true);
    double gain = sqrt(2 / 1.0001);
    assert_uniform(network, 8, 1 / sqrt(64 * 25));
    assert_uniform(network, 14, gain * sqrt(6.0 / ((8 + 128) * 25)));
    assert_uniform(network, 18, gain * sqrt(6.0 / ((128 + 64) * 25)));
    network_free(network);
}

static void each_weight_of_a_lenet_belongs_to_one_layer(void **state)
{
    (void)state;
    struct network *network =
        of_text("cifar-10-lenet", (struct image_shape){3, 32, 32}, true);
    size_t params = 0;
    size_t statistics = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->kind == LAYER_BATCH_NORM) {
            assert_int_equal(layer->mean, statistics);
            assert_int_equal(layer->variance, statistics + layer->out.channels);
            statistics += 2 * layer->out.channels;
        } else if (layer->kind == LAYER_CONV || layer->kind == LAYER_DENSE) {
            assert_int_equal(layer->weight, params);
            params += layer->kind == LAYER_DENSE
                          ? layer->inputs * layer->outputs
                          : layer->in.channels * layer->out.channels * 25;
        }
    }
    assert_int_equal(params, network->param_count);
    assert_int_equal(statistics, network->state_count);
    network_free(network);
}

static void an_autoencoder_of_images_begins_with_the_encoder(void **state)
{
    (void)state;
    const struct image_shape input = {1, 28, 28};
    struct network *from = of_text("fashion-mnist-lenet", input, true);
    struct network *to = of_text("fashion-mnist-lenet", input, false);
    for (size_t i = 0; i < to->layer_count; i++) {
        assert_int_equal(to->layers[i].kind, from->layers[i].kind);
        assert_int_equal(to->layers[i].weight, from->layers[i].weight);
        assert_int_equal(to->layers[i].variance, from->layers[i].variance);
    }
    memset(to->params, 0, to->param_count * sizeof *to->params);
    from->state[3] = 7;
    network_copy_encoder(to, from);
    assert_memory_equal(to->params, from->params, to->param_count * sizeof *to->params);
    assert_memory_equal(to->state, from->state, to->state_count * sizeof *to->state);
    network_free(from);
    network_free(to);
}

static void a_classifier_ends_in_one_logit_with_a_bias(void **state)
{
    (void)state;
    struct network_shape shape = shape_of(false, true);
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 1, 0);
    assert_int_equal(network_new_classifier(&network, &shape, &rng, NULL), DEEPSAD_OK);
    assert_int_equal(network->layer_count, 9);
    assert_int_equal(network->layers[7].kind, LAYER_LEAKY_RELU);
    assert_int_equal(network->layers[8].kind, LAYER_DENSE);
    assert_int_equal(network->outputs, 1);
    assert_true(network->layers[6].bias == SIZE_MAX);
    assert_int_equal(network->layers[8].bias, network->param_count - 1);
    network_free(network);
}

static void weights_stay_when_training_has_ended(void **state)
{
    (void)state;
    struct network *network = encoder(false, true, 1);
    struct network *same = encoder(false, true, 1);
    network_end_training(network);
    network_end_training(network); /* changes nothing more */
    assert_null(network->grads);
    assert_memory_equal(network->params, same->params,
                        network->param_count * sizeof *network->params);
    network_free(network);
    network_free(same);
}

static void an_architecture_that_does_not_fit_the_input_is_refused(void **state)
{
    (void)state;
    struct architecture form;
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 1, 0);
    assert_int_equal(architecture_parse(&form, "cifar-10-lenet", NULL), DEEPSAD_OK);
    struct network_shape shape = {{1, 28, 28}, &form, false, true};
    struct deepsad_error error = {0};
    assert_int_equal(network_new_autoencoder(&network, &shape, true, &rng, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "cifar-10-lenet is made for images of 3 x 32 x 32");
    assert_int_equal(network_new_encoder(&network, &shape, &rng, NULL), DEEPSAD_INVALID);
    assert_int_equal(network_new_classifier(&network, &shape, &rng, NULL),
                     DEEPSAD_INVALID);
    assert_null(network);
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
        cmocka_unit_test(an_encoders_images_become_rows_before_its_dense_layers),
        cmocka_unit_test(a_decoder_views_rows_as_images_and_ends_in_the_inputs_shape),
        cmocka_unit_test(the_mirror_of_a_list_of_steps_ends_in_the_inputs_shape),
        cmocka_unit_test(convolutions_are_drawn_as_torch_draws_them),
        cmocka_unit_test(each_weight_of_a_lenet_belongs_to_one_layer),
        cmocka_unit_test(an_autoencoder_of_images_begins_with_the_encoder),
        cmocka_unit_test(a_classifier_ends_in_one_logit_with_a_bias),
        cmocka_unit_test(weights_stay_when_training_has_ended),
        cmocka_unit_test(an_architecture_that_does_not_fit_the_input_is_refused),
        cmocka_unit_test(shapes_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
