/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "nn/architecture_parse.h"
#include "nn/center.h"
#include "nn/matrix.h"
#include "nn/tape.h"

enum { IMAGES = 150, SIDE = 28, PIXELS = SIDE * SIDE };

static struct network *new_encoder(const struct architecture *form,
                                   struct image_shape input, bool batch_norm)
{
    struct network_shape shape = {input, form, false, batch_norm};
    struct network *network = NULL;
    struct rng rng;
    rng_init(&rng, 5, 0);
    assert_int_equal(network_new_encoder(&network, &shape, &rng, NULL), DEEPSAD_OK);
    return network;
}

/* Of two features: one layer of 4 outputs; with batch norm a hidden one before it. */
static struct network *new_dense(bool batch_norm)
{
    struct architecture form;
    architecture_dense(&form, (size_t[]){4, 4}, batch_norm ? 2 : 1);
    return new_encoder(&form, (struct image_shape){2, 1, 1}, batch_norm);
}

static struct network *new_lenet(void)
{
    struct architecture form;
    assert_int_equal(architecture_parse(&form, "fashion-mnist-lenet", NULL), DEEPSAD_OK);
    return new_encoder(&form, (struct image_shape){1, SIDE, SIDE}, true);
}

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

static void the_center_is_the_mean_kept_away_from_zero(void **state)
{
    (void)state;
    const float rows[4] = {1, 0.02F, 3, 0.04F};
    struct trainer_data data = {.rows = rows, .features = 2, .count = 2};
    struct network *network = new_dense(false);
    /* outputs: x0, x1, -x1, -x0 */
    memcpy(network->params, (float[]){1, 0, 0, -1, 0, 1, -1, 0}, 8 * sizeof(float));
    float center[4];
    assert_int_equal(center_fit(center, network, &data, NULL), DEEPSAD_OK);
    assert_memory_equal(center, ((float[]){2, 0.1F, -0.1F, -2}), sizeof center);
    data.index = (size_t[]){1};
    data.count = 1;
    assert_int_equal(center_fit(center, network, &data, NULL), DEEPSAD_OK);
    assert_true(center[0] == 3);
    network_free(network);
}

static void the_running_statistics_are_used_and_left_as_they_are(void **state)
{
    (void)state;
    const float rows[4] = {1, 2, 3, 4};
    struct trainer_data data = {.rows = rows, .features = 2, .count = 2};
    struct network *network = new_dense(true);
    struct network *copy = new_dense(true);
    float center[4];
    float moved[4];
    assert_int_equal(center_fit(center, network, &data, NULL), DEEPSAD_OK);
    assert_memory_equal(network->state, copy->state,
                        network->state_count * sizeof *network->state);
    network->state[0] = 30; /* a running mean */
    assert_int_equal(center_fit(moved, network, &data, NULL), DEEPSAD_OK);
    assert_memory_not_equal(center, moved, sizeof center);
    network_free(network);
    network_free(copy);
}

static void that_of_images_is_the_mean_over_blocks_of_any_size(void **state)
{
    (void)state;
    float *rows = new_images();
    struct trainer_data data = {.rows = rows, .features = PIXELS, .count = IMAGES};
    struct network *network = new_lenet();
    struct rng rng;
    rng_init(&rng, 1, 0);
    assert_int_equal(trainer_warm(network, &data, 64, 3, 2, &rng, NULL), DEEPSAD_OK);
    float center[64];
    assert_int_equal(center_fit(center, network, &data, NULL), DEEPSAD_OK);
    struct tape *tape = NULL;
    assert_int_equal(tape_new(&tape, network, IMAGES, NULL, NULL), DEEPSAD_OK);
    const float *phi = tape_forward_eval(tape, network, rows, IMAGES);
    for (size_t j = 0; j < 64; j++) {
        double sum = 0;
        for (size_t i = 0; i < IMAGES; i++) {
            sum += (double)phi[i * 64 + j];
        }
        double mean = fabs(sum / IMAGES) < 0.1 ? copysign(0.1, sum) : sum / IMAGES;
        assert_near(center[j], mean, 1e-4);
    }
    tape_free(tape);
    network_free(network);
    free(rows);
}

static void rows_that_do_not_fit_or_are_not_finite_are_refused(void **state)
{
    (void)state;
    const float rows[4] = {1, 2, INFINITY, 4};
    const struct trainer_data bad[3] = {{.rows = rows, .features = 2, .count = 0},
                                        {.rows = rows, .features = 4, .count = 1},
                                        {.rows = rows, .features = 2, .count = 2}};
    struct network *network = new_dense(false);
    float center[4] = {7, 7, 7, 7};
    for (size_t i = 0; i < 3; i++) {
        struct deepsad_error error = {0};
        assert_int_equal(center_fit(center, network, &bad[i], &error), DEEPSAD_INVALID);
        assert_true(error.message[0] != '\0');
        assert_true(center[0] == 7);
    }
    network_free(network);
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_center_is_the_mean_kept_away_from_zero),
        cmocka_unit_test(the_running_statistics_are_used_and_left_as_they_are),
        cmocka_unit_test(that_of_images_is_the_mean_over_blocks_of_any_size),
        cmocka_unit_test(rows_that_do_not_fit_or_are_not_finite_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
