/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "learn/judge.h"
#include "learn/training_rows.h"

/* ---- Publishing -------------------------------------------------------------------- */

/* What the version tells of how it came to be. */
static json_t *describe_decision(const struct round *round)
{
    json_t *gate = json_pack("{s:s, s:s, s:s}", "decision", round->result.decision,
                             "reason", round->result.reason, "job", round->options->job);
    json_object_update_missing(gate, round->result.detail);
    return gate;
}

/* Writes `model` as a version, live unless `challenger`, or somebody must activate it. */
static int publish(struct round *round, struct deepsad_model *model,
                   const struct training_set *set, bool challenger,
                   struct deepsad_error *error)
{
    json_t *looks = NULL;
    int status = judge_second_looks(&looks, model, set, error);
    if (status == DEEPSAD_OK) {
        status = retrain_annotate(model, "second_looks", looks, error);
    }
    if (status == DEEPSAD_OK) {
        status = retrain_annotate(model, "gate", describe_decision(round), error);
    }
    if (status == DEEPSAD_OK && !round->options->publish(round->options->closure)) {
        status = error_set(error, DEEPSAD_CANCELLED, "cancelled before it was published");
    }
    if (status == DEEPSAD_OK) {
        status = publish_version(&round->result.version, &round->place, model, challenger,
                                 error);
    }
    if (status == DEEPSAD_OK && !challenger) {
        round->result.live = round->result.version;
    }
    return status;
}

/* As it is on disk now: somebody may have rolled back since the round began. */
static bool is_held(const struct round *round)
{
    struct live live;
    return live_read(&live, round->place.directory, NULL) == DEEPSAD_OK
               ? live.hold
               : round->entry->live.hold;
}

/* The winner goes live, or where nobody may promote but a person, waits for that. */
static int promote(struct round *round, struct deepsad_model *model,
                   const struct training_set *set, struct deepsad_error *error)
{
    bool manual = round->entry->policy.retraining.mode != POLICY_AUTO;
    if (!manual && !is_held(round)) {
        return publish(round, model, set, false, error);
    }
    char reason[sizeof round->result.reason];
    snprintf(reason, sizeof reason, "%s", round->result.reason);
    round_conclude(round, ROUND_WAITING, "waiting", "%.200s; to be activated: %s", reason,
                   manual ? "retraining.mode is manual"
                          : "promotion is held since activate");
    return publish(round, model, set, true, error);
}

/* The champion's p-values on the rows of today; stale ones are the real danger. */
static int recalibrate(struct round *round, struct deepsad_error *error)
{
    const struct policy *policy = &round->entry->policy;
    if (policy->retraining.mode != POLICY_AUTO || !round->moved || is_held(round)) {
        return DEEPSAD_OK;
    }
    struct deepsad_model *model = NULL;
    const struct round_result before = round->result;
    round_conclude(
        round, ROUND_REJECTED, "recalibrated",
        "version %u with p-values for the rows of today; a challenger was stopped",
        round->champion->number);
    int status = publish_read(&model, &round->place, round->champion->number, error);
    if (status == DEEPSAD_OK) {
        status =
            retrain_recalibrate(model, &round->old_set, round->champion->number, error);
    }
    if (status == DEEPSAD_OK) {
        status = publish(round, model, &round->old_set, false, error);
    }
    deepsad_model_unref(model);
    if (status == DEEPSAD_OK) {
        unsigned live = round->result.live;
        round_note(round, "recalibrated", json_sprintf("%u", live));
        round->result = before;
        round->result.live = live;
    }
    return status;
}

/* ---- Judging ----------------------------------------------------------------------- */

static int train(struct round *round, struct deepsad_model **out,
                 const struct training_set *set, struct deepsad_error *error)
{
    double start = clock_monotonic();
    int status =
        train_within(out, set, round->recipe, &round->how, &round->options->train, error);
    round_note(round, out == &round->control ? "control_seconds" : "challenger_seconds",
               json_real(clock_monotonic() - start));
    return status;
}

static int compare(struct round *round, struct gate_measures *out, const char *name,
                   const struct deepsad_model *champion,
                   const struct deepsad_model *challenger, struct deepsad_error *error)
{
    round_enter(round, "gate");
    int status = judge(out, champion, challenger, &round->old_set, &round->limits, error);
    if (status == DEEPSAD_OK) {
        round_note(round, name, judge_describe(out));
    }
    return status;
}

/* The new labels for which left_out (new_count), or where NULL all, wait: once the job
 * cannot be cancelled any more, for one that was changes nothing. */
