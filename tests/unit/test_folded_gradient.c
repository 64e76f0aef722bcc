/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle is central differences of a naive loop in double. */
#include "../testing.h"

#include <float.h>
#include <stdlib.h>

#include "nn/folded_gradient.h"
#include "nn/rng.h"

enum { ROWS = FOLDED_GRADIENT_ROWS, WIDTH_MAX = 128 };

struct fixture {
    struct network *network;
    struct folded *folded;
    float *x, *value, *gradient, *scratch;
    float center[WIDTH_MAX];
};

static float *aligned_floats(size_t count)
{
    float *floats = aligned_alloc(64, (count + 15) / 16 * 64);
    assert_non_null(floats);
    memset(floats, 0, count * sizeof *floats);
    return floats;
}

static void fill(float *values, size_t count, float low, float high, struct rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = low + (high - low) * rng_float(rng);
    }
}

static void finish(struct fixture *f, struct rng *rng)
{
    struct deepsad_error error = {0};
    for (size_t i = 0; i < f->network->state_count; i++) {
        f->network->state[i] = 0.2F + rng_float(rng);
    }
    assert_int_equal(folded_from_network(&f->folded, f->network, &error), DEEPSAD_OK);
    size_t inputs = f->network->inputs;
    f->x = aligned_floats(ROWS * inputs);
    f->value = aligned_floats(ROWS);
    f->gradient = aligned_floats(ROWS * inputs);
    f->scratch = aligned_floats(folded_gradient_scratch(f->folded));
    memset(f->scratch, 0xff, folded_gradient_scratch(f->folded) * sizeof(float));
    fill(f->x, ROWS * inputs, -2, 2, rng);
    fill(f->center, folded_outputs(f->folded), -1, 1, rng);
}

static void make_encoder(struct fixture *f, const struct network_shape *shape)
{
    struct deepsad_error error = {0};
    struct rng rng;
    rng_init(&rng, 5, shape->input.channels);
    *f = (struct fixture){0};
    assert_int_equal(network_new_encoder(&f->network, shape, &rng, &error), DEEPSAD_OK);
    finish(f, &rng);
}

static void make_autoencoder(struct fixture *f, const struct network_shape *shape,
                             bool sigmoid)
{
    struct deepsad_error error = {0};
    struct rng rng;
    rng_init(&rng, 6, shape->input.channels);
    *f = (struct fixture){0};
    assert_int_equal(network_new_autoencoder(&f->network, shape, sigmoid, &rng, &error),
                     DEEPSAD_OK);
    finish(f, &rng);
}

static void done(struct fixture *f)
{
    folded_free(f->folded);
    network_free(f->network);
    free(f->x);
    free(f->value);
    free(f->gradient);
    free(f->scratch);
}

/* ---- The oracle ---- */

static double activate(const struct network *n, const struct layer *layer, size_t j,
                       const double *x)
{
    double sum = 0;
    switch (layer->kind) {
    case LAYER_BATCH_NORM:
        return (x[j] - (double)n->state[layer->mean + j]) /
               sqrt((double)n->state[layer->variance + j] + 1e-4);
    case LAYER_LEAKY_RELU:
        return x[j] > 0 ? x[j] : 0.01 * x[j];
    case LAYER_SIGMOID:
        return 1 / (1 + exp(-x[j]));
    case LAYER_DENSE:
    case LAYER_CONV:
    case LAYER_MAX_POOL:
    case LAYER_UPSAMPLE:
        break;
    }
    for (size_t i = 0; i < layer->inputs; i++) {
        sum += x[i] * (double)n->params[layer->weight + i * layer->outputs + j];
    }
    return sum + (layer->bias == SIZE_MAX ? 0 : (double)n->params[layer->bias + j]);
}

static void forward(const struct network *n, double *x)
{
    for (size_t l = 0; l < n->layer_count; l++) {
        double y[WIDTH_MAX];
        for (size_t j = 0; j < n->layers[l].outputs; j++) {
            y[j] = activate(n, &n->layers[l], j, x);
        }
        memcpy(x, y, n->layers[l].outputs * sizeof *y);
    }
}

/* Of the row with `shift` added to one input: |phi - center|^2, or the mean squared error
 * where the center is NULL. */
