/* SPDX-License-Identifier: Apache-2.0 */
#include "../image_networks.h"

#include <float.h>

#include "nn/tape.h"

enum { ROWS = 60 };

/* The distances and outputs of some rows, against the oracle's. */
static void check_encoder(const struct image_case *c, size_t every)
{
    struct image_network f;
    float distance[ROWS];
    image_network_make(&f, c, IMAGE_ENCODER, ROWS);
    folded_distance(f.folded, f.center, distance, f.x, ROWS, f.scratch);
    for (size_t i = 0; i < ROWS; i += every) {
        const float *row = f.x + i * f.network->inputs;
        assert_near_floor(distance[i], naive_value(&f, f.center, row, 0, 0), 2e-5, 0.1);
    }
    image_network_done(&f);
}

static void check_autoencoder(const struct image_case *c, enum image_network_kind kind,
                              size_t every)
{
    struct image_network f;
    float error[ROWS];
    image_network_make(&f, c, kind, ROWS);
    folded_reconstruction(f.folded, error, f.x, ROWS, f.scratch);
    for (size_t i = 0; i < ROWS; i += every) {
        const float *row = f.x + i * f.network->inputs;
        assert_near_floor(error[i], naive_value(&f, NULL, row, 0, 0), 2e-5, 0.1);
    }
    image_network_done(&f);
}

static void the_papers_encoders_agree_with_a_naive_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENETS; i++) {
        check_encoder(&lenets[i], 29);
    }
}

static void the_papers_autoencoders_agree_with_a_naive_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENETS; i++) {
        check_autoencoder(&lenets[i], IMAGE_AUTOENCODER_SIGMOID, 31);
    }
}

static void networks_of_odd_shapes_agree_with_a_naive_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < ODD_CASES; i++) {
        check_encoder(&odd_cases[i], 5);
        check_autoencoder(&odd_cases[i], IMAGE_AUTOENCODER, 5);
        check_autoencoder(&odd_cases[i], IMAGE_AUTOENCODER_SIGMOID, 5);
    }
}

static void outputs_are_images_as_torch_has_them(void **state)
{
    (void)state;
    struct image_network f;
    image_network_make(&f, &odd_cases[1], IMAGE_AUTOENCODER, 2);
    size_t width = f.network->inputs;
    float *out = image_floats(2 * width);
    double row[1024];
    for (size_t i = 0; i < width; i++) {
        row[i] = (double)f.x[width + i];
    }
    folded_forward(f.folded, out, f.x, 2, f.scratch);
    double *expected = naive_forward(f.network, row);
    for (size_t i = 0; i < width; i++) {
        assert_near_floor(out[width + i], expected[i], 1e-5, 1);
    }
    free(expected);
    free(out);
    image_network_done(&f);
}

static void check_tape(const struct image_case *c, enum image_network_kind kind)
{
    enum { TAPE_ROWS = 20 };
    struct image_network f;
    struct tape *tape = NULL;
    image_network_make(&f, c, kind, TAPE_ROWS);
    size_t count = TAPE_ROWS * f.network->outputs;
    float *out = image_floats(count);
    assert_int_equal(tape_new(&tape, f.network, TAPE_ROWS, NULL, NULL), DEEPSAD_OK);
    const float *expected = tape_forward_eval(tape, f.network, f.x, TAPE_ROWS);
    folded_forward(f.folded, out, f.x, TAPE_ROWS, f.scratch);
    for (size_t i = 0; i < count; i++) {
        assert_near_floor(out[i], expected[i], 2e-5, 1);
    }
    tape_free(tape);
    free(out);
    image_network_done(&f);
}

static void folded_networks_agree_with_the_tape_in_eval_mode(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENETS; i++) {
        check_tape(&lenets[i], IMAGE_ENCODER);
        check_tape(&lenets[i], IMAGE_AUTOENCODER_SIGMOID);
    }
    for (size_t i = 0; i < ODD_CASES; i++) {
        check_tape(&odd_cases[i], IMAGE_AUTOENCODER);
    }
}

static void check_batches(const struct image_case *c)
{
    struct image_network f;
    float all[ROWS], some[ROWS];
    image_network_make(&f, c, IMAGE_ENCODER, ROWS);
    folded_distance(f.folded, f.center, all, f.x, ROWS, f.scratch);
    const size_t batches[] = {1, 2, 3, 5, 6, 7, 13, 49};
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
        folded_distance(f.folded, f.center, some, f.x + b * f.network->inputs, batches[b],
                        f.scratch);
        assert_memory_equal(some, all + b, batches[b] * sizeof *some);
    }
    image_network_done(&f);
}

static void an_image_scores_the_same_bits_in_any_batch(void **state)
{
    (void)state;
    check_batches(&lenets[0]);
    check_batches(&lenets[1]);
    for (size_t i = 0; i < ODD_CASES; i++) {
        check_batches(&odd_cases[i]);
    }
}

static void scratch_stays_modest(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENETS; i++) {
        struct image_network f;
        image_network_make(&f, &lenets[i], IMAGE_AUTOENCODER_SIGMOID, 1);
        assert_true(folded_scratch(f.folded) * sizeof(float) < 4 << 20);
        image_network_done(&f);
    }
}

