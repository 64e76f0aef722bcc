/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/round.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "learn/collect.h"
#include "learn/judge.h"
#include "learn/publish.h"

/* Fewer unlabeled rows than this teach a model nothing that it could be calibrated by. */
enum { ROUND_ROWS_MIN = 100 };

struct round {
    const struct round_options *options;
    const struct catalog_entry *entry;
    const struct catalog_version *champion;
    struct gate_limits limits;
    struct publish_place place;
    struct deepsad_recipe *recipe;
    struct retrain_options how;
    struct collected collected;
    struct training_set old_set, full_set; /* without the new labels; with them */
    struct deepsad_model *challenger, *control;
    size_t held;
    bool moved; /* the traffic is not what the champion was trained on */
    struct round_result result;
};

static void done(struct round *round)
{
    deepsad_model_unref(round->challenger);
    deepsad_model_unref(round->control);
    training_set_done(&round->old_set);
    training_set_done(&round->full_set);
    collected_done(&round->collected);
    deepsad_recipe_free(round->recipe);
    publish_place_done(&round->place);
}

static void enter(const struct round *round, const char *phase)
{
    if (round->options->phase != NULL) {
        round->options->phase(round->options->closure, phase);
    }
}

__attribute__((format(printf, 4, 5))) static void conclude(struct round *round,
                                                           enum round_end end,
                                                           const char *decision,
                                                           const char *format, ...)
{
    va_list arguments;
    round->result.end = end;
    snprintf(round->result.decision, sizeof round->result.decision, "%s", decision);
    va_start(arguments, format);
    vsnprintf(round->result.reason, sizeof round->result.reason, format, arguments);
    va_end(arguments);
}

static void note(struct round *round, const char *key, json_t *value)
{
    json_object_set_new(round->result.detail, key, value);
}

/* ---- Collecting -------------------------------------------------------------------- */

static int find_champion(struct round *round, struct deepsad_error *error)
{
    const struct round_options *options = round->options;
    round->entry = options->entry;
    if (round->entry->version_count == 0) {
        return error_set(error, DEEPSAD_NOT_FOUND, "model %s has no version that loads",
                         round->entry->name);
    }
    round->champion = &round->entry->versions[0];
    const struct policy *policy = &round->entry->policy;
    round->limits =
        (struct gate_limits){.auc_loss = policy->gate.auc_loss,
                             .rank_correlation = policy->gate.rank_correlation,
                             .implausible_p = policy->gate.implausible_p,
                             .implausible = policy->gate.implausible};
    return publish_place_init(&round->place, options->directory, round->entry, error);
}

static int plan_training(struct round *round, struct deepsad_error *error)
{
    const struct deepsad_model *model = round->champion->model;
    int status = retrain_recipe(&round->recipe, &round->how.seed, model, error);
    round->how.parent = round->champion->number;
    round->how.scaler = &model->scaler;
    round->how.names = model->named ? model->names : NULL;
    round->how.channels = model->channels;
    round->how.height = model->height;
    round->how.width = model->width;
    return status;
}

/* The new labels as the gate wants them; verdicts (new_count). */
static int describe_new(const struct round *round, struct gate_verdict *verdicts,
                        struct deepsad_error *error)
{
    const struct collected *collected = &round->collected;
    const struct store_labels *labels = &collected->in_force;
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    int status = workspace == NULL ? error_no_memory(error, "scoring") : DEEPSAD_OK;
    for (size_t i = 0; i < collected->new_count && status == DEEPSAD_OK; i++) {
        const struct collected_label *label = &collected->fresh[i];
        float score;
        verdicts[i] = (struct gate_verdict){
            .analyst = label->analyst,
            .anomalous = labels->labels[label->at].verdict == STORE_ANOMALOUS,
            .confirmed = label->confirmed};
        status =
            deepsad_score(round->champion->model, workspace, &score, &verdicts[i].p_value,
                          labels->x + label->at * labels->features, 1, error);
    }
    deepsad_workspace_free(workspace);
    return status;
}

/* The new labels for which held (new_count), or where NULL all, go to quarantine. */
static int quarantine(struct round *round, const bool *held, const char *reason,
                      struct deepsad_error *error)
{
    const struct collected *collected = &round->collected;
    const char **ids = calloc(collected->new_count + 1, sizeof *ids);
    if (ids == NULL) {
        return error_no_memory(error, "labels");
    }
    size_t count = 0;
    for (size_t i = 0; i < collected->new_count; i++) {
        if (held == NULL || held[i]) {
            ids[count++] = collected->in_force.labels[collected->fresh[i].at].id;
        }
    }
    int status = DEEPSAD_OK;
    if (count > 0) {
        status = store_quarantine(round->options->store, round->entry->name, ids, count,
                                  round->options->job, reason, error);
    }
    free(ids);
    round->result.quarantined += status == DEEPSAD_OK ? count : 0;
    return status;
}

