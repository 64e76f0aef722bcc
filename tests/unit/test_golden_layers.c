/* SPDX-License-Identifier: Apache-2.0 */
/* Layers on images against PyTorch, one by one. */
#include "../golden_check.h"

#include "nn/matrix.h"
#include "nn/tape.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A dense layer whose input is the unit matrix and whose weights are thus the layer's
 * input, and the layer: the gradient of these weights is the layer's dx. */
struct single {
    struct layer layers[2];
    struct network network;
    struct tape *tape;
    float unit[GOLDEN_LAYER_ROWS * GOLDEN_LAYER_ROWS];
    float *dy;
};

enum { LAYER_TOLERANCE_SHARE = 200000 }; /* of the root mean square: 5e-6 */

static void init_single(struct single *single, struct layer layer)
{
    enum { ROWS = GOLDEN_LAYER_ROWS };
    *single = (struct single){.unit = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    layer.inputs = image_size(layer.in);
    layer.outputs = image_size(layer.out);
    bool norm = layer.kind == LAYER_BATCH_NORM;
    layer.bias = SIZE_MAX;
    layer.weight = layer.kind == LAYER_CONV ? ROWS * layer.inputs : SIZE_MAX;
    layer.mean = norm ? 0 : SIZE_MAX;
    layer.variance = norm ? layer.out.channels : SIZE_MAX;
    single->layers[0] = (struct layer){LAYER_DENSE,
                                       ROWS,
                                       layer.inputs,
                                       {ROWS, 1, 1},
                                       {layer.inputs, 1, 1},
                                       0,
                                       0,
                                       false,
                                       0,
                                       SIZE_MAX,
                                       SIZE_MAX,
                                       SIZE_MAX};
    single->layers[1] = layer;
    size_t params = ROWS * layer.inputs + weights_of(&layer);
    single->network = (struct network){.inputs = ROWS,
                                       .outputs = layer.outputs,
                                       .layer_count = 2,
                                       .layers = single->layers,
                                       .param_count = params,
                                       .state_count = norm ? 2 * layer.out.channels : 0};
    struct network *network = &single->network;
    assert_int_equal(matrix_new(&network->params, 1, params, "", NULL), 0);
    assert_int_equal(matrix_new(&network->grads, 1, params, "", NULL), 0);
    assert_int_equal(matrix_new(&network->state, 1, network->state_count, "", NULL), 0);
    assert_int_equal(matrix_new(&single->dy, ROWS, layer.outputs, "", NULL), 0);
    fill_values(single->dy, 7, 0, ROWS * layer.outputs, 1);
    assert_int_equal(tape_new(&single->tape, network, ROWS, NULL, NULL), DEEPSAD_OK);
}

static void reset_single(struct single *single)
{
    struct network *network = &single->network;
    const struct layer *layer = &single->layers[1];
    size_t inputs = GOLDEN_LAYER_ROWS * layer->inputs;
    fill_network(network, 5);
    fill_values(network->params, 6, 0, inputs, 1);
    if (layer->weight != SIZE_MAX) {
        size_t taps = layer->kernel * layer->kernel;
        size_t fan = layer->transposed ? layer->out.channels : layer->in.channels;
        fill_values(network->params + inputs, 5, 0, weights_of(layer),
                    1 / sqrtf((float)(fan * taps)));
    }
}

static void done_single(struct single *single)
{
    tape_free(single->tape);
    free(single->network.params);
    free(single->network.grads);
    free(single->network.state);
    free(single->dy);
}

/* The sum of y dy: what dx and dw are the slopes of. */
static double single_sum(struct single *single)
{
    const float *y = tape_forward_train(single->tape, &single->network, single->unit,
                                        GOLDEN_LAYER_ROWS);
    double sum = 0;
    for (size_t i = 0; i < GOLDEN_LAYER_ROWS * single->network.outputs; i++) {
        sum += (double)y[i] * (double)single->dy[i];
    }
    return sum;
}

static void run_single(struct single *single)
{
    reset_single(single);
    single_sum(single);
    memcpy(tape_output_gradient(single->tape), single->dy,
           GOLDEN_LAYER_ROWS * single->network.outputs * sizeof *single->dy);
    tape_backward(single->tape, &single->network);
}

struct golden_layer {
    const char *name;
    struct layer layer;
    const float *eval, *train, *dx, *dw, *state;
    float step; /* of central differences: any where y is linear in x */
};

#define LAYER(name, ...)                                                    \
    {                                                                       \
#name, {__VA_ARGS__ }, golden_##name##_eval, golden_##name##_train, \
                golden_##name##_dx
#define CONV .kind = LAYER_CONV
#define DECONV .kind = LAYER_CONV, .transposed = true
/* clang-format off */
static const struct golden_layer golden_layers[] = {
    LAYER(conv, CONV, .kernel = 5, .padding = 2, .in = {3, 7, 6}, .out = {4, 7, 6}),
        golden_conv_dw, NULL, 0.5F},
    LAYER(conv3, CONV, .kernel = 3, .padding = 1, .in = {2, 4, 9}, .out = {5, 4, 9}),
        golden_conv3_dw, NULL, 0.5F},
    LAYER(conv7, CONV, .kernel = 7, .padding = 3, .in = {2, 2, 3}, .out = {3, 2, 3}),
        golden_conv7_dw, NULL, 0.5F},
    LAYER(deconv, DECONV, .kernel = 5, .padding = 2, .in = {4, 5, 6}, .out = {3, 5, 6}),
        golden_deconv_dw, NULL, 0.5F},
    LAYER(deconv_cut, DECONV, .kernel = 5, .padding = 3, .in = {4, 6, 5},
          .out = {3, 4, 3}), golden_deconv_cut_dw, NULL, 0.5F},
    LAYER(pool, .kind = LAYER_MAX_POOL, .in = {3, 7, 6}, .out = {3, 3, 3}),
        NULL, NULL, 1e-3F},
    LAYER(upsample, .kind = LAYER_UPSAMPLE, .in = {3, 3, 4}, .out = {3, 7, 8}),
        NULL, NULL, 0.5F},
    LAYER(norm2d, .kind = LAYER_BATCH_NORM, .in = {3, 4, 5}, .out = {3, 4, 5}),
        NULL, golden_norm2d_state, 1e-2F},
    LAYER(norm1d, .kind = LAYER_BATCH_NORM, .in = {7, 1, 1}, .out = {7, 1, 1}),
        NULL, golden_norm1d_state, 3e-3F},
};
/* clang-format on */