static int put_aside(struct round *round, const bool *left_out, const char *reason,
                     struct deepsad_error *error)
{
    return round->options->publish(round->options->closure)
               ? round_quarantine(round, left_out, reason, error)
               : error_set(error, DEEPSAD_CANCELLED, "cancelled before it was published");
}

/* ---- One analyst among several ----------------------------------------------------- */

/* More are not looked at one by one. */
enum { BLAME_MOST = 8 };

/* Whose the new label is the first of, in the order of the journal. */
static bool is_first_of_analyst(const struct collected *collected, size_t label)
{
    for (size_t i = 0; i < label; i++) {
        if (collected->fresh[i].analyst == collected->fresh[label].analyst) {
            return false;
        }
    }
    return true;
}

static size_t count_analysts(const struct collected *collected)
{
    size_t count = 0;
    for (size_t i = 0; i < collected->new_count; i++) {
        count += is_first_of_analyst(collected, i);
    }
    return count;
}

/* The training set without the new labels for which left_out (new_count). */
static int rows_without(struct training_set *out, const struct round *round,
                        const bool *left_out, struct deepsad_error *error)
{
    struct collected others = round->collected;
    others.fresh = malloc((others.new_count + 1) * sizeof *others.fresh);
    if (others.fresh == NULL) {
        return error_no_memory(error, "labels");
    }
    memcpy(others.fresh, round->collected.fresh, others.new_count * sizeof *others.fresh);
    collected_drop(&others, left_out);
    int status = training_rows_make(out, &others, true, &round->entry->policy, error);
    free(others.fresh);
    return status;
}

/* Trains without those labels; if that passes, it is promoted, and they wait. */
static int try_without(struct round *round, const struct deepsad_model *judge_of,
                       const bool *left_out, const char *analyst, const char *why,
                       bool *spared, struct deepsad_error *error)
{
    struct training_set set = {0};
    struct deepsad_model *model = NULL;
    struct gate_measures measures = {.verdict = GATE_WORSE};
    char reason[160];
    int status = rows_without(&set, round, left_out, error);
    if (status == DEEPSAD_OK) {
        status = train(round, &model, &set, error);
    }
    if (status == DEEPSAD_OK) {
        status = compare(round, &measures, "without_one_analyst", judge_of, model, error);
    }
    if (status == DEEPSAD_OK && measures.verdict == GATE_PASSED) {
        *spared = true;
        snprintf(reason, sizeof reason, "stopped by the gate: %s", why);
        status = put_aside(round, left_out, reason, error);
        round_conclude(round, ROUND_PROMOTED, "promoted",
                       "without the new labels of %.60s, with which it is %s",
                       analyst == NULL ? "those who gave no name" : analyst, why);
    }
    if (status == DEEPSAD_OK && *spared) {
        status = promote(round, model, &set, error);
    }
    deepsad_model_unref(model);
    training_set_done(&set);
    return status;
}

/* Where several analysts gave the new labels, those of one may be all that is wrong: then
 * they alone wait. */
static int spare_others(struct round *round, const struct deepsad_model *judge_of,
                        const char *why, bool *spared, struct deepsad_error *error)
{
    const struct collected *collected = &round->collected;
    size_t analysts = count_analysts(collected);
    bool *left_out = calloc(collected->new_count + 1, sizeof *left_out);
    int status = left_out == NULL ? error_no_memory(error, "labels") : DEEPSAD_OK;
    *spared = false;
    for (size_t i = 0; i < collected->new_count && analysts > 1 &&
                       analysts <= BLAME_MOST && !*spared && status == DEEPSAD_OK;
         i++) {
        if (!is_first_of_analyst(collected, i)) {
            continue;
        }
        for (size_t j = 0; j < collected->new_count; j++) {
            left_out[j] = collected->fresh[j].analyst == collected->fresh[i].analyst;
        }
        const char *analyst = collected->in_force.labels[collected->fresh[i].at].analyst;
        status = try_without(round, judge_of, left_out, analyst, why, spared, error);
    }
    free(left_out);
    return status;
}

/* ---- Decisions --------------------------------------------------------------------- */

/* The new labels wait, the challenger is kept aside. */
static int stop(struct round *round, const char *why, struct deepsad_error *error)
{
    char reason[160];
    bool spared;
    int status = spare_others(round, round->champion->model, why, &spared, error);
    if (status != DEEPSAD_OK || spared) {
        return status;
    }
    snprintf(reason, sizeof reason, "stopped by the gate: %s", why);
    round_conclude(round, ROUND_REJECTED, "stopped", "%s", reason);
    status = put_aside(round, NULL, reason, error);
    if (status == DEEPSAD_OK) {
        status = publish(round, round->challenger, &round->full_set, true, error);
    }
    return status == DEEPSAD_OK ? recalibrate(round, error) : status;
}

