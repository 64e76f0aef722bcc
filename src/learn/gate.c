/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/gate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/order.h"
#include "nn/metrics.h"

/* A challenger whose scores spread over less than this share of the champion's range says
 * the same of all rows. */
static const double spread_min = 0.05;

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

/* Ranks fall where scores rise: 1 - rank is a score. */
static int measure_auc(double *auc, const float *ranks, const struct gate_rows *rows,
                       struct deepsad_error *error)
{
    float *scores = malloc((rows->labels + 1) * sizeof *scores);
    unsigned char *anomalous = malloc(rows->labels + 1);
    int status = scores == NULL || anomalous == NULL ? error_no_memory(error, "the gate")
                                                     : DEEPSAD_OK;
    for (size_t i = 0; i < rows->labels && status == DEEPSAD_OK; i++) {
        scores[i] = 1 - ranks[i];
        anomalous[i] = rows->y[i] < 0;
    }
    if (status == DEEPSAD_OK) {
        status = metrics_auc_roc(auc, scores, anomalous, rows->labels, error);
    }
    free(scores);
    free(anomalous);
    return status;
}

static int measure_labels(struct gate_measures *measures,
                          const struct gate_side *champion,
                          const struct gate_side *challenger,
                          const struct gate_rows *rows, struct deepsad_error *error)
{
    int status = measure_auc(&measures->champion_auc, champion->ranks, rows, error);
    return status != DEEPSAD_OK
               ? status
               : measure_auc(&measures->challenger_auc, challenger->ranks, rows, error);
}

static enum gate_verdict_kind judge(const struct gate_measures *measures,
                                    const struct gate_limits *limits)
{
    if (measures->spread < spread_min) {
        return GATE_COLLAPSED;
    }
    if (measures->labels_compared &&
        measures->challenger_auc - measures->champion_auc < -limits->auc_loss) {
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
        status = measure_labels(&measures, champion, challenger, rows, error);
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
