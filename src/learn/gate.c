/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/gate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/order.h"

/* A challenger whose scores spread over less than this share of the champion's range says
 * the same of all rows. */
static const double spread_min = 0.05;

/* So many standard errors are no chance. */
static const double errors_wide = 2.5;

const char *const gate_verdict_names[] = {[GATE_PASSED] = "passed",
                                          [GATE_NOT_FINITE] = "not finite",
                                          [GATE_COLLAPSED] = "collapsed",
                                          [GATE_WORSE] = "worse on old labels",
                                          [GATE_MOVED] = "ranks moved"};

/* ---- Plausibility ------------------------------------------------------------------ */

size_t gate_plausible(bool *held, size_t *odd, size_t analysts,
                      const struct gate_verdict *verdicts, size_t count,
                      const struct gate_limits *limits)
{
    memset(odd, 0, analysts * sizeof *odd);
    for (size_t i = 0; i < count; i++) {
        odd[verdicts[i].analyst] += verdicts[i].anomalous && !verdicts[i].confirmed &&
                                    (double)verdicts[i].p_value > limits->implausible_p;
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        held[i] = limits->implausible > 0 && !verdicts[i].confirmed &&
                  odd[verdicts[i].analyst] >= limits->implausible;
        total += held[i];
    }
    return total;
}

/* ---- Ranks ------------------------------------------------------------------------- */

/* ranks (count), from 0, of values; ties share the mean. */
static int mean_ranks(double *ranks, const float *values, size_t count,
                      struct deepsad_error *error)
{
    uint32_t *order;
    int status = order_ascending(&order, values, count, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;
        while (end < count && values[order[end]] <= values[order[first]]) {
            end++;
        }
        for (size_t i = first; i < end; i++) {
            ranks[order[i]] = (double)(first + end - 1) / 2;
        }
        first = end;
    }
    free(order);
    return DEEPSAD_OK;
}

static double correlation(const double *a, const double *b, size_t count)
{
    double mean = (double)(count - 1) / 2, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        ab += (a[i] - mean) * (b[i] - mean);
        aa += (a[i] - mean) * (a[i] - mean);
        bb += (b[i] - mean) * (b[i] - mean);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : (double)NAN;
}

int gate_rank_correlation(double *out, const float *a, const float *b, size_t count,
                          struct deepsad_error *error)
{
    if (count < 2) {
        *out = (double)NAN;
        return DEEPSAD_OK;
    }
    double *ranks = calloc(2 * count, sizeof *ranks);
    if (ranks == NULL) {
        return error_no_memory(error, "the gate");
    }
    int status = mean_ranks(ranks, a, count, error);
    if (status == DEEPSAD_OK) {
        status = mean_ranks(ranks + count, b, count, error);
    }
    if (status == DEEPSAD_OK) {
        *out = correlation(ranks, ranks + count, count);
    }
    free(ranks);
    return status;
}

/* ---- Two models -------------------------------------------------------------------- */

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

/* Between the 5 % and the 95 % quantile. */
static int score_range(double *range, const float *scores, size_t count,
                       struct deepsad_error *error)
{
    uint32_t *order;
    int status = order_ascending(&order, scores, count, error);
    if (status == DEEPSAD_OK) {
        *range = order_quantile(scores, order, count, 0.95) -
                 order_quantile(scores, order, count, 0.05);
        free(order);
    }
    return status;
}

static int measure_spread(double *spread, const struct gate_side *champion,
                          const struct gate_side *challenger, size_t rows,
                          struct deepsad_error *error)
{
    double before, after;
    *spread = (double)NAN;
    if (rows == 0) {
        return DEEPSAD_OK;
    }
    int status = score_range(&before, champion->scores, rows, error);
    if (status == DEEPSAD_OK) {
        status = score_range(&after, challenger->scores, rows, error);
    }
    if (status == DEEPSAD_OK && before > 0) {
        *spread = after / before;
    }
    return status;
}

/* Old labels by class, and the two models' views of them. */
struct paired {
    const struct gate_rows *rows;
    const float *ranks[2]; /* champion, challenger */
};

/* The share of the other class that label i is on the right side of, ties one half: its
 * part in the AUC. */
