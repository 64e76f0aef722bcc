/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle is central differences of a naive loop in double. */
#include "../image_networks.h"

#include "nn/folded_gradient.h"

enum { ROWS = FOLDED_GRADIENT_ROWS };

struct fixture {
    struct image_network net;
    struct folded_gradient out;
    float *scratch;
};

static void make(struct fixture *f, const struct image_case *c,
                 enum image_network_kind kind)
{
    image_network_make(&f->net, c, kind, ROWS);
    size_t inputs = f->net.network->inputs;
    f->out.value = image_floats(ROWS);
    f->out.gradient = image_floats(ROWS * inputs);
    f->scratch = image_floats(folded_gradient_scratch(f->net.folded));
    memset(f->out.value, 0, ROWS * sizeof(float));
    memset(f->out.gradient, 0, ROWS * inputs * sizeof(float));
}

static void done(struct fixture *f)
{
    free(f->out.value);
    free(f->out.gradient);
    free(f->scratch);
    image_network_done(&f->net);
}

/* Some rows' values and derivatives by some inputs. */
static void check(const struct fixture *f, const float *center, double factor,
                  size_t every_row, size_t every_input)
{
    const double shift = 1e-6;
    size_t inputs = f->net.network->inputs;
    for (size_t r = 0; r < ROWS; r += every_row) {
        const float *row = f->net.x + r * inputs;
        double value = naive_value(&f->net, center, row, 0, 0);
        assert_near_floor(f->out.value[r], factor * value, 2e-5, 0.1);
        for (size_t i = r % every_input; i < inputs; i += every_input) {
            double slope = (naive_value(&f->net, center, row, i, shift) -
                            naive_value(&f->net, center, row, i, -shift)) /
                           (2 * shift);
            assert_near_floor(f->out.gradient[i * ROWS + r], factor * slope, 1e-4, 0.1);
        }
    }
}

static void check_distance(const struct image_case *c, size_t every_row,
                           size_t every_input)
{
    struct fixture f;
    make(&f, c, IMAGE_ENCODER);
    folded_distance_gradient(f.net.folded, f.net.center, &f.out, 0.5F, f.net.x,
                             f.scratch);
    check(&f, f.net.center, 0.5, every_row, every_input);
    done(&f);
}

static void check_reconstruction(const struct image_case *c, enum image_network_kind kind,
                                 size_t every_row, size_t every_input)
{
    struct fixture f;
    make(&f, c, kind);
    folded_reconstruction_gradient(f.net.folded, &f.out, 2, f.net.x, f.scratch);
    check(&f, NULL, 2, every_row, every_input);
    done(&f);
}

static void distances_in_odd_shapes_agree_with_central_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ODD_CASES; i++) {
        check_distance(&odd_cases[i], 5, 7);
    }
}

static void reconstructions_in_odd_shapes_agree_with_central_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ODD_CASES; i++) {
        check_reconstruction(&odd_cases[i], IMAGE_AUTOENCODER, 9, 17);
        check_reconstruction(&odd_cases[i], IMAGE_AUTOENCODER_SIGMOID, 9, 17);
    }
}

static void the_papers_networks_agree_with_central_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENETS; i++) {
        size_t every = image_size(lenets[i].shape) / 2 + 9;
        check_distance(&lenets[i], ROWS, every);
        check_reconstruction(&lenets[i], IMAGE_AUTOENCODER_SIGMOID, ROWS, every);
    }
}

static void values_are_those_of_scoring(void **state)
{
    (void)state;
    struct fixture f;
    float distance[ROWS];
    make(&f, &lenets[1], IMAGE_ENCODER);
    folded_distance_gradient(f.net.folded, f.net.center, &f.out, 1, f.net.x, f.scratch);
    folded_distance(f.net.folded, f.net.center, distance, f.net.x, ROWS, f.net.scratch);
    for (size_t r = 0; r < ROWS; r++) {
        assert_near(f.out.value[r], distance[r], 1e-6);
    }
    done(&f);
}

/* An image of 0 through a pool alone. */
static void of_equal_pixels_the_first_takes_the_gradient(void **state)
{
    (void)state;
    const struct image_shape four = {1, 4, 4}, two = {1, 2, 2};
    struct layer pool = {
        .kind = LAYER_MAX_POOL, .inputs = 16, .outputs = 4, .in = four, .out = two};
    struct network network = {
        .inputs = 16, .outputs = 4, .layer_count = 1, .layers = &pool};
    struct folded *folded = NULL;
    assert_int_equal(folded_from_network(&folded, &network, NULL), DEEPSAD_OK);
    float *x = image_floats(16 * ROWS);
    float *scratch = image_floats(folded_gradient_scratch(folded));
    const struct folded_gradient out = {image_floats(ROWS), image_floats(16 * ROWS)};
    memset(x, 0, 16 * ROWS * sizeof *x);
    memset(out.value, 0, ROWS * sizeof(float));
    memset(out.gradient, 0, 16 * ROWS * sizeof(float));
    const float center[] = {1, 1, 1, 1};
    folded_distance_gradient(folded, center, &out, 1, x, scratch);
    for (size_t i = 0; i < 16; i++) {
        bool first = i % 2 == 0 && i / 4 % 2 == 0;
        assert_true(out.gradient[i * ROWS + 3] == (first ? -2 : 0));
    }
    free(out.value);
    free(out.gradient);
    free(scratch);
    free(x);
    folded_free(folded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_in_odd_shapes_agree_with_central_differences),
        cmocka_unit_test(reconstructions_in_odd_shapes_agree_with_central_differences),
        cmocka_unit_test(the_papers_networks_agree_with_central_differences),
        cmocka_unit_test(values_are_those_of_scoring),
        cmocka_unit_test(of_equal_pixels_the_first_takes_the_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
