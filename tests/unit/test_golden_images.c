/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers on images, and the paper's LeNets in their real sizes, against PyTorch
 * (tests/golden/make_golden_images.py, where the inputs' formulas are explained): values
 * within a tolerance of the root mean square of their block, large blocks by their
 * beginning and by projections onto fixed vectors.
 */
#include "../testing.h"

#include <stdlib.h>

#include "../golden/golden_images.h"
#include "nn/matrix.h"
#include "nn/tape.h"
#include "nn/trainer.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { PROJECTED = GOLDEN_PROJECTIONS + 1 }; /* and the norm */

/* ---- Inputs by formula ---- */

static uint32_t hash(uint32_t seed, size_t i)
{
    uint32_t x = (uint32_t)i + seed * 0x9e3779b9U;
    x = (x ^ (x >> 16)) * 0x7feb352dU;
    x = (x ^ (x >> 15)) * 0x846ca68bU;
    return x ^ (x >> 16);
}

/* Uniform in [-1, 1); exact */
static float value(uint32_t seed, size_t i)
{
    return (float)((double)(hash(seed, i) >> 8) * 0x1p-23 - 1);
}

static void fill_values(float *out, uint32_t seed, size_t first, size_t count,
                        float scale)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = value(seed, first + i) * scale;
    }
}

static float stripe(uint32_t plane, size_t v, size_t u)
{
    size_t phase =
        ((plane >> 3) % 8 * v + (plane >> 9) % 8 * u + (plane >> 15) % 64) % 64;
    return (float)(phase < 32 ? phase : 64 - phase) / 64;
}

/* x (rows, image) */
static void fill_images(float *x, uint32_t seed, size_t rows, struct image_shape image)
{
    size_t at = 0;
    for (size_t i = 0; i < rows * image.channels; i++) {
        uint32_t plane = hash(seed + 1, i);
        for (size_t v = 0; v < image.height; v++) {
            for (size_t u = 0; u < image.width; u++, at++) {
                x[at] = stripe(plane, v, u) + (float)(hash(seed, at) >> 20) * 0x1p-13F;
            }
        }
    }
}

static size_t weights_of(const struct layer *layer)
{
    if (layer->kind == LAYER_DENSE) {
        return layer->inputs * layer->outputs;
    }
    return layer->kind == LAYER_CONV
               ? layer->in.channels * layer->out.channels * layer->kernel * layer->kernel
               : 0;
}

static void fill_network(struct network *network, uint32_t seed)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        size_t taps = layer->kernel * layer->kernel;
        size_t channels = layer->transposed ? layer->out.channels : layer->in.channels;
        size_t fan_in = layer->kind == LAYER_CONV ? channels * taps : layer->inputs;
        if (layer->weight != SIZE_MAX) {
            fill_values(network->params + layer->weight, seed, layer->weight,
                        weights_of(layer), 1 / sqrtf((float)fan_in));
        }
        for (size_t j = 0; layer->mean != SIZE_MAX && j < layer->out.channels; j++) {
            size_t mean = layer->mean + j, variance = layer->variance + j;
            network->state[mean] = value(seed + 1, mean) * 0.25F;
            network->state[variance] = 1 + value(seed + 1, variance) * 0.5F;
        }
    }
}

/* ---- Comparing ---- */

static double root_mean_square(const float *values, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        squares += (double)values[i] * (double)values[i];
    }
    return sqrt(squares / (double)count);
}

static void report(const char *what, double worst)
{
    if (getenv("GOLDEN_SHOW") != NULL) {
        printf("%s: worst error %.3f of the tolerance\n", what, worst);
    }
    if (!(worst <= 1)) {
        fail_msg("%s: worst error %.3g times the tolerance", what, worst);
    }
}

static double larger(double worst, double error)
{
    return error > worst || isnan(error) ? error : worst;
}

/* Worst error of `count` values as a share of what is allowed: `tolerance` of the value
 * or, near zero, of `scale`. */