static void overflow_is_the_largest_distance(void **state)
{
    (void)state;
    struct image_network f;
    float distance[2];
    image_network_make(&f, &lenets[0], IMAGE_ENCODER, 2);
    for (size_t i = 0; i < f.network->inputs; i++) {
        f.x[i] = (i % 3 == 0 ? -1 : 1) * FLT_MAX;
    }
    folded_distance(f.folded, f.center, distance, f.x, 2, f.scratch);
    assert_true(distance[0] == FLT_MAX);
    const float *second = f.x + f.network->inputs;
    assert_near(distance[1], naive_value(&f, f.center, second, 0, 0), 1e-4);
    image_network_done(&f);
}

/* ---- What cannot be folded ---- */

static void assert_refused(struct layer *layers, size_t count, int status,
                           const char *words)
{
    struct network network = {.inputs = layers[0].inputs,
                              .outputs = layers[count - 1].outputs,
                              .layer_count = count,
                              .layers = layers};
    float values[64] = {0};
    struct folded *folded = NULL;
    struct deepsad_error error = {0};
    network.params = network.state = values;
    assert_int_equal(folded_from_network(&folded, &network, &error), status);
    assert_error_says(error, words);
    assert_null(folded);
}

static struct layer layer_of(enum layer_kind kind, struct image_shape in,
                             struct image_shape out)
{
    return (struct layer){.kind = kind,
                          .inputs = image_size(in),
                          .outputs = image_size(out),
                          .in = in,
                          .out = out,
                          .kernel = 3,
                          .padding = 1,
                          .bias = SIZE_MAX};
}

static const struct image_shape four = {1, 4, 4}, two = {1, 2, 2};

static void orders_of_layers_that_no_step_covers_are_refused(void **state)
{
    (void)state;
    struct layer norm_after_pool[] = {layer_of(LAYER_CONV, four, four),
                                      layer_of(LAYER_MAX_POOL, four, two),
                                      layer_of(LAYER_BATCH_NORM, two, two)};
    assert_refused(
        norm_after_pool, 3, DEEPSAD_UNSUPPORTED,
        "layer 2 of the network, a batch norm, cannot be scored after a max pool");
    struct layer two_activations[] = {
        layer_of(LAYER_CONV, four, four), layer_of(LAYER_LEAKY_RELU, four, four),
        layer_of(LAYER_MAX_POOL, four, two), layer_of(LAYER_SIGMOID, two, two)};
    assert_refused(two_activations, 4, DEEPSAD_UNSUPPORTED, "layer 3");
    struct layer activation_first[] = {layer_of(LAYER_MAX_POOL, four, two),
                                       layer_of(LAYER_SIGMOID, two, two)};
    assert_refused(activation_first, 2, DEEPSAD_UNSUPPORTED, "layer 1");
    assert_refused(activation_first + 1, 1, DEEPSAD_UNSUPPORTED, "as the first");
}

static void shapes_that_do_not_follow_from_each_other_are_refused(void **state)
{
    (void)state;
    struct layer gap[] = {layer_of(LAYER_CONV, four, four),
                          layer_of(LAYER_CONV, two, two)};
    assert_refused(gap, 2, DEEPSAD_INVALID, "layer 1");
    struct layer shrinks[] = {layer_of(LAYER_CONV, four, two)};
    assert_refused(shrinks, 1, DEEPSAD_INVALID, "layer 0");
    struct layer upsample[] = {layer_of(LAYER_UPSAMPLE, four, four)};
    assert_refused(upsample, 1, DEEPSAD_INVALID, "an upsampling");
}

static void an_activation_after_a_pool_is_folded_into_the_layer_before(void **state)
{
    (void)state;
    struct layer layers[] = {layer_of(LAYER_CONV, four, four),
                             layer_of(LAYER_MAX_POOL, four, two),
                             layer_of(LAYER_LEAKY_RELU, two, two)};
    float weights[9], x[16], out[4];
    struct network network = {.inputs = 16,
                              .outputs = 4,
                              .layer_count = 3,
                              .layers = layers,
                              .params = weights};
    struct image_network f = {.network = &network};
    double row[16];
    for (size_t i = 0; i < 16; i++) {
        x[i] = (float)(i % 5) - 2;
        row[i] = (double)x[i];
        weights[i % 9] = 0.3F * (float)(i % 4) - 0.5F;
    }
    assert_int_equal(folded_from_network(&f.folded, &network, NULL), DEEPSAD_OK);
    f.scratch = image_floats(folded_scratch(f.folded));
    folded_forward(f.folded, out, x, 1, f.scratch);
    double *expected = naive_forward(&network, row);
    for (size_t i = 0; i < 4; i++) {
        assert_near_floor(out[i], expected[i], 1e-6, 1);
    }
    free(expected);
    free(f.scratch);
    folded_free(f.folded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_papers_encoders_agree_with_a_naive_loop),
        cmocka_unit_test(the_papers_autoencoders_agree_with_a_naive_loop),
        cmocka_unit_test(networks_of_odd_shapes_agree_with_a_naive_loop),
        cmocka_unit_test(outputs_are_images_as_torch_has_them),
        cmocka_unit_test(folded_networks_agree_with_the_tape_in_eval_mode),
        cmocka_unit_test(an_image_scores_the_same_bits_in_any_batch),
        cmocka_unit_test(scratch_stays_modest),
        cmocka_unit_test(overflow_is_the_largest_distance),
        cmocka_unit_test(orders_of_layers_that_no_step_covers_are_refused),
        cmocka_unit_test(shapes_that_do_not_follow_from_each_other_are_refused),
        cmocka_unit_test(an_activation_after_a_pool_is_folded_into_the_layer_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
