/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "nn/loss.h"
#include "nn/rng.h"

enum { ROWS = 13, WIDTH = 3, COUNT = ROWS * WIDTH };
#define STEP 1e-2F

static const float center[WIDTH] = {0.1F, -0.4F, 0.3F};
/* 8 unlabeled, 2 normal, 3 anomalous */
static const signed char labels[ROWS] = {0, 0, 1, 0, -1, 0, 0, -1, 0, 0, 1, 0, -1};

struct example {
    float phi[COUNT];
    float scratch[2 * ROWS];
    struct loss_batch batch;
};

static void init_example(struct example *example)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (size_t i = 0; i < COUNT; i++) {
        example->phi[i] = 3 * rng_float(&rng) - 1.5F;
    }
    example->batch =
        (struct loss_batch){example->phi, center, labels, ROWS, WIDTH, example->scratch};
}

static double distance(const float *phi)
{
    double sum = 0;
    for (size_t j = 0; j < WIDTH; j++) {
        double difference = (double)phi[j] - (double)center[j];
        sum += difference * difference;
    }
    return sum;
}

static double paper(float *dphi, const struct loss_batch *batch)
{
    return loss_paper(dphi, batch, 1.7F);
}

static double log_loss(float *dphi, const struct loss_batch *batch)
{
    return loss_log(dphi, batch, 0.6F, 0);
}

static double trimmed(float *dphi, const struct loss_batch *batch)
{
    return loss_log(dphi, batch, 0.6F, 0.25F);
}

static void check_gradient(double (*loss)(float *, const struct loss_batch *))
{
    struct example example;
    float dphi[COUNT];
    float unused[COUNT];
    init_example(&example);
    loss(dphi, &example.batch);
    for (size_t i = 0; i < COUNT; i++) {
        float value = example.phi[i];
        example.phi[i] = value + STEP;
        double above = loss(unused, &example.batch);
        example.phi[i] = value - STEP;
        double below = loss(unused, &example.batch);
        example.phi[i] = value;
        double slope =
            (above - below) / ((double)(value + STEP) - (double)(value - STEP));
        assert_near_floor(dphi[i], slope, 1e-3, 0.1);
    }
}

static void gradients_are_the_slopes(void **state)
{
    (void)state;
    check_gradient(paper);
    check_gradient(log_loss);
    check_gradient(trimmed);
}

static void the_papers_loss_is_equation_7(void **state)
{
    (void)state;
    struct example example;
    float dphi[COUNT];
    init_example(&example);
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double d = distance(example.phi + i * WIDTH);
        sum += labels[i] == 0 ? d : 1.7 * pow(d + 1e-6, labels[i]);
    }
    assert_near(paper(dphi, &example.batch), sum / ROWS, 1e-6);
}

static void the_log_loss_has_two_separate_means(void **state)
{
    (void)state;
    struct example example;
    float dphi[COUNT];
    init_example(&example);
    double kept = 0;
    double anomalies = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double d = distance(example.phi + i * WIDTH);
        kept += labels[i] >= 0 ? log(1 + d) : 0;
        anomalies += labels[i] < 0 ? 1 / (d + 1e-6) : 0;
    }
    assert_near(log_loss(dphi, &example.batch), kept / 10 + 0.6 * anomalies / 3, 1e-6);
}

static bool is_zero(const float *row)
{
    return row[0] == 0 && row[1] == 0 && row[2] == 0;
}

static void trim_leaves_out_the_most_distant_unlabeled_rows_alone(void **state)
{
    (void)state;
    struct example example;
    float dphi[COUNT];
    init_example(&example);
    for (size_t j = 0; j < WIDTH;
         j++) { /* far out: two unlabeled, a normal, an anomaly */
        example.phi[3 * WIDTH + j] = 50;
        example.phi[9 * WIDTH + j] = 40;
        example.phi[10 * WIDTH + j] = 70;
        example.phi[12 * WIDTH + j] = 0.5F;
    }
    trimmed(dphi, &example.batch); /* a quarter of 8 */
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(is_zero(dphi + i * WIDTH), i == 3 || i == 9);
    }
}

static void trim_of_equal_distances_takes_the_first_rows(void **state)
{
    (void)state;
    struct example example;
    float dphi[COUNT];
    init_example(&example);
    for (size_t i = 0; i < COUNT; i++) {
        example.phi[i] = 1;
    }
    trimmed(dphi, &example.batch);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(is_zero(dphi + i * WIDTH), i == 0 || i == 1);
    }
}