static double compare_values(const float *actual, const float *expected, size_t count,
                             double scale, double tolerance)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double allowed = tolerance * fmax(fabs((double)expected[i]), scale);
        worst = larger(worst, fabs((double)actual[i] - (double)expected[i]) / allowed);
    }
    return worst;
}

static void compare(const char *what, const float *actual, const float *expected,
                    size_t count, double tolerance)
{
    double scale = root_mean_square(expected, count);
    report(what, compare_values(actual, expected, count, scale, tolerance));
}

/* A block of which the golden values are the beginning (or NULL) and the projections. */
static double compare_block(const float *actual, size_t count, const float *head,
                            const float *projections, double tolerance)
{
    double norm = (double)projections[GOLDEN_PROJECTIONS];
    size_t shown = head == NULL ? 0 : count < GOLDEN_HEAD ? count : GOLDEN_HEAD;
    double worst =
        compare_values(actual, head, shown, norm / sqrt((double)count), tolerance);
    for (size_t p = 0; p < GOLDEN_PROJECTIONS; p++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += (double)actual[i] * (double)value(99, p * count + i);
        }
        worst = larger(worst, fabs(sum - (double)projections[p]) / (tolerance * norm));
    }
    double actual_norm = root_mean_square(actual, count) * sqrt((double)count);
    return larger(worst, fabs(actual_norm - norm) / (tolerance * norm));
}

static void compare_rows(const char *what, const float *rows, size_t count, size_t width,
                         const float *heads, const float *projections, double tolerance)
{
    double worst = 0;
    size_t shown = width < GOLDEN_HEAD ? width : GOLDEN_HEAD;
    for (size_t i = 0; i < count; i++) {
        worst = larger(worst, compare_block(rows + i * width, width, heads + i * shown,
                                            projections + i * PROJECTED, tolerance));
    }
    report(what, worst);
}

/* `values` are of all the network's parameters. */
static void compare_weights(const char *what, const struct network *network,
                            const float *values, const float *heads,
                            const float *projections, double tolerance)
{
    size_t at = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->weight == SIZE_MAX) {
            continue;
        }
        char text[80];
        snprintf(text, sizeof text, "%s, layer %zu", what, i);
        report(text, compare_block(values + layer->weight, weights_of(layer),
                                   heads + at * GOLDEN_HEAD, projections + at * PROJECTED,
                                   tolerance));
        at++;
    }
}

/* ---- Single layers ---- */

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

/* ---- The paper's networks ---- */

struct golden_network {
    const char *name;
    struct image_shape input;
    bool autoencoder;
    uint32_t seed;
    size_t rows;
    const float *eval_heads, *eval_projections, *train_heads, *train_projections;
    const double *loss;
    const float *grads_heads, *grads_projections, *state;
    const double *losses, *losses_spread;
    const float *moved, *moved_spread, *trained;
};

#define NETWORK(name, input, autoencoder, PREFIX, prefix)                                \
    {                                                                                    \
        name, input, autoencoder, PREFIX##_SEED, PREFIX##_ROWS, prefix##_eval_heads,     \
            prefix##_eval_projections, prefix##_train_heads, prefix##_train_projections, \
            prefix##_loss, prefix##_grads_heads, prefix##_grads_projections,             \
            prefix##_state, prefix##_losses, prefix##_losses_spread, prefix##_moved,     \
            prefix##_moved_spread, prefix##_trained                                      \
    }
#define SMALL     \
    {             \
        1, 28, 28 \
    }
#define LARGE     \
    {             \
        3, 32, 32 \
    }

static const struct golden_network networks[] = {
    NETWORK("mnist-lenet", SMALL, false, GOLDEN_MNIST_ENCODER, golden_mnist_encoder),
    NETWORK("mnist-lenet", SMALL, true, GOLDEN_MNIST_AUTOENCODER,
            golden_mnist_autoencoder),
    NETWORK("fashion-mnist-lenet", SMALL, false, GOLDEN_FASHION_ENCODER,
            golden_fashion_encoder),
    NETWORK("fashion-mnist-lenet", SMALL, true, GOLDEN_FASHION_AUTOENCODER,
            golden_fashion_autoencoder),
    NETWORK("cifar-10-lenet", LARGE, false, GOLDEN_CIFAR_ENCODER, golden_cifar_encoder),
    NETWORK("cifar-10-lenet", LARGE, true, GOLDEN_CIFAR_AUTOENCODER,
            golden_cifar_autoencoder),
};

