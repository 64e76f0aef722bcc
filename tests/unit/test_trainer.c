/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <pthread.h>
#include <stdlib.h>

#include "nn/architecture_parse.h"
#include "nn/center.h"
#include "nn/matrix.h"
#include "nn/tape.h"
#include "nn/trainer.h"

enum { ROWS = 300, FEATURES = 6, WIDTH = 4 };

static const size_t widths[] = {12, 8, WIDTH};

/* Rows around a line, the last 20 of them apart and labelled anomalous. */
struct example {
    float rows[ROWS * FEATURES];
    signed char labels[ROWS];
    struct trainer_data data;
    struct trainer_options options;
    float center[WIDTH];
};

static void init_example(struct example *example)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (size_t i = 0; i < ROWS; i++) {
        float along = rng_float(&rng);
        bool anomalous = i >= ROWS - 20;
        for (size_t j = 0; j < FEATURES; j++) {
            example->rows[i * FEATURES + j] =
                (j % 2 == 0 && !anomalous ? along : 1 - along) +
                0.1F * (rng_float(&rng) - 0.5F);
        }
        example->labels[i] = anomalous ? -1 : i % 10 == 0 ? 1 : 0;
    }
    example->data = (struct trainer_data){.rows = example->rows,
                                          .features = FEATURES,
                                          .labels = example->labels,
                                          .count = ROWS};
    example->options = (struct trainer_options){.epochs = 30,
                                                .batch = 32,
                                                .learning_rate = 1e-2F,
                                                .weight_decay = 1e-4F,
                                                .milestone_count = 1,
                                                .milestones = {20},
                                                .eta = 1};
    for (size_t j = 0; j < WIDTH; j++) {
        example->center[j] = 0.5F;
    }
}

static struct trainer_options log_options(void)
{
    return (struct trainer_options){.steps = 100,
                                    .batch = 64,
                                    .anomaly_batch = 16,
                                    .learning_rate = 3e-3F,
                                    .weight_decay = 1e-4F,
                                    .decoupled_decay = true,
                                    .schedule = TRAINER_SCHEDULE_COSINE,
                                    .loss = TRAINER_LOSS_LOG,
                                    .eta = 1,
                                    .trim = 0.05F};
}

static struct network *new_network(bool autoencoder, bool batch_norm)
{
    struct architecture form;
    architecture_dense(&form, widths, 3);
    struct network_shape shape = {{FEATURES, 1, 1}, &form, false, batch_norm};
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 5, 0);
    int status = autoencoder ? network_new_autoencoder(&network, &shape, true, &rng, NULL)
                             : network_new_encoder(&network, &shape, &rng, NULL);
    assert_int_equal(status, DEEPSAD_OK);
    return network;
}

static int fit(struct network *network, const struct example *example, uint64_t seed,
               const struct trainer_watch *watch, struct deepsad_error *error)
{
    struct rng rng;
    rng_init(&rng, seed, 1);
    return trainer_fit_deepsad(network, example->center, &example->data,
                               &example->options, &rng, watch, error);
}

/* Mean squared distance of rows first..last - 1. */
static double mean_distance(const struct network *network, const struct example *example,
                            size_t first, size_t last)
{
    struct tape *tape = NULL;
    assert_int_equal(tape_new(&tape, network, ROWS, NULL, NULL), DEEPSAD_OK);
    const float *phi =
        tape_forward_eval(tape, network, example->rows + first * FEATURES, last - first);
    double sum = 0;
    for (size_t i = 0; i < (last - first) * WIDTH; i++) {
        double difference = (double)phi[i] - (double)example->center[i % WIDTH];
        sum += difference * difference;
    }
    tape_free(tape);
    return sum / (double)(last - first);
}

struct log {
    size_t calls, total, batches, stop_at;
    double first, last;
};

static void progress(void *closure, size_t done, size_t total, double loss)
{
    struct log *log = closure;
    log->first = log->calls == 0 ? loss : log->first;
    log->last = loss;
    log->total = total;
    assert_int_equal(done, ++log->calls);
}

static bool cancelled(void *closure)
{
    struct log *log = closure;
    return ++log->batches == log->stop_at;
}

/* ---- What is learnt ---- */

static void the_autoencoders_error_falls(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    struct network *network = new_network(true, true);
    struct log log = {0};
    struct trainer_watch watch = {progress, cancelled, &log};
    struct rng rng;
    rng_init(&rng, 1, 0);
    assert_int_equal(trainer_fit_autoencoder(network, &example.data, &example.options,
                                             &rng, &watch, NULL),
                     DEEPSAD_OK);
    assert_true(log.last < log.first / 3);
    network_free(network);
}

