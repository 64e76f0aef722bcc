/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/judge.h"

#include <math.h>
#include <stdlib.h>

#include "learn/known.h"

/* Which part of a class is asked about again, and how far off its rank must be. */
static const double second_share = 0.05;
static const double odd_anomaly_rank = 0.2;
static const double odd_normal_rank = 0.02;

struct view {
    float *scores, *ranks;
    bool out_of_fold;
};

static void view_done(struct view *view)
{
    free(view->scores);
    free(view->ranks);
}

static int look(struct view *view, const struct deepsad_model *model,
                const struct training_set *set, struct deepsad_error *error)
{
    view->scores = calloc(set->base + set->traffic + 1, sizeof *view->scores);
    view->ranks = calloc(set->labels + 1, sizeof *view->ranks);
    if (view->scores == NULL || view->ranks == NULL) {
        return error_no_memory(error, "the gate");
    }
    int status = retrain_unlabeled_scores(view->scores, model, set, error);
    if (status == DEEPSAD_OK) {
        status = retrain_label_ranks(view->ranks, &view->out_of_fold, model, set, error);
    }
    return status;
}

int judge(struct gate_measures *out, const struct deepsad_model *champion,
          const struct deepsad_model *challenger, const struct training_set *set,
          const struct gate_limits *limits, struct deepsad_error *error)
{
    struct view views[2] = {{0}, {0}};
    int status = look(&views[0], champion, set, error);
    if (status == DEEPSAD_OK) {
        status = look(&views[1], challenger, set, error);
    }
    if (status == DEEPSAD_OK) {
        struct gate_rows rows = {
            .rows = set->base + set->traffic, .labels = set->labels, .y = set->y};
        struct gate_side sides[2];
        for (size_t i = 0; i < 2; i++) {
            sides[i] =
                (struct gate_side){views[i].scores, views[i].ranks, views[i].out_of_fold};
        }
        status = gate_compare(out, &sides[0], &sides[1], &rows, limits, error);
    }
    view_done(&views[0]);
    view_done(&views[1]);
    return status;
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *judge_describe(const struct gate_measures *measures)
{
    double delta = measures->challenger_auc - measures->champion_auc;
    return json_pack(
        "{s:s, s:{s:I, s:I}, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "verdict",
        gate_verdict_names[measures->verdict], "old_labels", "normal",
        (json_int_t)measures->old_normals, "anomalous",
        (json_int_t)measures->old_anomalies, "labels_compared", measures->labels_compared,
        "champion_auc", number(measures->champion_auc), "challenger_auc",
        number(measures->challenger_auc), "auc_difference", number(delta), "auc_error",
        number(measures->auc_error), "rank_correlation",
        number(measures->rank_correlation), "spread", number(measures->spread));
}

/* ---- Second looks ------------------------------------------------------------------ */

struct suspect {
    double oddness; /* larger = more at odds with the model */
    size_t label;
};

static int by_falling_oddness(const void *a, const void *b)
{
    double one = ((const struct suspect *)a)->oddness;
    double other = ((const struct suspect *)b)->oddness;
    return (one < other) - (one > other);
}

static bool is_odd(signed char y, float rank)
{
    return y < 0 ? (double)rank > odd_anomaly_rank : (double)rank < odd_normal_rank;
}

/* The most suspect of class `y`, appended to `out`. */
static void add_suspects(json_t *out, struct suspect *suspects, signed char y,
                         const float *ranks, const struct training_set *set)
{
    size_t count = 0, class_count = 0;
    for (size_t i = 0; i < set->labels; i++) {
        class_count += set->y[i] == y;
        if (set->y[i] == y && !known_is_first(set, i) && is_odd(y, ranks[i])) {
            double oddness = y < 0 ? (double)ranks[i] : -(double)ranks[i];
            suspects[count++] = (struct suspect){oddness, i};
        }
    }
    qsort(suspects, count, sizeof *suspects, by_falling_oddness);
    size_t most = (size_t)ceil(second_share * (double)class_count);
    for (size_t i = 0; i < count && i < most; i++) {
        json_array_append_new(out, json_string(set->ids[suspects[i].label]));
    }
}

int judge_second_looks(json_t **out, const struct deepsad_model *model,
                       const struct training_set *set, struct deepsad_error *error)
{
    bool out_of_fold = false;
    float *ranks = calloc(set->labels + 1, sizeof *ranks);
    struct suspect *suspects = calloc(set->labels + 1, sizeof *suspects);
    json_t *list = json_array();
    int status = ranks == NULL || suspects == NULL || list == NULL
                     ? error_no_memory(error, "second looks")
                     : retrain_label_ranks(ranks, &out_of_fold, model, set, error);
    if (status == DEEPSAD_OK && out_of_fold) {
        add_suspects(list, suspects, -1, ranks, set);
        add_suspects(list, suspects, 1, ranks, set);
    }
    free(ranks);
    free(suspects);
    if (status != DEEPSAD_OK) {
        json_decref(list);
        return status;
    }
    *out = list;
    return DEEPSAD_OK;
}
