/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "learn/gate.h"

static const struct gate_limits limits = {
    .auc_loss = 0.03, .rank_correlation = 0.85, .implausible_p = 0.2, .implausible = 3};

/* ---- Plausibility ---- */

static size_t hold(bool *held, const struct gate_verdict *verdicts, size_t count)
{
    size_t odd[2];
    return gate_plausible(held, odd, 2, verdicts, count, &limits);
}

static void three_anomalies_among_ordinary_rows_hold_an_analyst_back(void **state)
{
    const struct gate_verdict verdicts[] = {
        {0, true, false, 0.3F},  {0, true, false, 0.9F}, {0, true, false, 0.21F},
        {0, false, false, 0.5F}, {1, true, false, 0.3F}, {1, true, false, 0.01F}};
    bool held[6];
    (void)state;
    assert_int_equal(hold(held, verdicts, 6), 4);
    assert_true(held[0] && held[1] && held[2] && held[3]);
    assert_false(held[4] || held[5]);
}

static void two_implausible_verdicts_hold_nobody_back(void **state)
{
    const struct gate_verdict verdicts[] = {
        {0, true, false, 0.3F}, {0, true, false, 0.9F}, {0, true, false, 0.1F}};
    bool held[3];
    (void)state;
    assert_int_equal(hold(held, verdicts, 3), 0);
}

static void what_a_second_analyst_confirms_is_never_implausible(void **state)
{
    const struct gate_verdict verdicts[] = {{0, true, true, 0.3F},
                                            {0, true, true, 0.9F},
                                            {0, true, false, 0.5F},
                                            {0, true, true, 0.6F}};
    bool held[4];
    (void)state;
    assert_int_equal(hold(held, verdicts, 4), 0);
}

static void a_limit_of_zero_turns_plausibility_off(void **state)
{
    const struct gate_verdict verdicts[] = {
        {0, true, false, 0.9F}, {0, true, false, 0.9F}, {0, true, false, 0.9F}};
    struct gate_limits none = limits;
    bool held[3];
    size_t odd[1];
    (void)state;
    none.implausible = 0;
    assert_int_equal(gate_plausible(held, odd, 1, verdicts, 3, &none), 0);
}

/* ---- Rank correlation ---- */

static double rho(const float *a, const float *b, size_t count)
{
    double out = -2;
    assert_int_equal(gate_rank_correlation(&out, a, b, count, NULL), DEEPSAD_OK);
    return out;
}

static void rank_correlation_is_spearmans(void **state)
{
    const float a[] = {1, 2, 3, 4, 5}, grown[] = {1, 4, 9, 16, 25};
    const float fallen[] = {5, 4, 3, 2, 1}, mixed[] = {2, 1, 4, 3, 5};
    (void)state;
    assert_near(rho(a, grown, 5), 1, 1e-12);
    assert_near(rho(a, fallen, 5), -1, 1e-12);
    assert_near(rho(a, mixed, 5), 0.8, 1e-12); /* 1 - 6 * 4 / (5 * 24) */
}

static void tied_ranks_are_shared(void **state)
{
    const float a[] = {1, 2, 2, 3}, b[] = {1, 2, 3, 4};
    (void)state;
    assert_near(rho(a, b, 4), 4.5 / sqrt(4.5 * 5), 1e-12);
}

static void a_constant_has_no_rank_correlation(void **state)
{
    const float a[] = {1, 1, 1}, b[] = {1, 2, 3};
    (void)state;
    assert_true(isnan(rho(a, b, 3)));
    assert_true(isnan(rho(a, b, 1)));
}

/* ---- Two models ---- */

enum { ROWS = 200, LABELS = 20 };

struct pair {
    float scores[2][ROWS], ranks[2][LABELS];
    signed char y[LABELS];
    struct gate_side sides[2];
    struct gate_rows rows;
};

/* Both models rank alike; anomalies (even labels) rank above the normals. */
static void set_up(struct pair *pair)
{
    for (size_t m = 0; m < 2; m++) {
        for (size_t i = 0; i < ROWS; i++) {
            pair->scores[m][i] = (float)((i * 37) % ROWS);
        }
        for (size_t j = 0; j < LABELS; j++) {
            pair->y[j] = (signed char)(j % 2 == 0 ? -1 : 1);
            pair->ranks[m][j] = (j % 2 == 0 ? 0.01F : 0.5F) + 0.001F * (float)j;
        }
        pair->sides[m] = (struct gate_side){pair->scores[m], pair->ranks[m], true};
    }
    pair->rows = (struct gate_rows){.rows = ROWS, .labels = LABELS, .y = pair->y};
}

