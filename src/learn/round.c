/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "learn/decide.h"
#include "learn/training_rows.h"
#include "model/training_set_file.h"

/* Fewer unlabeled rows than this teach a model nothing that it could be calibrated by. */
enum { ROUND_ROWS_MIN = 100 };

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
        status =
            round_quarantine(round, held,
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
    round_note(round, "champion", json_sprintf("%u", round->champion->number));
    round_note(round, "labels",
               json_pack("{s:I, s:I, s:I, s:I, s:I}", "in_force",
                         (json_int_t)c->in_force.count, "old", (json_int_t)c->old_count,
                         "new", (json_int_t)c->new_count, "removed",
                         (json_int_t)c->removed, "held", (json_int_t)round->held));
    round_note(round, "rows",
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
        status =
            training_rows_make(&round->old_set, &round->collected, false, policy, error);
    }
    if (status == DEEPSAD_OK) {
        status =
            training_rows_make(&round->full_set, &round->collected, true, policy, error);
    }
    if (status == DEEPSAD_OK) {
        status =
            training_rows_moved(&round->moved, &round->collected, &round->old_set, error);
    }
    if (status == DEEPSAD_OK) {
        describe_collected(round);
    }
    return status;
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
    round_enter(round, "collect");
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
        round_conclude(round, ROUND_REJECTED, round->held > 0 ? "held" : "unchanged",
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
