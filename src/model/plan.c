/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan.h"

enum {
    PLAN_STEPS = 100,      /* whatever the number of rows: long training hurts */
    PLAN_STEPS_MANY = 300, /* once so many anomalies are labelled: */
    PLAN_MANY_ANOMALIES = 100,
};

/* The paper's networks, by the number of features: arrhythmia (274) 128-64-32, thyroid
 * (6) 32-16-4, the others (9 to 36) 32-16-8. */
static struct setting_counts paper_hidden(size_t features)
{
    if (features > 100) {
        return (struct setting_counts){3, {128, 64, 32}};
    }
    if (features <= 6) {
        return (struct setting_counts){3, {32, 16, 4}};
    }
    return (struct setting_counts){3, {32, 16, 8}};
}

static int check_widths(const struct setting_counts *widths, const char *key,
                        struct deepsad_error *error)
{
    for (size_t i = 0; i < widths->count; i++) {
        if (widths->values[i] == 0) {
            return error_set(error, DEEPSAD_INVALID, "%s: a width of 0; give widths >= 1",
                             key);
        }
    }
    return DEEPSAD_OK;
}

static enum scaler_kind choose_scaler(const struct deepsad_recipe *recipe, bool image)
{
    switch ((enum recipe_scaler)recipe->scaler) {
    case RECIPE_SCALER_ASINH:
        return SCALER_ASINH;
    case RECIPE_SCALER_MINMAX:
        return SCALER_MINMAX;
    case RECIPE_SCALER_GLOBAL:
        return SCALER_GLOBAL;
    case RECIPE_SCALER_AUTO:
        break;
    }
    return image ? SCALER_GLOBAL : SCALER_ASINH;
}

static bool switched(int value, bool fallback)
{
    return value == RECIPE_AUTO ? fallback : value == RECIPE_ON;
}

static void choose_components(struct plan *plan, const struct deepsad_recipe *recipe,
                              const struct plan_facts *facts)
{
    plan->neighbours = switched(recipe->insurance, !facts->image);
    plan->autoencoder = switched(recipe->autoencoder, facts->image);
    plan->networks =
        facts->labeled_anomalies > 0 || recipe->cold_start == RECIPE_COLD_NETWORKS;
    if (!plan->neighbours && !plan->autoencoder) {
        plan->networks = true; /* something must score */
    }
    plan->neighbours_weight = recipe->insurance_weight;
    plan->autoencoder_weight = recipe->autoencoder_weight;
}

static void choose_training(struct plan *plan, const struct deepsad_recipe *recipe,
                            const struct plan_facts *facts)
{
    size_t steps = recipe->steps;
    if (recipe->epochs == 0 && steps == 0) {
        steps = facts->labeled_anomalies >= PLAN_MANY_ANOMALIES ? PLAN_STEPS_MANY
                                                                : PLAN_STEPS;
    }
    struct trainer_options *train = &plan->train_options;
    *train = (struct trainer_options){
        .epochs = recipe->epochs,
        .steps = recipe->epochs == 0 ? steps : 0,
        .batch = recipe->batch,
        .anomaly_batch = recipe->anomaly_batch,
        .learning_rate = (float)recipe->learning_rate,
        .weight_decay = (float)recipe->weight_decay,
        .decoupled_decay = recipe->decoupled,
        .schedule = recipe->schedule == RECIPE_SCHEDULE_COSINE
                        ? TRAINER_SCHEDULE_COSINE
                        : TRAINER_SCHEDULE_MILESTONES,
        .milestone_count = recipe->milestones.count,
        .loss = recipe->loss == RECIPE_LOSS_LOG ? TRAINER_LOSS_LOG : TRAINER_LOSS_PAPER,
        .eta = (float)recipe->eta,
        .trim = (float)recipe->trim,
    };
    for (size_t i = 0; i < recipe->milestones.count; i++) {
        train->milestones[i] = recipe->milestones.values[i];
    }
    plan->pretrain = recipe->pretrain_epochs > 0;
    plan->pretrain_options = (struct trainer_options){
        .epochs = recipe->pretrain_epochs,
        .batch = recipe->batch,
        .learning_rate = (float)recipe->pretrain_learning_rate,
        .weight_decay = (float)recipe->pretrain_weight_decay,
        .schedule = TRAINER_SCHEDULE_MILESTONES,
    };
    plan->autoencoder_options = (struct trainer_options){
        .steps = recipe->autoencoder_steps,
        .batch = recipe->autoencoder_batch,
        .learning_rate = (float)recipe->autoencoder_learning_rate,
        .schedule = TRAINER_SCHEDULE_MILESTONES,
    };
}

int plan_make(struct plan *out, const struct deepsad_recipe *recipe,
              const struct plan_facts *facts, struct deepsad_error *error)
{
    struct plan plan = {
        .scaler = choose_scaler(recipe, facts->image),
        .raw = recipe->score == RECIPE_SCORE_RAW,
        .members = recipe->members,
        .calibration = recipe->calibration,
        .alpha = recipe->alpha,
        .contamination = recipe->contamination,
        .hidden = recipe->hidden,
        .batch_norm = recipe->batch_norm,
        .center_rows = recipe->center_rows,
        .autoencoder_hidden = recipe->autoencoder_hidden,
        .neighbours_options = {.members = recipe->neighbours_members,
                               .scale_rows = recipe->neighbours_scale_rows,
                               .trim = recipe->neighbours_trim},
    };
    if (plan.hidden.count == 0 ||
        (plan.hidden.count == 1 && plan.hidden.values[0] == 0)) {
        plan.hidden = paper_hidden(facts->features);
    }
    choose_components(&plan, recipe, facts);
    choose_training(&plan, recipe, facts);
    if (plan.raw && plan.networks + plan.neighbours + plan.autoencoder > 1) {
        return error_set(
            error, DEEPSAD_INVALID,
            "score=raw needs a model of one component; set insurance=off and "
            "autoencoder=off, or score=normalised");
    }
    int status = check_widths(&plan.hidden, "hidden", error);
    if (status == DEEPSAD_OK) {
        status = check_widths(&plan.autoencoder_hidden, "autoencoder_hidden", error);
    }
    if (status == DEEPSAD_OK) {
        *out = plan;
    }
    return status;
}
