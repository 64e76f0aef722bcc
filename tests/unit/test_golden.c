/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks, losses and optimizers against PyTorch (tests/golden/make_golden.py): within
 * 1e-5, relative to the value or, near zero, to the root mean square of its block.
 */
#include "../testing.h"

#include <stdlib.h>

#include "../golden/golden_values.h"
#include "nn/matrix.h"
#include "nn/tape.h"
#include "nn/trainer.h"

#define TOLERANCE 1e-5
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void compare(const char *what, const float *actual, const float *expected,
                    size_t count)
{
    double squares = 0;
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        squares += (double)expected[i] * (double)expected[i];
    }
    double scale = sqrt(squares / (double)count);
    for (size_t i = 0; i < count; i++) {
        double allowed = TOLERANCE * fmax(fabs((double)expected[i]), scale);
        double ratio = fabs((double)actual[i] - (double)expected[i]) / allowed;
        worst = ratio > worst || isnan(ratio) ? ratio : worst;
    }
    if (getenv("GOLDEN_SHOW") != NULL) {
        printf("%s: worst error %.3f of the tolerance\n", what, worst);
    }
    if (!(worst <= 1)) {
        fail_msg("%s: worst error %.3g times the tolerance", what, worst);
    }
}

#define COMPARE(actual, expected) compare(#expected, actual, expected, COUNT(expected))

enum kind { AUTOENCODER, PAPER, LOG };

static struct network *new_network(enum kind kind, const float *params, size_t count)
{
    struct architecture form;
    architecture_dense(&form, kind == LOG ? golden_plain_widths : golden_widths,
                       kind == LOG ? COUNT(golden_plain_widths) : COUNT(golden_widths));
    struct network_shape shape = {
        .input = {GOLDEN_INPUTS, 1, 1},
        .architecture = &form,
        .bias = kind == LOG,
        .batch_norm = kind != LOG,
    };
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 1, 0);
    int status = kind == AUTOENCODER
                     ? network_new_autoencoder(&network, &shape, true, &rng, NULL)
                     : network_new_encoder(&network, &shape, &rng, NULL);
    assert_int_equal(status, DEEPSAD_OK);
    assert_int_equal(network->param_count, count);
    memcpy(network->params, params, count * sizeof *params);
    return network;
}

static struct trainer_options options_of(enum kind kind)
{
    if (kind == LOG) {
        return (struct trainer_options){.steps = GOLDEN_STEPS,
                                        .batch = GOLDEN_ROWS,
                                        .learning_rate = GOLDEN_LOG_RATE,
                                        .weight_decay = GOLDEN_LOG_DECAY,
                                        .decoupled_decay = true,
                                        .schedule = TRAINER_SCHEDULE_COSINE,
                                        .loss = TRAINER_LOSS_LOG,
                                        .eta = GOLDEN_ETA,
                                        .trim = GOLDEN_TRIM};
    }
    return (struct trainer_options){.epochs = GOLDEN_STEPS,
                                    .batch = GOLDEN_ROWS,
                                    .learning_rate = GOLDEN_PAPER_RATE,
                                    .weight_decay = GOLDEN_PAPER_DECAY,
                                    .milestone_count = 1,
                                    .milestones = {GOLDEN_MILESTONE},
                                    .eta = GOLDEN_ETA};
}

static double step(struct trainer *trainer, enum kind kind, size_t batch, double rate)
{
    const float *x = golden_x + batch * GOLDEN_ROWS * GOLDEN_INPUTS;
    if (kind == AUTOENCODER) {
        return trainer_step_autoencoder(trainer, x, GOLDEN_ROWS, rate);
    }
    return trainer_step_deepsad(trainer,
                                kind == LOG ? golden_log_center : golden_paper_center, x,
                                golden_labels, GOLDEN_ROWS, rate);
}

/* A step with a learning rate of 0 leaves the weights and shows the gradients. */
static void check_pass(enum kind kind, struct network *network, const float *train,
                       const float *eval, double expected_loss)
{
    struct trainer_options options = options_of(kind);
    options.decoupled_decay = true;
    struct trainer *trainer = NULL;
    assert_int_equal(trainer_new(&trainer, network, &options, GOLDEN_ROWS, NULL), 0);
    assert_near(step(trainer, kind, 0, 0), expected_loss, TOLERANCE);
    trainer_free(trainer);
    struct tape *tape = NULL;
    assert_int_equal(tape_new(&tape, network, GOLDEN_ROWS, NULL, NULL), DEEPSAD_OK);
    size_t count = GOLDEN_ROWS * network->outputs;
    compare("eval", tape_forward_eval(tape, network, golden_x, GOLDEN_ROWS), eval, count);
    compare("train", tape_forward_train(tape, network, golden_x, GOLDEN_ROWS), train,
            count);
    tape_free(tape);
}