struct run {
    const struct golden_network *golden;
    struct network *network;
    struct trainer *trainer;
    float *x; /* (rows, input) */
    float center[128];
    signed char labels[32];
};

static struct network *new_network(const struct golden_network *golden)
{
    struct architecture form;
    assert_int_equal(architecture_parse(&form, golden->name, NULL), DEEPSAD_OK);
    struct network_shape shape = {golden->input, &form, false, true};
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 1, 0);
    int status = golden->autoencoder
                     ? network_new_autoencoder(&network, &shape, true, &rng, NULL)
                     : network_new_encoder(&network, &shape, &rng, NULL);
    assert_int_equal(status, DEEPSAD_OK);
    fill_network(network, golden->seed);
    return network;
}

static void init_run(struct run *run, const struct golden_network *golden, size_t threads)
{
    *run = (struct run){.golden = golden, .network = new_network(golden)};
    struct trainer_options options = {.batch = golden->rows,
                                      .weight_decay = GOLDEN_IMAGE_DECAY,
                                      .eta = GOLDEN_IMAGE_ETA,
                                      .threads = threads};
    assert_int_equal(
        trainer_new(&run->trainer, run->network, &options, golden->rows, NULL), 0);
    assert_int_equal(
        matrix_new(&run->x, golden->rows, image_size(golden->input), "", NULL), 0);
    for (size_t i = 0; i < golden->rows; i++) {
        run->labels[i] = i % 7 == 3 ? -1 : i % 5 == 1 ? 1 : 0;
    }
    size_t outputs = golden->autoencoder ? 0 : run->network->outputs;
    fill_values(run->center, golden->seed + 2, 0, outputs, 0.5F);
}

static void done_run(struct run *run)
{
    trainer_free(run->trainer);
    network_free(run->network);
    free(run->x);
}

static double step(struct run *run, uint32_t images, double rate)
{
    size_t rows = run->golden->rows;
    fill_images(run->x, images, rows, run->golden->input);
    return run->golden->autoencoder
               ? trainer_step_autoencoder(run->trainer, run->x, rows, rate)
               : trainer_step_deepsad(run->trainer, run->center, run->x, run->labels,
                                      rows, rate);
}

/* Rounding differs with the kernels that a machine takes: with all weights and pixels
 * disturbed by 1e-7, errors of the outputs stay below 8e-6, of the gradients
 * below 2.2e-5. A mistake is larger by orders of magnitude. */
#define PASS_TOLERANCE 3e-5
#define GRADIENT_TOLERANCE 1e-4

/* A step with a learning rate of 0 leaves the weights and shows the gradients. */
static void check_gradients(const struct golden_network *golden)
{
    struct run run;
    init_run(&run, golden, 2);
    const struct network *network = run.network;
    double loss = step(&run, golden->seed + 3, 0);
    assert_near(loss, golden->loss[0], 1e-5);
    compare_weights("gradients", network, network->grads, golden->grads_heads,
                    golden->grads_projections, GRADIENT_TOLERANCE);
    compare("running statistics", network->state, golden->state, network->state_count,
            PASS_TOLERANCE);
    done_run(&run);
}

static void check_outputs(const struct golden_network *golden)
{
    struct run run;
    init_run(&run, golden, 1);
    struct tape *tape = NULL;
    size_t rows = golden->rows;
    assert_int_equal(tape_new(&tape, run.network, rows, NULL, NULL), DEEPSAD_OK);
    fill_images(run.x, golden->seed + 3, rows, golden->input);
    compare_rows("eval", tape_forward_eval(tape, run.network, run.x, rows), rows,
                 run.network->outputs, golden->eval_heads, golden->eval_projections,
                 PASS_TOLERANCE);
    compare_rows("train", tape_forward_train(tape, run.network, run.x, rows), rows,
                 run.network->outputs, golden->train_heads, golden->train_projections,
                 PASS_TOLERANCE);
    tape_free(tape);
    done_run(&run);
}