static void the_papers_loss_draws_normals_in_and_pushes_anomalies_out(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    struct network *network = new_network(false, true);
    assert_int_equal(fit(network, &example, 1, NULL, NULL), DEEPSAD_OK);
    assert_true(mean_distance(network, &example, ROWS - 20, ROWS) >
                10 * mean_distance(network, &example, 0, ROWS - 20));
    network_free(network);
}

static void the_log_loss_draws_normals_in_and_pushes_anomalies_out(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    example.options = log_options();
    example.options.learning_rate = 1e-2F;
    struct network *network = new_network(false, false);
    assert_int_equal(fit(network, &example, 1, NULL, NULL), DEEPSAD_OK);
    assert_true(mean_distance(network, &example, ROWS - 20, ROWS) >
                3 * mean_distance(network, &example, 0, ROWS - 20));
    network_free(network);
}

static void without_labels_the_distance_alone_falls(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    example.data.labels = NULL;
    for (int kind = 0; kind < 2; kind++) {
        struct network *network = new_network(false, kind == 0);
        double before = mean_distance(network, &example, 0, ROWS);
        assert_int_equal(fit(network, &example, 1, NULL, NULL), DEEPSAD_OK);
        assert_true(mean_distance(network, &example, 0, ROWS) < before / 2);
        network_free(network);
        example.options = log_options();
    }
}

static void only_the_rows_of_the_index_are_used(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    size_t index[200];
    for (size_t i = 0; i < 200; i++) {
        index[i] = i + 50;
    }
    example.data.index = index;
    example.data.count = 200;
    struct network *a = new_network(false, true);
    struct network *b = new_network(false, true);
    assert_int_equal(fit(a, &example, 1, NULL, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < 50 * FEATURES; i++) {
        example.rows[i] = (float)NAN;
        example.rows[(250 * FEATURES) + i] = (float)NAN;
    }
    assert_int_equal(fit(b, &example, 1, NULL, NULL), DEEPSAD_OK);
    assert_memory_equal(a->params, b->params, a->param_count * sizeof *a->params);
    network_free(a);
    network_free(b);
}

static struct network *new_classifier(bool batch_norm)
{
    struct architecture form;
    architecture_dense(&form, widths, 3);
    struct network_shape shape = {{FEATURES, 1, 1}, &form, false, batch_norm};
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 5, 0);
    assert_int_equal(network_new_classifier(&network, &shape, &rng, NULL), DEEPSAD_OK);
    return network;
}

static int fit_classifier(struct network *network, const struct example *example,
                          struct deepsad_error *error)
{
    struct rng rng;
    rng_init(&rng, 1, 1);
    return trainer_fit_classifier(network, &example->data, &example->options, &rng, NULL,
                                  error);
}

static size_t count_mistakes(const struct network *network, const struct example *example)
{
    struct tape *tape = NULL;
    assert_int_equal(tape_new(&tape, network, ROWS, NULL, NULL), DEEPSAD_OK);
    const float *logit = tape_forward_eval(tape, network, example->rows, ROWS);
    size_t mistakes = 0;
    for (size_t i = 0; i < ROWS; i++) {
        mistakes += (logit[i] > 0) != (example->labels[i] < 0);
    }
    tape_free(tape);
    return mistakes;
}

static void a_classifier_tells_labelled_anomalies_from_all_other_rows(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    for (int kind = 0; kind < 2; kind++) { /* in passes, and in balanced batches */
        example.options.anomaly_batch = kind == 0 ? 0 : 8;
        struct network *network = new_classifier(true);
        assert_int_equal(fit_classifier(network, &example, NULL), DEEPSAD_OK);
        assert_true(count_mistakes(network, &example) <= 3);
        network_free(network);
    }
}

static void a_network_of_several_outputs_is_no_classifier(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    struct deepsad_error error = {0};
    struct network *network = new_network(false, true);
    assert_int_equal(fit_classifier(network, &example, &error), DEEPSAD_INVALID);
    assert_error_says(error, "a classifier has one output, the network has 4");
    network_free(network);
}

/* ---- Warming ---- */

static int warm(struct network *network, const struct example *example, size_t batch,
                size_t passes)
{
    struct rng rng;
    rng_init(&rng, 1, 1);
    return trainer_warm(network, &example->data, batch, passes, 1, &rng, NULL);
}