static struct gate_measures compare(const struct pair *pair)
{
    struct gate_measures measures;
    assert_int_equal(gate_compare(&measures, &pair->sides[0], &pair->sides[1],
                                  &pair->rows, &limits, NULL),
                     DEEPSAD_OK);
    return measures;
}

static void an_equal_challenger_passes(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    struct gate_measures measures = compare(&pair);
    assert_int_equal(measures.verdict, GATE_PASSED);
    assert_true(measures.labels_compared);
    assert_int_equal(measures.old_anomalies, LABELS / 2);
    assert_near(measures.challenger_auc, 1, 1e-12);
    assert_near(measures.rank_correlation, 1, 1e-12);
}

static void a_challenger_that_loses_old_labels_is_stopped(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    for (size_t j = 0; j < 10; j += 2) { /* five of ten anomalies are lost */
        pair.ranks[1][j] = 0.9F;
    }
    struct gate_measures measures = compare(&pair);
    assert_int_equal(measures.verdict, GATE_WORSE);
    assert_near(measures.challenger_auc, 0.5, 1e-9);
}

static void a_loss_within_chance_is_no_reason_to_stop(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    pair.ranks[1][0] = 0.9F; /* one of ten: AUC 0.9, and 0.1 is one standard error */
    struct gate_measures measures = compare(&pair);
    assert_int_equal(measures.verdict, GATE_PASSED);
    assert_near(measures.challenger_auc, 0.9, 1e-9);
    assert_near(measures.auc_error, 0.1, 1e-6);
}

static void a_better_challenger_passes(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    pair.ranks[0][0] = 0.9F;
    assert_int_equal(compare(&pair).verdict, GATE_PASSED);
}

static void a_challenger_that_ranks_otherwise_has_moved(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    for (size_t i = 0; i < ROWS; i++) {
        pair.scores[1][i] = (float)((i * 73 + 11) % ROWS);
    }
    struct gate_measures measures = compare(&pair);
    assert_int_equal(measures.verdict, GATE_MOVED);
    assert_true(measures.rank_correlation < 0.85);
}

static void few_old_labels_compare_nothing(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    pair.rows.labels = LABELS - 2; /* nine anomalies */
    pair.ranks[1][0] = 0.9F;
    struct gate_measures measures = compare(&pair);
    assert_int_equal(measures.verdict, GATE_PASSED);
    assert_false(measures.labels_compared);
    assert_true(isnan(measures.rank_correlation));
}

static void ranks_in_sample_are_not_compared(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    pair.sides[0].out_of_fold = false;
    pair.ranks[1][0] = 0.9F;
    struct gate_measures measures = compare(&pair);
    assert_int_equal(measures.verdict, GATE_PASSED);
    assert_false(measures.labels_compared);
}

static void a_score_that_is_not_finite_stops(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    pair.scores[1][7] = NAN;
    assert_int_equal(compare(&pair).verdict, GATE_NOT_FINITE);
}

static void scores_that_collapse_stop(void **state)
{
    struct pair pair;
    (void)state;
    set_up(&pair);
    for (size_t i = 0; i < ROWS; i++) {
        pair.scores[1][i] *= 1e-3F;
    }
    assert_int_equal(compare(&pair).verdict, GATE_COLLAPSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_anomalies_among_ordinary_rows_hold_an_analyst_back),
        cmocka_unit_test(two_implausible_verdicts_hold_nobody_back),
        cmocka_unit_test(what_a_second_analyst_confirms_is_never_implausible),
        cmocka_unit_test(a_limit_of_zero_turns_plausibility_off),
        cmocka_unit_test(rank_correlation_is_spearmans),
        cmocka_unit_test(tied_ranks_are_shared),
        cmocka_unit_test(a_constant_has_no_rank_correlation),
        cmocka_unit_test(an_equal_challenger_passes),
        cmocka_unit_test(a_challenger_that_loses_old_labels_is_stopped),
        cmocka_unit_test(a_loss_within_chance_is_no_reason_to_stop),
        cmocka_unit_test(a_better_challenger_passes),
        cmocka_unit_test(a_challenger_that_ranks_otherwise_has_moved),
        cmocka_unit_test(few_old_labels_compare_nothing),
        cmocka_unit_test(ranks_in_sample_are_not_compared),
        cmocka_unit_test(a_score_that_is_not_finite_stops),
        cmocka_unit_test(scores_that_collapse_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