/* Plausibility: what looks like a mistake, or worse, waits for a second verdict. */
static int hold_back(struct round *round, struct deepsad_error *error)
{
    struct collected *collected = &round->collected;
    size_t count = collected->new_count;
    struct gate_verdict *verdicts = calloc(count + 1, sizeof *verdicts);
    bool *held = calloc(count + 1, sizeof *held);
    size_t *odd = calloc(collected->analysts + 1, sizeof *odd);
    int status = verdicts == NULL || held == NULL || odd == NULL
                     ? error_no_memory(error, "the gate")
                     : describe_new(round, verdicts, error);
    if (status == DEEPSAD_OK) {
        round->held = gate_plausible(held, odd, collected->analysts, verdicts, count,
                                     &round->limits);
    }
    if (status == DEEPSAD_OK && round->held > 0) {
        status = quarantine(round, held,
                            "implausible: \"anomalous\" on several rows that the model "
                            "finds ordinary; a second analyst's verdict releases it",
                            error);
    }
    if (status == DEEPSAD_OK) {
        collected_drop(collected, held);
    }
    free(verdicts);
    free(held);
    free(odd);
    return status;
}

static void describe_collected(struct round *round)
{
    const struct collected *c = &round->collected;
    const struct training_set *set = &round->full_set;
    note(round, "champion", json_sprintf("%u", round->champion->number));
    note(round, "labels",
         json_pack("{s:I, s:I, s:I, s:I, s:I}", "in_force", (json_int_t)c->in_force.count,
                   "old", (json_int_t)c->old_count, "new", (json_int_t)c->new_count,
                   "removed", (json_int_t)c->removed, "held", (json_int_t)round->held));
    note(round, "rows",
         json_pack("{s:I, s:I, s:I}", "base", (json_int_t)set->base, "traffic",
                   (json_int_t)set->traffic, "labelled", (json_int_t)set->labels));
}

/* The rows that the champion's file keeps; it may keep none. */
static int read_champion(struct training_set *out, const struct round *round,
                         struct deepsad_error *error)
{
    struct deepsad_error fault = {0};
    char *file = publish_version_file(&round->place, round->champion->number);
    if (file == NULL) {
        return error_no_memory(error, "a path");
    }
    int status = training_set_read(out, file, &fault);
    bool there = access(file, R_OK) == 0;
    free(file);
    if (status == DEEPSAD_NOT_FOUND && there) {
        *out = (struct training_set){.features = round->champion->model->features};
        return DEEPSAD_OK;
    }
    return status == DEEPSAD_OK
               ? DEEPSAD_OK
               : error_set(error, (enum deepsad_status)status, "%s", fault.message);
}