static void warming_moves_the_statistics_to_the_datas_and_no_weight(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    struct network *network = new_network(false, true);
    struct network *fresh = new_network(false, true);
    assert_int_equal(warm(network, &example, ROWS, 100), DEEPSAD_OK);
    assert_memory_equal(network->params, fresh->params,
                        network->param_count * sizeof *network->params);
    const float *weight = network->params + network->layers[0].weight;
    for (size_t j = 0; j < 12; j++) { /* the mean of the first layer's outputs */
        double sum = 0;
        for (size_t i = 0; i < ROWS * FEATURES; i++) {
            sum += (double)example.rows[i] * (double)weight[i % FEATURES * 12 + j];
        }
        assert_near_floor(network->state[network->layers[1].mean + j], sum / ROWS, 1e-3,
                          0.1);
    }
    network_free(network);
    network_free(fresh);
}

static void warming_does_nothing_without_statistics_or_by_one_row(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    struct network *plain = new_network(false, false);
    struct network *network = new_network(false, true);
    struct network *fresh = new_network(false, true);
    assert_int_equal(warm(plain, &example, 32, 3), DEEPSAD_OK);
    assert_int_equal(warm(network, &example, 1, 3), DEEPSAD_OK);
    assert_memory_equal(network->state, fresh->state,
                        network->state_count * sizeof *network->state);
    example.data.count = 0;
    assert_int_equal(warm(network, &example, 32, 3), DEEPSAD_INVALID);
    network_free(plain);
    network_free(network);
    network_free(fresh);
}

/* ---- The same bits ---- */

struct run {
    const struct example *example;
    uint64_t seed;
    struct network *network;
    int status;
};

static void *fit_in_thread(void *closure)
{
    struct run *run = closure;
    run->status = fit(run->network, run->example, run->seed, NULL, NULL);
    return NULL;
}

static void check_reproducible(const struct example *example, bool batch_norm)
{
    enum { RUNS = 4 }; /* the last one with another seed */
    struct run runs[RUNS];
    pthread_t threads[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = (struct run){.example = example,
                               .seed = i == RUNS - 1 ? 2 : 1,
                               .network = new_network(false, batch_norm),
                               .status = -1};
        assert_int_equal(pthread_create(&threads[i], NULL, fit_in_thread, &runs[i]), 0);
    }
    const struct network *first = runs[0].network;
    for (size_t i = 0; i < RUNS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(runs[i].status, DEEPSAD_OK);
        int same = memcmp(runs[i].network->params, first->params,
                          first->param_count * sizeof *first->params) == 0;
        assert_int_equal(same, i < RUNS - 1);
    }
    for (size_t i = 0; i < RUNS; i++) {
        network_free(runs[i].network);
    }
}

static void the_same_seed_gives_the_same_bits_in_threads_side_by_side(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    check_reproducible(&example, true);
    example.options = log_options();
    check_reproducible(&example, false);
}

static void adding_a_watch_changes_no_bit(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    struct network *a = new_network(false, true);
    struct network *b = new_network(false, true);
    struct log log = {0};
    struct trainer_watch watch = {progress, cancelled, &log};
    assert_int_equal(fit(a, &example, 1, NULL, NULL), DEEPSAD_OK);
    assert_int_equal(fit(b, &example, 1, &watch, NULL), DEEPSAD_OK);
    assert_memory_equal(a->params, b->params, a->param_count * sizeof *a->params);
    network_free(a);
    network_free(b);
}

/* ---- Progress and cancelling ---- */

static void progress_comes_after_each_epoch(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    struct network *network = new_network(false, true);
    struct log log = {0};
    assert_int_equal(fit(network, &example, 1,
                         &(struct trainer_watch){progress, cancelled, &log}, NULL),
                     DEEPSAD_OK);
    assert_int_equal(log.calls, 30);
    assert_int_equal(log.total, 30);
    assert_int_equal(log.batches, 30 * (ROWS / 32));
    network_free(network);
}

static void progress_comes_after_each_step_where_there_are_no_epochs(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    example.options = log_options();
    struct network *network = new_network(false, false);
    struct log log = {0};
    assert_int_equal(fit(network, &example, 1,
                         &(struct trainer_watch){progress, cancelled, &log}, NULL),
                     DEEPSAD_OK);
    assert_int_equal(log.calls, 100);
    assert_int_equal(log.batches, 100);
    network_free(network);
}

static void cancelling_ends_before_the_next_batch(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    struct network *network = new_network(false, true);
    struct log log = {.stop_at = 14};
    struct deepsad_error error = {0};
    assert_int_equal(fit(network, &example, 1,
                         &(struct trainer_watch){progress, cancelled, &log}, &error),
                     DEEPSAD_CANCELLED);
    assert_error_says(error, "cancelled");
    assert_int_equal(log.batches, 14);
    assert_int_equal(log.calls, 1); /* 13 batches done, 9 of them an epoch */
    network_free(network);
}