/* The new labels wait, and the control takes the champion's place. */
static int promote_control(struct round *round, const char *why,
                           struct deepsad_error *error)
{
    char reason[160];
    bool spared;
    int status = spare_others(round, round->control, why, &spared, error);
    if (status != DEEPSAD_OK || spared) {
        return status;
    }
    snprintf(reason, sizeof reason, "stopped by the gate: %s", why);
    status = put_aside(round, NULL, reason, error);
    round_conclude(round, ROUND_PROMOTED, "control promoted",
                   "without the new labels, which %s", why);
    return status == DEEPSAD_OK ? promote(round, round->control, &round->old_set, error)
                                : status;
}

static bool sane(const struct gate_measures *measures)
{
    return measures->verdict != GATE_NOT_FINITE && measures->verdict != GATE_COLLAPSED;
}

/* Labels were taken back: the champion still holds them, so the control is the judge, and
 * takes its place whatever comes of the new labels. */
static int decide_removal(struct round *round, struct deepsad_error *error)
{
    struct gate_measures measures;
    int status = train(round, &round->control, &round->old_set, error);
    if (status == DEEPSAD_OK) {
        status = compare(round, &measures, "control_against_champion",
                         round->champion->model, round->control, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (!sane(&measures)) {
        round_conclude(round, ROUND_REJECTED, "stopped",
                       "without the labels taken back: %s",
                       gate_verdict_names[measures.verdict]);
        return publish(round, round->control, &round->old_set, true, error);
    }
    if (round->collected.new_count == 0) {
        round_conclude(round, ROUND_PROMOTED, "promoted",
                       "labels taken back are out: %zu", round->collected.removed);
        return promote(round, round->control, &round->old_set, error);
    }
    status = train(round, &round->challenger, &round->full_set, error);
    if (status == DEEPSAD_OK) {
        status = compare(round, &measures, "challenger_against_control", round->control,
                         round->challenger, error);
    }
    if (status == DEEPSAD_OK && measures.verdict != GATE_PASSED) {
        return promote_control(round, gate_verdict_names[measures.verdict], error);
    }
    round_conclude(round, ROUND_PROMOTED, "promoted",
                   "labels taken back are out: %zu; new ones that passed the gate: %zu",
                   round->collected.removed, round->collected.new_count);
    return status == DEEPSAD_OK
               ? promote(round, round->challenger, &round->full_set, error)
               : status;
}

/* Did the labels move the ranks, or the data? */
static int decide_moved(struct round *round, struct deepsad_error *error)
{
    struct gate_measures measures, control;
    int status = train(round, &round->control, &round->old_set, error);
    if (status == DEEPSAD_OK) {
        status = compare(round, &measures, "challenger_against_control", round->control,
                         round->challenger, error);
    }
    if (status == DEEPSAD_OK) {
        status = compare(round, &control, "control_against_champion",
                         round->champion->model, round->control, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (measures.verdict == GATE_PASSED) {
        round_conclude(
            round, ROUND_PROMOTED, "promoted",
            "the data moved, not the labels: a control without them ranks alike");
        return promote(round, round->challenger, &round->full_set, error);
    }
    if (sane(&control) && control.verdict != GATE_WORSE) {
        return promote_control(round, gate_verdict_names[measures.verdict], error);
    }
    return stop(round, gate_verdict_names[measures.verdict], error);
}

int decide(struct round *round, struct deepsad_error *error)
{
    struct gate_measures measures;
    if (round->collected.removed > 0) {
        return decide_removal(round, error);
    }
    int status = train(round, &round->challenger, &round->full_set, error);
    if (status == DEEPSAD_OK) {
        status = compare(round, &measures, "challenger_against_champion",
                         round->champion->model, round->challenger, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (measures.verdict == GATE_MOVED && round->collected.new_count > 0) {
        return decide_moved(round, error);
    }
    if (measures.verdict == GATE_PASSED || measures.verdict == GATE_MOVED) {
        round_conclude(
            round, ROUND_PROMOTED, "promoted", "%s",
            measures.verdict == GATE_MOVED ? "the data moved; no label is new"
            : measures.labels_compared
                ? "as good on old labels, ranks alike"
                : "nothing to compare by yet: fewer than 10 anomalies and 2 normals were "
                  "accepted before");
        return promote(round, round->challenger, &round->full_set, error);
    }
    return stop(round, gate_verdict_names[measures.verdict], error);
}