/* Rounding grows from step to step, and by leaps: where a value comes over a kink, or a
 * weight's gradient is so near 0 that Adam's first step, which is of one size, goes the
 * other way. Allowed is what single leaps make, or some times what PyTorch in float is
 * away from PyTorch in double in its one run, which the golden values have. Disturbed as
 * above, a run comes to a quarter of what is allowed; without weight decay, the least of
 * Adam's parts, the autoencoders come to 3 to 28 times as much. */
#define LUCK 30
#define LOSS_TOLERANCE 3e-3
#define WEIGHT_TOLERANCE 3e-1

/* |a - b| / |b| */
static double distance(const float *a, const float *b, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)a[i] - (double)b[i];
        squares += difference * difference;
    }
    return sqrt(squares / (double)count) / root_mean_square(b, count);
}

static void check_losses(struct run *run)
{
    const struct golden_network *golden = run->golden;
    double spread = 0;
    for (uint32_t i = 0; i < GOLDEN_IMAGE_STEPS; i++) {
        double loss = step(run, 1000 + 10 * i, (double)GOLDEN_IMAGE_RATE);
        spread = fmax(spread, golden->losses_spread[i]);
        report("loss",
               fabs(loss / golden->losses[i] - 1) / fmax(LUCK * spread, LOSS_TOLERANCE));
    }
}

static void check_moved(const struct run *run)
{
    const struct golden_network *golden = run->golden;
    struct network *network = run->network;
    struct network *before = new_network(golden);
    for (size_t i = 0; i < network->param_count; i++) {
        network->params[i] -= before->params[i];
    }
    size_t at = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->weight != SIZE_MAX) {
            report("what training moved",
                   compare_block(
                       network->params + layer->weight, weights_of(layer), NULL,
                       golden->moved + at * PROJECTED,
                       fmax(LUCK * (double)golden->moved_spread[at], WEIGHT_TOLERANCE)));
            at++;
        }
    }
    network_free(before);
}

static void check_training(const struct golden_network *golden)
{
    struct run run;
    init_run(&run, golden, 2);
    check_losses(&run);
    report("running statistics",
           distance(run.network->state, golden->trained, run.network->state_count) /
               WEIGHT_TOLERANCE);
    check_moved(&run);
    done_run(&run);
}

static void the_lenets_outputs_are_pytorchs_in_both_modes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(networks); i++) {
        check_outputs(&networks[i]);
    }
}

static void the_lenets_losses_and_gradients_are_pytorchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(networks); i++) {
        check_gradients(&networks[i]);
    }
}

static void twenty_adam_steps_of_the_lenets_are_pytorchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(networks); i++) {
        check_training(&networks[i]);
    }
}

static void any_number_of_threads_trains_the_same_bits(void **state)
{
    (void)state;
    struct run one;
    struct run three;
    init_run(&one, &networks[3], 1);
    init_run(&three, &networks[3], 3);
    for (uint32_t i = 0; i < 3; i++) {
        double loss = step(&one, 1000 + 10 * i, 1e-3);
        assert_true(loss == step(&three, 1000 + 10 * i, 1e-3));
    }
    assert_memory_equal(one.network->params, three.network->params,
                        one.network->param_count * sizeof(float));
    done_run(&one);
    done_run(&three);
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_forward_and_backward_is_pytorchs),
        cmocka_unit_test(each_layers_gradients_are_the_slopes),
        cmocka_unit_test(the_lenets_outputs_are_pytorchs_in_both_modes),
        cmocka_unit_test(the_lenets_losses_and_gradients_are_pytorchs),
        cmocka_unit_test(twenty_adam_steps_of_the_lenets_are_pytorchs),
        cmocka_unit_test(any_number_of_threads_trains_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