/* ---- Schedules ---- */

static void milestones_act_from_their_epoch_index_on(void **state)
{
    (void)state;
    struct trainer_options options = {
        .learning_rate = 1, .milestone_count = 2, .milestones = {50, 80}};
    assert_near(trainer_learning_rate(&options, 50 * 7 - 1, 700, 7), 1, 1e-9);
    assert_near(trainer_learning_rate(&options, 50 * 7, 700, 7), 0.1, 1e-9);
    assert_near(trainer_learning_rate(&options, 80 * 7, 700, 7), 0.01, 1e-9);
}

static void cosine_falls_from_all_through_half_to_nothing(void **state)
{
    (void)state;
    struct trainer_options options = {.learning_rate = 1,
                                      .schedule = TRAINER_SCHEDULE_COSINE};
    assert_near(trainer_learning_rate(&options, 0, 100, 7), 1, 1e-9);
    assert_near(trainer_learning_rate(&options, 50, 100, 7), 0.5, 1e-9);
    assert_true(trainer_learning_rate(&options, 99, 100, 7) < 3e-4);
    assert_true(trainer_learning_rate(&options, 99, 100, 7) > 0);
}

/* ---- Images ---- */

enum { IMAGES = 150, SIDE = 28, PIXELS = SIDE * SIDE };

static float *new_images(void)
{
    float *rows = NULL;
    assert_int_equal(matrix_new(&rows, IMAGES, PIXELS, "", NULL), DEEPSAD_OK);
    struct rng rng;
    rng_init(&rng, 9, 0);
    for (size_t i = 0; i < IMAGES * PIXELS; i++) {
        rows[i] = rng_float(&rng);
    }
    return rows;
}

static struct network *new_lenet(void)
{
    struct architecture form;
    assert_int_equal(architecture_parse(&form, "fashion-mnist-lenet", NULL), DEEPSAD_OK);
    struct network_shape shape = {{1, SIDE, SIDE}, &form, false, true};
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 5, 0);
    assert_int_equal(network_new_autoencoder(&network, &shape, true, &rng, NULL),
                     DEEPSAD_OK);
    return network;
}

static void images_are_fitted_to_the_same_bits_by_any_number_of_threads(void **state)
{
    (void)state;
    float *rows = new_images();
    struct trainer_data data = {.rows = rows, .features = PIXELS, .count = IMAGES};
    struct network *networks[2];
    double losses[2];
    for (size_t i = 0; i < 2; i++) {
        networks[i] = new_lenet();
        struct trainer_options options = {
            .steps = 3, .batch = 40, .learning_rate = 1e-3F, .threads = 1 + 2 * i};
        struct log log = {0};
        struct trainer_watch watch = {progress, cancelled, &log};
        struct rng rng;
        rng_init(&rng, 1, 0);
        assert_int_equal(
            trainer_fit_autoencoder(networks[i], &data, &options, &rng, &watch, NULL), 0);
        losses[i] = log.last;
    }
    assert_true(losses[0] == losses[1]);
    assert_memory_equal(networks[0]->params, networks[1]->params,
                        networks[0]->param_count * sizeof(float));
    network_free(networks[0]);
    network_free(networks[1]);
    free(rows);
}

/* ---- Odd data ---- */

static void assert_finite(const struct network *network)
{
    for (size_t i = 0; i < network->param_count; i++) {
        assert_true(isfinite(network->params[i]));
    }
    for (size_t i = 0; i < network->state_count; i++) {
        assert_true(isfinite(network->state[i]));
    }
}

/* Both losses, on the first `count` rows with labels, or all of `label` where that is not
 * 0. */
static void check_fits(size_t count, signed char label)
{
    for (int kind = 0; kind < 4; kind++) {
        struct example example;
        init_example(&example);
        example.data.count = count;
        example.options = kind % 2 == 0 ? example.options : log_options();
        memset(example.labels, label, label != 0 ? ROWS : 0);
        struct network *network = new_network(false, kind / 2 == 0);
        assert_int_equal(fit(network, &example, 1, NULL, NULL), DEEPSAD_OK);
        assert_finite(network);
        network_free(network);
    }
}

static void few_rows_and_one_sided_labels_can_be_fitted(void **state)
{
    (void)state;
    check_fits(1, 0);
    check_fits(2, 0);
    check_fits(31, 0);
    check_fits(ROWS, 1);
    check_fits(ROWS, -1);
    check_fits(1, -1);
}