/* Against a plain search, for many batches and shares. */
static void trim_keeps_the_nearest_for_any_share(void **state)
{
    (void)state;
    enum { MANY = 40 };
    static const signed char none[MANY] = {0};
    float phi[MANY];
    float dphi[MANY];
    float scratch[2 * MANY];
    struct rng rng;
    rng_init(&rng, 5, 0);
    for (size_t trial = 0; trial < 200; trial++) {
        for (size_t i = 0; i < MANY; i++) {
            phi[i] = (float)(1 + rng_below(&rng, 30));
        }
        size_t left_out = rng_below(&rng, MANY);
        struct loss_batch batch = {phi, (float[]){0}, none, MANY, 1, scratch};
        loss_log(dphi, &batch, 1, (float)left_out / MANY);
        size_t zeros = 0;
        float largest_kept = 0;
        float least_left_out = 99;
        for (size_t i = 0; i < MANY; i++) {
            zeros += dphi[i] == 0;
            largest_kept = dphi[i] != 0 ? fmaxf(largest_kept, phi[i]) : largest_kept;
            least_left_out =
                dphi[i] == 0 ? fminf(least_left_out, phi[i]) : least_left_out;
        }
        assert_int_equal(zeros, left_out);
        assert_true(largest_kept <= least_left_out);
    }
}

static void a_mean_over_no_rows_is_zero(void **state)
{
    (void)state;
    struct example example;
    float dphi[COUNT];
    init_example(&example);
    example.batch.rows = 1;
    example.batch.labels = (const signed char[]){-1};
    double d = distance(example.phi);
    assert_near(log_loss(dphi, &example.batch), 0.6 / (d + 1e-6), 1e-6);
    example.batch.labels = (const signed char[]){1};
    assert_near(log_loss(dphi, &example.batch), log(1 + d), 1e-6);
}

static void an_anomaly_at_the_center_has_a_finite_gradient(void **state)
{
    (void)state;
    float dphi[WIDTH];
    float scratch[2];
    struct loss_batch batch = {center, center, (const signed char[]){-1},
                               1,      WIDTH,  scratch};
    assert_near(loss_paper(dphi, &batch, 1), 1e6, 1e-6);
    assert_true(is_zero(dphi));
}

static void squared_error_is_the_mean_over_all_elements(void **state)
{
    (void)state;
    const float y[6] = {1, 2, 3, 4, 5, 6};
    const float x[6] = {1, 1, 1, 4, 8, 6};
    float dy[6];
    assert_near(loss_squared_error(dy, y, x, 6), (1 + 4 + 9) / 6.0, 1e-12);
    const double expected[6] = {0, 1 / 3.0, 2 / 3.0, 0, -1, 0};
    for (size_t i = 0; i < 6; i++) {
        assert_near_floor(dy[i], expected[i], 1e-6, 1);
    }
}

static void cross_entropy_is_the_mean_over_anomalies_and_all_others(void **state)
{
    (void)state;
    const float logit[4] = {0.3F, -1.2F, 2, -0.4F};
    const signed char truth[4] = {0, -1, 1, -1};
    float slope[4];
    double sum = log1p(exp(0.3)) + log1p(exp(1.2)) + log1p(exp(2)) + log1p(exp(0.4));
    assert_near(loss_cross_entropy(slope, logit, truth, 4), sum / 4, 1e-7);
    for (size_t i = 0; i < 4; i++) {
        double p = 1 / (1 + exp(-(double)logit[i]));
        assert_near(slope[i], (p - (truth[i] < 0)) / 4, 1e-6);
    }
}

static void cross_entropy_of_sure_logits_is_finite(void **state)
{
    (void)state;
    const float logit[4] = {3e38F, -3e38F, 200, -200};
    const signed char truth[4] = {-1, 0, 1, -1};
    float slope[4];
    assert_near(loss_cross_entropy(slope, logit, truth, 4), 100, 1e-12);
    const float expected[4] = {0, 0, 0.25F, -0.25F};
    for (size_t i = 0; i < 4; i++) {
        assert_true(slope[i] == expected[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes),
        cmocka_unit_test(the_papers_loss_is_equation_7),
        cmocka_unit_test(the_log_loss_has_two_separate_means),
        cmocka_unit_test(trim_leaves_out_the_most_distant_unlabeled_rows_alone),
        cmocka_unit_test(trim_of_equal_distances_takes_the_first_rows),
        cmocka_unit_test(trim_keeps_the_nearest_for_any_share),
        cmocka_unit_test(a_mean_over_no_rows_is_zero),
        cmocka_unit_test(an_anomaly_at_the_center_has_a_finite_gradient),
        cmocka_unit_test(squared_error_is_the_mean_over_all_elements),
        cmocka_unit_test(cross_entropy_is_the_mean_over_anomalies_and_all_others),
        cmocka_unit_test(cross_entropy_of_sure_logits_is_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