static double placement(const struct paired *paired, size_t model, size_t i)
{
    const float *ranks = paired->ranks[model];
    const signed char *y = paired->rows->y;
    double right = 0;
    size_t others = 0;
    for (size_t j = 0; j < paired->rows->labels; j++) {
        if (y[j] != y[i]) {
            float anomaly = y[i] < 0 ? ranks[i] : ranks[j];
            float normal = y[i] < 0 ? ranks[j] : ranks[i];
            right += anomaly < normal ? 1 : anomaly > normal ? 0 : 0.5;
            others++;
        }
    }
    return right / (double)others;
}

/* Of one class: the mean placement in each model, and the variance of the difference. */
struct placements {
    double mean[2], variance;
    size_t count;
};

static struct placements place_class(const struct paired *paired, signed char y)
{
    struct placements out = {.count = 0};
    double mean = 0, squares = 0; /* of the difference: Welford's */
    for (size_t i = 0; i < paired->rows->labels; i++) {
        if ((paired->rows->y[i] < 0) != (y < 0)) {
            continue;
        }
        double before = placement(paired, 0, i), after = placement(paired, 1, i);
        out.count++;
        out.mean[0] += (before - out.mean[0]) / (double)out.count;
        out.mean[1] += (after - out.mean[1]) / (double)out.count;
        double delta = after - before - mean;
        mean += delta / (double)out.count;
        squares += delta * (after - before - mean);
    }
    out.variance = out.count > 1 ? squares / (double)(out.count - 1) : 0;
    return out;
}

static void measure_labels(struct gate_measures *measures,
                           const struct gate_side *champion,
                           const struct gate_side *challenger,
                           const struct gate_rows *rows)
{
    struct paired paired = {rows, {champion->ranks, challenger->ranks}};
    struct placements anomalies = place_class(&paired, -1);
    struct placements normals = place_class(&paired, 1);
    measures->champion_auc = anomalies.mean[0];
    measures->challenger_auc = anomalies.mean[1];
    measures->auc_error = sqrt(anomalies.variance / (double)anomalies.count +
                               normals.variance / (double)normals.count);
}

/* Worse by more than is allowed, and by more than chance. */
static bool is_worse(const struct gate_measures *measures,
                     const struct gate_limits *limits)
{
    double loss = measures->champion_auc - measures->challenger_auc;
    return loss > limits->auc_loss && loss > errors_wide * measures->auc_error;
}

static enum gate_verdict_kind judge(const struct gate_measures *measures,
                                    const struct gate_limits *limits)
{
    if (measures->spread < spread_min) {
        return GATE_COLLAPSED;
    }
    if (measures->labels_compared && is_worse(measures, limits)) {
        return GATE_WORSE;
    }
    return measures->rank_correlation < limits->rank_correlation ? GATE_MOVED
                                                                 : GATE_PASSED;
}

int gate_compare(struct gate_measures *out, const struct gate_side *champion,
                 const struct gate_side *challenger, const struct gate_rows *rows,
                 const struct gate_limits *limits, struct deepsad_error *error)
{
    struct gate_measures measures = {.champion_auc = (double)NAN,
                                     .challenger_auc = (double)NAN,
                                     .auc_error = (double)NAN,
                                     .rank_correlation = (double)NAN,
                                     .spread = (double)NAN};
    for (size_t i = 0; i < rows->labels; i++) {
        measures.old_anomalies += rows->y[i] < 0;
        measures.old_normals += rows->y[i] > 0;
    }
    bool enough = measures.old_anomalies >= GATE_ANOMALIES_MIN &&
                  measures.old_normals >= GATE_NORMALS_MIN;
    measures.labels_compared = enough && champion->out_of_fold && challenger->out_of_fold;
    if (!all_finite(challenger->scores, rows->rows) ||
        !all_finite(challenger->ranks, rows->labels)) {
        measures.verdict = GATE_NOT_FINITE;
        *out = measures;
        return DEEPSAD_OK;
    }
    int status =
        measure_spread(&measures.spread, champion, challenger, rows->rows, error);
    if (status == DEEPSAD_OK && measures.labels_compared) {
        measure_labels(&measures, champion, challenger, rows);
    }
    if (status == DEEPSAD_OK && enough) {
        status = gate_rank_correlation(&measures.rank_correlation, champion->scores,
                                       challenger->scores, rows->rows, error);
    }
    if (status == DEEPSAD_OK) {
        measures.verdict = judge(&measures, limits);
        *out = measures;
    }
    return status;
}