static void one_row_teaches_a_batch_norm_network_nothing(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    example.data.count = 1;
    struct network *network = new_network(false, true);
    struct network *before = new_network(false, true);
    struct log log = {0};
    assert_int_equal(
        fit(network, &example, 1, &(struct trainer_watch){progress, NULL, &log}, NULL),
        DEEPSAD_OK);
    assert_int_equal(log.calls, 30);
    assert_true(isnan(log.last));
    assert_memory_equal(network->params, before->params,
                        before->param_count * sizeof *before->params);
    network_free(network);
    network_free(before);
}

static void constant_features_can_be_fitted(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    for (size_t i = 0; i < ROWS * FEATURES; i++) {
        example.rows[i] = 0.25F;
    }
    for (int kind = 0; kind < 2; kind++) {
        struct network *network = new_network(kind == 0, true);
        struct rng rng;
        rng_init(&rng, 1, 0);
        int status = kind == 0
                         ? trainer_fit_autoencoder(network, &example.data,
                                                   &example.options, &rng, NULL, NULL)
                         : fit(network, &example, 1, NULL, NULL);
        assert_int_equal(status, DEEPSAD_OK);
        assert_finite(network);
        network_free(network);
    }
}

static void a_fit_that_diverges_is_an_error_and_says_so(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    example.options.learning_rate = 1e30F;
    struct network *network = new_network(false, false);
    struct deepsad_error error = {0};
    assert_int_equal(fit(network, &example, 1, NULL, &error), DEEPSAD_INVALID);
    assert_error_says(error, "lower the learning rate");
    network_free(network);
}

static void rows_that_are_not_finite_are_an_error(void **state)
{
    (void)state;
    struct example example;
    init_example(&example);
    example.rows[77] = INFINITY;
    struct network *network = new_network(false, true);
    float center[WIDTH];
    struct deepsad_error error = {0};
    assert_int_equal(fit(network, &example, 1, NULL, &error), DEEPSAD_INVALID);
    assert_int_equal(center_fit(center, network, &example.data, NULL), DEEPSAD_INVALID);
    network_free(network);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct example good;
    init_example(&good);
    struct example bad[6] = {good, good, good, good, good, good};
    bad[0].options.batch = 0;
    bad[1].options.trim = 1;
    bad[2].options.learning_rate = (float)NAN;
    bad[3].data.count = 0;
    bad[4].data.features = FEATURES - 1;
    bad[5].options.epochs = SIZE_MAX / 2;
    for (size_t i = 0; i < 6; i++) {
        struct network *network = new_network(false, true);
        struct deepsad_error error = {0};
        bad[i].data.rows = bad[i].rows;
        bad[i].data.labels = bad[i].labels;
        assert_int_equal(fit(network, &bad[i], 1, NULL, &error), DEEPSAD_INVALID);
        assert_true(error.message[0] != '\0');
        network_free(network);
    }
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_autoencoders_error_falls),
        cmocka_unit_test(the_papers_loss_draws_normals_in_and_pushes_anomalies_out),
        cmocka_unit_test(the_log_loss_draws_normals_in_and_pushes_anomalies_out),
        cmocka_unit_test(without_labels_the_distance_alone_falls),
        cmocka_unit_test(only_the_rows_of_the_index_are_used),
        cmocka_unit_test(a_classifier_tells_labelled_anomalies_from_all_other_rows),
        cmocka_unit_test(a_network_of_several_outputs_is_no_classifier),
        cmocka_unit_test(warming_moves_the_statistics_to_the_datas_and_no_weight),
        cmocka_unit_test(warming_does_nothing_without_statistics_or_by_one_row),
        cmocka_unit_test(the_same_seed_gives_the_same_bits_in_threads_side_by_side),
        cmocka_unit_test(adding_a_watch_changes_no_bit),
        cmocka_unit_test(progress_comes_after_each_epoch),
        cmocka_unit_test(progress_comes_after_each_step_where_there_are_no_epochs),
        cmocka_unit_test(cancelling_ends_before_the_next_batch),
        cmocka_unit_test(milestones_act_from_their_epoch_index_on),
        cmocka_unit_test(cosine_falls_from_all_through_half_to_nothing),
        cmocka_unit_test(images_are_fitted_to_the_same_bits_by_any_number_of_threads),
        cmocka_unit_test(few_rows_and_one_sided_labels_can_be_fitted),
        cmocka_unit_test(one_row_teaches_a_batch_norm_network_nothing),
        cmocka_unit_test(constant_features_can_be_fitted),
        cmocka_unit_test(a_fit_that_diverges_is_an_error_and_says_so),
        cmocka_unit_test(rows_that_are_not_finite_are_an_error),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