static void check_layer(const struct golden_layer *golden)
{
    struct single single;
    init_single(&single, golden->layer);
    const struct network *network = &single.network;
    const double tolerance = 1.0 / LAYER_TOLERANCE_SHARE;
    size_t outputs = GOLDEN_LAYER_ROWS * network->outputs;
    size_t inputs = GOLDEN_LAYER_ROWS * single.layers[1].inputs;
    reset_single(&single);
    compare(golden->name,
            tape_forward_eval(single.tape, network, single.unit, GOLDEN_LAYER_ROWS),
            golden->eval, outputs, tolerance);
    compare(
        golden->name,
        tape_forward_train(single.tape, &single.network, single.unit, GOLDEN_LAYER_ROWS),
        golden->train, outputs, tolerance);
    run_single(&single);
    compare(golden->name, network->grads, golden->dx, inputs, tolerance);
    if (golden->dw != NULL) {
        compare(golden->name, network->grads + inputs, golden->dw,
                weights_of(&single.layers[1]), tolerance);
    }
    if (golden->state != NULL) {
        compare(golden->name, network->state, golden->state, network->state_count,
                tolerance);
    }
    done_single(&single);
}

static void each_layer_forward_and_backward_is_pytorchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_layers); i++) {
        check_layer(&golden_layers[i]);
    }
}

static void check_slopes(const struct golden_layer *golden)
{
    struct single single;
    init_single(&single, golden->layer);
    struct network *network = &single.network;
    run_single(&single);
    double scale = root_mean_square(network->grads, network->param_count);
    for (size_t i = 0; i < network->param_count; i++) {
        float before = network->params[i];
        float above = before + golden->step, below = before - golden->step;
        network->params[i] = above;
        double sum = single_sum(&single);
        network->params[i] = below;
        sum -= single_sum(&single);
        network->params[i] = before;
        double slope = sum / ((double)above - (double)below);
        assert_near_floor(network->grads[i], slope, 2e-3, scale);
    }
    done_single(&single);
}

static void each_layers_gradients_are_the_slopes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_layers); i++) {
        check_slopes(&golden_layers[i]);
    }
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_forward_and_backward_is_pytorchs),
        cmocka_unit_test(each_layers_gradients_are_the_slopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
