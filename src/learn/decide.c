/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/decide.h"

#include <stdio.h>

#include "base/clock.h"
#include "learn/judge.h"

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

/* The new labels wait, the challenger is kept aside. */
static int stop(struct round *round, const char *why, struct deepsad_error *error)
{
    char reason[160];
    snprintf(reason, sizeof reason, "stopped by the gate: %s", why);
    round_conclude(round, ROUND_REJECTED, "stopped", "%s", reason);
    int status = round_quarantine(round, NULL, reason, error);
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
    snprintf(reason, sizeof reason, "stopped by the gate: %s", why);
    int status = round_quarantine(round, NULL, reason, error);
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
