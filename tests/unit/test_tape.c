/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of whole networks against central differences, and the two modes. */
#include "../testing.h"

#include "nn/loss.h"
#include "nn/matrix.h"
#include "nn/tape.h"

enum { ROWS = 12, INPUTS = 5, WIDTH = 3 };
#define STEP 1e-3F

static const size_t widths[] = {7, 6, WIDTH};
static const signed char labels[ROWS] = {0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0, -1};
static const float center[WIDTH] = {0.5F, -0.5F, 0.2F};

struct example {
    float x[ROWS * INPUTS];
    float scratch[2 * ROWS];
    struct network *network;
    struct tape *tape;
    double (*loss)(struct example *example);
};

static void init_example(struct example *example, bool autoencoder, bool batch_norm,
                         double (*loss)(struct example *))
{
    struct architecture form;
    architecture_dense(&form, widths, 3);
    struct network_shape shape = {{INPUTS, 1, 1}, &form, true, batch_norm};
    struct rng rng;
    rng_init(&rng, 3, 0);
    int status =
        autoencoder ? network_new_autoencoder(&example->network, &shape, true, &rng, NULL)
                    : network_new_encoder(&example->network, &shape, &rng, NULL);
    assert_int_equal(status, DEEPSAD_OK);
    assert_int_equal(tape_new(&example->tape, example->network, ROWS, NULL, NULL),
                     DEEPSAD_OK);
    for (size_t i = 0; i < ROWS * INPUTS; i++) {
        example->x[i] = 2 * rng_float(&rng) - 1;
    }
    example->loss = loss;
}

static void done_example(struct example *example)
{
    tape_free(example->tape);
    network_free(example->network);
}

static double autoencoder_loss(struct example *example)
{
    const float *y =
        tape_forward_train(example->tape, example->network, example->x, ROWS);
    return loss_squared_error(tape_output_gradient(example->tape), y, example->x,
                              ROWS * INPUTS);
}

static struct loss_batch forward(struct example *example)
{
    return (struct loss_batch){
        .phi = tape_forward_train(example->tape, example->network, example->x, ROWS),
        .center = center,
        .labels = labels,
        .rows = ROWS,
        .width = WIDTH,
        .scratch = example->scratch};
}

static double paper_loss(struct example *example)
{
    struct loss_batch batch = forward(example);
    return loss_paper(tape_output_gradient(example->tape), &batch, 1);
}

static double log_loss(struct example *example)
{
    struct loss_batch batch = forward(example);
    return loss_log(tape_output_gradient(example->tape), &batch, 1, 0.2F);
}

/* A kink of a leaky ReLU within a step spoils a difference; most parameters have none,
 * and those must agree. */
static void check_gradients(struct example *example)
{
    struct network *network = example->network;
    float grads[512];
    assert_true(network->param_count <= 512);
    example->loss(example);
    tape_backward(example->tape, network);
    memcpy(grads, network->grads, network->param_count * sizeof *grads);
    size_t apart = 0;
    for (size_t i = 0; i < network->param_count; i++) {
        float value = network->params[i];
        network->params[i] = value + STEP;
        double above = example->loss(example);
        network->params[i] = value - STEP;
        double below = example->loss(example);
        network->params[i] = value;
        double slope =
            (above - below) / ((double)(value + STEP) - (double)(value - STEP));
        bool near = fabs((double)grads[i] - slope) <= 1e-2 * fmax(fabs(slope), 0.1);
        apart += near ? 0 : 1;
    }
    assert_true(apart * 50 <= network->param_count);
}

static void gradients_of_whole_networks_are_the_slopes(void **state)
{
    (void)state;
    double (*const losses[])(struct example *) = {autoencoder_loss, paper_loss, log_loss};
    for (size_t i = 0; i < 6; i++) {
        struct example example;
        init_example(&example, i / 2 == 0, i % 2 == 0, losses[i / 2]);
        check_gradients(&example);
        done_example(&example);
    }
}

static void rows_do_not_influence_each_other_in_eval_mode(void **state)
{
    (void)state;
    struct example example;
    init_example(&example, false, true, paper_loss);
    example.loss(&example); /* moves the statistics away from their start */
    float all[ROWS * WIDTH];
    memcpy(all, tape_forward_eval(example.tape, example.network, example.x, ROWS),
           sizeof all);
    for (size_t i = 0; i < ROWS; i++) {
        const float *one =
            tape_forward_eval(example.tape, example.network, example.x + i * INPUTS, 1);
        assert_memory_equal(one, all + i * WIDTH, WIDTH * sizeof *one);
    }
    done_example(&example);
}

static void eval_mode_changes_nothing_and_training_mode_moves_statistics(void **state)
{
    (void)state;
    struct example example;
    init_example(&example, false, true, paper_loss);
    struct network *network = example.network;
    float before[64];
    assert_true(network->state_count <= 64);
    memcpy(before, network->state, network->state_count * sizeof *before);
    tape_forward_eval(example.tape, network, example.x, ROWS);
    assert_memory_equal(before, network->state, network->state_count * sizeof *before);
    tape_forward_train(example.tape, network, example.x, ROWS);
    assert_memory_not_equal(before, network->state,
                            network->state_count * sizeof *before);
    done_example(&example);
}

static void a_batch_too_large_to_hold_is_an_error(void **state)
{
    (void)state;
    struct example example;
    init_example(&example, false, true, paper_loss);
    struct tape *tape = NULL;
    struct deepsad_error error = {0};
    assert_int_equal(tape_new(&tape, example.network, SIZE_MAX / 8, NULL, &error),
                     DEEPSAD_NO_MEMORY);
    assert_error_says(error, "out of memory");
    assert_null(tape);
    tape_free(NULL);
    done_example(&example);
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_whole_networks_are_the_slopes),
        cmocka_unit_test(rows_do_not_influence_each_other_in_eval_mode),
        cmocka_unit_test(eval_mode_changes_nothing_and_training_mode_moves_statistics),
        cmocka_unit_test(a_batch_too_large_to_hold_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