static void compare_layers(const struct network *network, const float *expected)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->kind != LAYER_DENSE) {
            continue;
        }
        compare("gradient of a layer's weights", network->grads + layer->weight,
                expected + layer->weight, layer->inputs * layer->outputs);
        if (layer->bias != SIZE_MAX) {
            compare("gradient of a layer's bias", network->grads + layer->bias,
                    expected + layer->bias, layer->outputs);
        }
    }
}

static void check_training(enum kind kind, struct network *network, const double *losses)
{
    struct trainer_options options = options_of(kind);
    struct trainer *trainer = NULL;
    assert_int_equal(trainer_new(&trainer, network, &options, GOLDEN_ROWS, NULL), 0);
    for (size_t i = 0; i < GOLDEN_STEPS; i++) {
        double rate = trainer_learning_rate(&options, i, GOLDEN_STEPS, 1);
        assert_near(step(trainer, kind, i, rate), losses[i], TOLERANCE);
    }
    trainer_free(trainer);
}

static void the_autoencoder_and_each_layers_gradient_are_pytorchs(void **state)
{
    (void)state;
    struct network *network = new_network(AUTOENCODER, golden_autoencoder_params,
                                          COUNT(golden_autoencoder_params));
    check_pass(AUTOENCODER, network, golden_autoencoder_forward_train,
               golden_autoencoder_forward_eval, golden_autoencoder_loss[0]);
    compare_layers(network, golden_autoencoder_grads);
    network_free(network);
}

static void the_papers_loss_and_each_layers_gradient_are_pytorchs(void **state)
{
    (void)state;
    struct network *network =
        new_network(PAPER, golden_paper_params, COUNT(golden_paper_params));
    check_pass(PAPER, network, golden_paper_forward_train, golden_paper_forward_eval,
               golden_paper_loss[0]);
    compare_layers(network, golden_paper_grads);
    network_free(network);
}

static void the_log_loss_and_each_layers_gradient_are_pytorchs(void **state)
{
    (void)state;
    struct network *network =
        new_network(LOG, golden_log_params, COUNT(golden_log_params));
    check_pass(LOG, network, golden_log_forward_train, golden_log_forward_eval,
               golden_log_loss[0]);
    compare_layers(network, golden_log_grads);
    network_free(network);
}

static void ten_adam_steps_of_the_autoencoder_are_pytorchs(void **state)
{
    (void)state;
    struct network *network = new_network(AUTOENCODER, golden_autoencoder_params,
                                          COUNT(golden_autoencoder_params));
    check_training(AUTOENCODER, network, golden_autoencoder_losses);
    COMPARE(network->params, golden_autoencoder_trained);
    COMPARE(network->state, golden_autoencoder_state);
    network_free(network);
}

static void ten_adam_steps_of_the_papers_deep_sad_are_pytorchs(void **state)
{
    (void)state;
    struct network *network =
        new_network(PAPER, golden_paper_params, COUNT(golden_paper_params));
    check_training(PAPER, network, golden_paper_losses);
    COMPARE(network->params, golden_paper_trained);
    COMPARE(network->state, golden_paper_state);
    network_free(network);
}

static void ten_adamw_steps_of_the_log_loss_are_pytorchs(void **state)
{
    (void)state;
    struct network *network =
        new_network(LOG, golden_log_params, COUNT(golden_log_params));
    check_training(LOG, network, golden_log_losses);
    COMPARE(network->params, golden_log_trained);
    network_free(network);
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_autoencoder_and_each_layers_gradient_are_pytorchs),
        cmocka_unit_test(the_papers_loss_and_each_layers_gradient_are_pytorchs),
        cmocka_unit_test(the_log_loss_and_each_layers_gradient_are_pytorchs),
        cmocka_unit_test(ten_adam_steps_of_the_autoencoder_are_pytorchs),
        cmocka_unit_test(ten_adam_steps_of_the_papers_deep_sad_are_pytorchs),
        cmocka_unit_test(ten_adamw_steps_of_the_log_loss_are_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