static double value_of(const struct fixture *f, const float *center, const float *row,
                       size_t input, double shift)
{
    double x[WIDTH_MAX], y[WIDTH_MAX];
    double sum = 0;
    for (size_t i = 0; i < f->network->inputs; i++) {
        x[i] = y[i] = (double)row[i] + (i == input ? shift : 0);
    }
    forward(f->network, y);
    for (size_t o = 0; o < f->network->outputs; o++) {
        double d = y[o] - (center != NULL ? (double)center[o] : x[o]);
        sum += d * d;
    }
    return center != NULL ? sum : sum / (double)f->network->outputs;
}

/* What was added to value and gradient is `factor` times the oracle's. */
static void check(const struct fixture *f, const float *center, double factor)
{
    enum { PER_MILLION = 1000000 };
    const double shift = 1.0 / PER_MILLION;
    size_t inputs = f->network->inputs;
    for (size_t r = 0; r < ROWS; r++) {
        const float *row = f->x + r * inputs;
        assert_near_floor(f->value[r], factor * value_of(f, center, row, 0, 0), 1e-5,
                          0.1);
        for (size_t i = 0; i < inputs; i++) {
            double slope = (value_of(f, center, row, i, shift) -
                            value_of(f, center, row, i, -shift)) /
                           (2 * shift);
            assert_near_floor(f->gradient[i * ROWS + r], factor * slope, 1e-4, 1);
        }
    }
}

/* ---- Tests ---- */

static const size_t widths[][3] = {
    {128, 64, 0}, {32, 16, 8}, {7, 3, 0}, {1, 0, 0}, {33, 17, 5}};

static struct network_shape shape_of(size_t inputs, const size_t layers[3], bool norm)
{
    size_t count = 0;
    while (count < 3 && layers[count] > 0) {
        count++;
    }
    static struct architecture form;
    architecture_dense(&form, layers, count);
    return (struct network_shape){
        .input = {inputs, 1, 1}, .architecture = &form, .batch_norm = norm};
}

static void distances_agree_with_central_differences(void **state)
{
    (void)state;
    const size_t inputs[] = {1, 6, 9, 36, 100};
    for (size_t s = 0; s < 5; s++) {
        for (int norm = 0; norm <= 1; norm++) {
            struct fixture f;
            struct network_shape shape = shape_of(inputs[s], widths[s], norm == 1);
            make_encoder(&f, &shape);
            const struct folded_gradient out = {f.value, f.gradient};
            folded_distance_gradient(f.folded, f.center, &out, 0.5F, f.x, f.scratch);
            check(&f, f.center, 0.5);
            done(&f);
        }
    }
}

static void reconstructions_agree_with_central_differences(void **state)
{
    (void)state;
    for (size_t s = 0; s < 5; s++) {
        struct fixture f;
        struct network_shape shape = shape_of(11 + s, widths[s], s % 2 == 0);
        shape.bias = true;
        make_autoencoder(&f, &shape, s % 3 == 0);
        const struct folded_gradient out = {f.value, f.gradient};
        folded_reconstruction_gradient(f.folded, &out, 2, f.x, f.scratch);
        check(&f, NULL, 2);
        done(&f);
    }
}

static void several_networks_add_up(void **state)
{
    (void)state;
    struct fixture f;
    struct network_shape shape = shape_of(9, widths[0], false);
    make_encoder(&f, &shape);
    const struct folded_gradient out = {f.value, f.gradient};
    for (int k = 0; k < 3; k++) {
        folded_distance_gradient(f.folded, f.center, &out, 0.25F, f.x, f.scratch);
    }
    check(&f, f.center, 0.75);
    done(&f);
}

static void values_are_those_of_scoring(void **state)
{
    (void)state;
    struct fixture f;
    struct network_shape shape = shape_of(36, widths[0], false);
    float distance[ROWS];
    make_encoder(&f, &shape);
    float *scratch = aligned_floats(folded_scratch(f.folded));
    const struct folded_gradient out = {f.value, f.gradient};
    folded_distance_gradient(f.folded, f.center, &out, 1, f.x, f.scratch);
    folded_distance(f.folded, f.center, distance, f.x, ROWS, scratch);
    for (size_t r = 0; r < ROWS; r++) {
        assert_near(f.value[r], distance[r], 1e-6);
    }
    free(scratch);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_agree_with_central_differences),
        cmocka_unit_test(reconstructions_agree_with_central_differences),
        cmocka_unit_test(several_networks_add_up),
        cmocka_unit_test(values_are_those_of_scoring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