static int collect_all(struct round *round, struct deepsad_error *error)
{
    const struct round_options *options = round->options;
    const struct policy *policy = &round->entry->policy;
    struct store_counts counts = {0};
    struct training_set champion = {0};
    int status = store_counts(options->store, &counts, round->entry->name, error);
    round->result.journal_seq = counts.last_seq;
    if (status == DEEPSAD_OK) {
        status = read_champion(&champion, round, error);
    }
    if (status == DEEPSAD_OK) {
        status = collect(&round->collected, &champion, options->store, round->entry->name,
                         policy, error);
    }
    if (status == DEEPSAD_OK) {
        status = hold_back(round, error);
    }
    if (status == DEEPSAD_OK) {
        status = collected_set(&round->old_set, &round->collected, false, policy, error);
    }
    if (status == DEEPSAD_OK) {
        status = collected_set(&round->full_set, &round->collected, true, policy, error);
    }
    if (status == DEEPSAD_OK) {
        status = collected_traffic_moved(&round->moved, &round->collected,
                                         &round->old_set, error);
    }
    if (status == DEEPSAD_OK) {
        describe_collected(round);
    }
    return status;
}

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
    enter(round, "publish");
    if (atomic_load(round->options->train.cancelled)) {
        return error_set(error, DEEPSAD_CANCELLED, "cancelled before it was published");
    }
    int status = judge_second_looks(&looks, model, set, error);
    if (status == DEEPSAD_OK) {
        status = retrain_annotate(model, "second_looks", looks, error);
    }
    if (status == DEEPSAD_OK) {
        status = retrain_annotate(model, "gate", describe_decision(round), error);
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
    conclude(round, ROUND_WAITING, "waiting", "%.200s; to be activated: %s", reason,
             manual ? "retraining.mode is manual" : "promotion is held since activate");
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
    conclude(round, ROUND_REJECTED, "recalibrated",
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
        note(round, "recalibrated", json_sprintf("%u", live));
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
    note(round, out == &round->control ? "control_seconds" : "challenger_seconds",
         json_real(clock_monotonic() - start));
    return status;
}

static int compare(struct round *round, struct gate_measures *out, const char *name,
                   const struct deepsad_model *champion,
                   const struct deepsad_model *challenger, struct deepsad_error *error)
{
    enter(round, "gate");
    int status = judge(out, champion, challenger, &round->old_set, &round->limits, error);
    if (status == DEEPSAD_OK) {
        note(round, name, judge_describe(out));
    }
    return status;
}

/* The new labels wait, the challenger is kept aside. */
static int stop(struct round *round, const char *why, struct deepsad_error *error)
{
    char reason[160];
    snprintf(reason, sizeof reason, "stopped by the gate: %s", why);
    conclude(round, ROUND_REJECTED, "stopped", "%s", reason);
    int status = quarantine(round, NULL, reason, error);
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
    int status = quarantine(round, NULL, reason, error);
    conclude(round, ROUND_PROMOTED, "control promoted",
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
        conclude(round, ROUND_REJECTED, "stopped", "without the labels taken back: %s",
                 gate_verdict_names[measures.verdict]);
        return publish(round, round->control, &round->old_set, true, error);
    }
    if (round->collected.new_count == 0) {
        conclude(round, ROUND_PROMOTED, "promoted", "%zu labels taken back are out",
                 round->collected.removed);
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
    conclude(round, ROUND_PROMOTED, "promoted",
             "%zu labels taken back are out, %zu new ones passed the gate",
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
        conclude(round, ROUND_PROMOTED, "promoted",
                 "the data moved, not the labels: a control without them ranks alike");
        return promote(round, round->challenger, &round->full_set, error);
    }
    if (sane(&control) && control.verdict != GATE_WORSE) {
        return promote_control(round, gate_verdict_names[measures.verdict], error);
    }
    return stop(round, gate_verdict_names[measures.verdict], error);
}

static int decide(struct round *round, struct deepsad_error *error)
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
        conclude(round, ROUND_PROMOTED, "promoted", "%s",
                 measures.verdict == GATE_MOVED ? "the data moved; no label is new"
                 : measures.labels_compared     ? "as good on old labels, ranks alike"
                                                : "too few old labels to compare by");
        return promote(round, round->challenger, &round->full_set, error);
    }
    return stop(round, gate_verdict_names[measures.verdict], error);
}

/* ---- The whole --------------------------------------------------------------------- */

static bool has_work(const struct round *round)
{
    const struct collected *collected = &round->collected;
    return collected->new_count > 0 || collected->removed > 0 ||
           round->options->by_hand || round->moved;
}

static int run(struct round *round, struct deepsad_error *error)
{
    enter(round, "collect");
    int status = find_champion(round, error);
    if (status == DEEPSAD_OK) {
        status = plan_training(round, error);
    }
    if (status == DEEPSAD_OK) {
        status = collect_all(round, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (round->old_set.base + round->old_set.traffic < ROUND_ROWS_MIN) {
        return error_set(
            error, DEEPSAD_INVALID,
            "there are %zu unlabeled rows to train on, %d are needed: the "
            "version keeps none of its own (recipe setting reservoir); score "
            "with \"keep\": true to collect some",
            round->old_set.base + round->old_set.traffic, ROUND_ROWS_MIN);
    }
    if (!has_work(round)) {
        conclude(round, ROUND_REJECTED, round->held > 0 ? "held" : "unchanged",
                 round->held > 0 ? "%zu new labels wait for a second verdict"
                                 : "nothing has changed: %zu new labels",
                 round->held);
        return DEEPSAD_OK;
    }
    status = decide(round, error);
    if (round->held > 0) {
        size_t used = strlen(round->result.reason);
        snprintf(round->result.reason + used, sizeof round->result.reason - used,
                 "; %zu implausible labels wait for a second verdict", round->held);
    }
    return status;
}

int round_run(struct round_result *out, const struct round_options *options,
              struct deepsad_error *error)
{
    struct round round = {.options = options, .result.detail = json_object()};
    int status = round.result.detail == NULL ? error_no_memory(error, "a job")
                                             : run(&round, error);
    if (status == DEEPSAD_OK) {
        *out = round.result;
    } else {
        json_decref(round.result.detail);
    }
    done(&round);
    return status;
}
