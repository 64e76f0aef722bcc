/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: whether a challenger may take the champion's place. Numbers in, decision out;
 * no store, no files, no clock.
 *
 * Plausibility, before training: an analyst's batch with several "anomalous" verdicts on
 * rows that the champion finds ordinary waits for somebody else's verdict.
 *
 * Always: every score is finite, and the scores have not collapsed to one value.
 *
 * Once enough labels were accepted before this batch ("old" ones): for each the rank r =
 * share of unlabeled rows that score at least as high, out of fold, by the same member in
 * both models. The challenger's AUC of r on old labels must not fall: not by more than
 * auc_loss, where that is more than chance, that is 2.5 standard errors of the paired
 * difference (DeLong et al., Biometrics 44, 1988). Without them one honest batch in seven
 * was stopped while the old labels held a handful of normals. And its scores of the
 * unlabeled rows must rank them as before (Spearman). New labels have no vote: they speak
 * for whoever learnt them.
 *
 * Where only the ranks differ, or labels were taken back, a control (same rows, old
 * labels) tells whether the data moved or the batch did it.
 */
#ifndef LEARN_GATE_H
#define LEARN_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Old labels that the gate needs to compare models by them. */
enum { GATE_ANOMALIES_MIN = 10, GATE_NORMALS_MIN = 2 };

struct gate_limits {
    double auc_loss;         /* most that the AUC on old labels may fall */
    double rank_correlation; /* least Spearman correlation with the other model */
    double implausible_p;    /* "anomalous" on rows of a larger p-value is implausible */
    size_t implausible;      /* so many hold an analyst's batch back; 0 = never */
};

/* ---- 1. Plausibility ---- */

struct gate_verdict {
    size_t analyst; /* who, below `analysts` */
    bool anomalous;
    bool confirmed; /* somebody else agrees */
    float p_value;  /* the champion's */
};

/* held (count): whether the verdict waits. Returns how many do. odd (analysts): scratch,
 * how many implausible verdicts each gave. */
size_t gate_plausible(bool *held, size_t *odd, size_t analysts,
                      const struct gate_verdict *verdicts, size_t count,
                      const struct gate_limits *limits);

/* ---- 2. and 3. Two models ---- */

/* One model's view of the same rows. */
struct gate_side {
    const float *scores; /* (rows) of the unlabeled rows */
    const float *ranks;  /* (labels) of the old labels, 0 = most anomalous */
    bool out_of_fold;    /* the ranks are by members that never saw the label */
};

struct gate_rows {
    size_t rows;
    size_t labels;
    const signed char *y; /* (labels) of the old labels: +1, -1 */
};

enum gate_verdict_kind {
    GATE_PASSED,
    GATE_NOT_FINITE,
    GATE_COLLAPSED,
    GATE_WORSE, /* on old labels */
    GATE_MOVED, /* only the ranks of the unlabeled rows differ */
};
extern const char *const gate_verdict_names[];

/* NaN: was not measured. */
struct gate_measures {
    enum gate_verdict_kind verdict;
    size_t old_normals, old_anomalies;
    bool labels_compared; /* enough old labels, and ranks out of fold in both */
    double champion_auc, challenger_auc;
    double auc_error; /* standard error of their difference */
    double rank_correlation;
    double spread; /* challenger's range of scores (5 % to 95 %) over the champion's */
};

int gate_compare(struct gate_measures *out, const struct gate_side *champion,
                 const struct gate_side *challenger, const struct gate_rows *rows,
                 const struct gate_limits *limits, struct deepsad_error *error);

/* Spearman's rank correlation of a and b (count), ties by their mean rank; NaN where one
 * of them is constant or count < 2. */
int gate_rank_correlation(double *out, const float *a, const float *b, size_t count,
                          struct deepsad_error *error);

#endif
