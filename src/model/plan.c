/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan.h"

#include <string.h>

#include "model/network_cost.h"
#include "nn/architecture_parse.h"

enum {
    PLAN_STEPS = 100,      /* whatever the number of rows: long training hurts */
    PLAN_STEPS_MANY = 300, /* of convolutional networks, and once so many are labelled: */
    PLAN_MANY_ANOMALIES = 100,
    PLAN_MEMBERS = 4,
    PLAN_MEMBERS_IMAGE = 1,
    PLAN_CONV_SIDE_MIN = 4, /* two pools */
};
static const double learning_rate_dense = 0.003;
static const double learning_rate_convolutional = 0.001;

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

static bool is_image(const struct plan_facts *facts)
{
    return image_size(facts->image) > 0;
}

/* ---- The network ---- */

static int choose_dense(struct architecture *out, const struct deepsad_recipe *recipe,
                        const struct plan_facts *facts, struct deepsad_error *error)
{
    struct setting_counts widths = recipe->hidden;
    if (widths.count == 0 || (widths.count == 1 && widths.values[0] == 0)) {
        widths = paper_hidden(facts->features);
    }
    int status = check_widths(&widths, "hidden", error);
    if (status == DEEPSAD_OK) {
        architecture_dense(out, widths.values, widths.count);
    }
    return status;
}

/* What "auto" comes to. */
static const char *network_for(const struct plan_facts *facts)
{
    struct image_shape image = facts->image;
    if (image.height < PLAN_CONV_SIDE_MIN || image.width < PLAN_CONV_SIDE_MIN) {
        return "dense";
    }
    if (image.channels == 1 && image.height == 28 && image.width == 28) {
        return "fashion-mnist-lenet";
    }
    if (image.channels == 3 && image.height == 32 && image.width == 32) {
        return "cifar-10-lenet";
    }
    return "conv:16,pool,conv:32,pool,dense:128,rep:64";
}

/* Whether the data's rows can go through it, in memory of a reasonable size. */
static int check_network(const struct architecture *network, struct image_shape input,
                         struct deepsad_error *error)
{
    struct network_cost cost;
    int status = architecture_check(network, input, error);
    return status != DEEPSAD_OK
               ? status
               : network_cost_architecture(&cost, network, input, true, error);
}

static bool is_convolutional(const struct architecture *network)
{
    for (size_t i = 0; i < network->encoder_count; i++) {
        if (network->encoder[i].kind == ARCHITECTURE_CONV ||
            network->encoder[i].kind == ARCHITECTURE_POOL) {
            return true;
        }
    }
    return false;
}

static int choose_network(struct plan *plan, const struct deepsad_recipe *recipe,
                          const struct plan_facts *facts, struct deepsad_error *error)
{
    const char *text = recipe->network;
    text = strcmp(text, "auto") == 0 ? network_for(facts) : text;
    int status = strcmp(text, "dense") == 0
                     ? choose_dense(&plan->network, recipe, facts, error)
                     : architecture_parse(&plan->network, text, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    plan->convolutional = is_convolutional(&plan->network);
    plan->input = plan->convolutional && is_image(facts)
                      ? facts->image
                      : (struct image_shape){facts->features, 1, 1};
    plan->batch_norm = recipe->batch_norm == RECIPE_AUTO
                           ? plan->convolutional
                           : recipe->batch_norm == RECIPE_ON;
    return check_network(&plan->network, plan->input, error);
}

/* ---- The rest ---- */

static enum scaler_kind default_scaler(const struct deepsad_recipe *recipe,
                                       const struct plan_facts *facts)
{
    if (recipe->base == RECIPE_REFERENCE) {
        return is_image(facts) && facts->pixels ? SCALER_NONE : SCALER_MINMAX;
    }
    return is_image(facts) ? SCALER_GLOBAL : SCALER_ASINH;
}

static enum scaler_kind choose_scaler(const struct deepsad_recipe *recipe,
                                      const struct plan_facts *facts)
{
    switch ((enum recipe_scaler)recipe->scaler) {
    case RECIPE_SCALER_ASINH:
        return SCALER_ASINH;
    case RECIPE_SCALER_MINMAX:
        return SCALER_MINMAX;
    case RECIPE_SCALER_GLOBAL:
        return SCALER_GLOBAL;
    case RECIPE_SCALER_NONE:
        return SCALER_NONE;
    case RECIPE_SCALER_AUTO:
        break;
    }
    return default_scaler(recipe, facts);
}

static bool switched(int value, bool fallback)
{
    return value == RECIPE_AUTO ? fallback : value == RECIPE_ON;
}

static void choose_components(struct plan *plan, const struct deepsad_recipe *recipe,
                              const struct plan_facts *facts)
{
    plan->neighbours = switched(recipe->insurance, !is_image(facts));
    plan->autoencoder = switched(recipe->autoencoder, is_image(facts));
    plan->networks = facts->labeled_anomalies > 0 ||
                     recipe->cold_start == RECIPE_COLD_NETWORKS ||
                     recipe->method != RECIPE_DEEPSAD;
    if (!plan->neighbours && !plan->autoencoder) {
        plan->networks = true; /* something must score */
    }
    plan->neighbours_weight = recipe->insurance_weight;
    plan->autoencoder_weight = recipe->autoencoder_weight;
}

static size_t choose_steps(const struct plan *plan, const struct deepsad_recipe *recipe,
                           const struct plan_facts *facts)
{
    if (recipe->epochs > 0 || recipe->steps > 0) {
        return recipe->epochs > 0 ? 0 : recipe->steps;
    }
    return plan->convolutional || facts->labeled_anomalies >= PLAN_MANY_ANOMALIES
               ? PLAN_STEPS_MANY
               : PLAN_STEPS;
}

static float choose_rate(const struct plan *plan, const struct deepsad_recipe *recipe)
{
    double rate = plan->convolutional ? learning_rate_convolutional : learning_rate_dense;
    return (float)(recipe->learning_rate > 0 ? recipe->learning_rate : rate);
}

static void choose_training(struct plan *plan, const struct deepsad_recipe *recipe,
                            const struct plan_facts *facts)
{
    struct trainer_options *train = &plan->train_options;
    *train = (struct trainer_options){
        .epochs = recipe->epochs,
        .steps = choose_steps(plan, recipe, facts),
        .batch = recipe->batch,
        .anomaly_batch = recipe->anomaly_batch,
        .learning_rate = choose_rate(plan, recipe),
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
}

static void choose_reconstruction(struct plan *plan, const struct deepsad_recipe *recipe,
                                  const struct plan_facts *facts)
{
    plan->autoencoder_options = (struct trainer_options){
        .steps = recipe->autoencoder_steps,
        .batch = recipe->autoencoder_batch,
        .learning_rate = (float)recipe->autoencoder_learning_rate,
        .schedule = TRAINER_SCHEDULE_MILESTONES,
    };
    plan->pretrain = recipe->pretrain_epochs > 0 && recipe->method == RECIPE_DEEPSAD;
    plan->pretrain_options =
        recipe->pretrain_epochs == 0
            ? plan->autoencoder_options
            : (struct trainer_options){
                  .epochs = recipe->pretrain_epochs,
                  .batch = recipe->batch,
                  .learning_rate = (float)recipe->pretrain_learning_rate,
                  .weight_decay = (float)recipe->pretrain_weight_decay,
                  .schedule = TRAINER_SCHEDULE_MILESTONES,
              };
    /* Otherwise the input has values that a sigmoid cannot take. */
    plan->sigmoid =
        plan->scaler == SCALER_MINMAX || (plan->scaler == SCALER_NONE && facts->pixels);
}

static int check_components(const struct plan *plan, const struct plan_facts *facts,
                            struct deepsad_error *error)
{
    if (plan->raw && plan->networks + plan->neighbours + plan->autoencoder > 1) {
        return error_set(
            error, DEEPSAD_INVALID,
            "score=raw needs a model of one component; set insurance=off and "
            "autoencoder=off, or score=normalised");
    }
    if (plan->method == RECIPE_CLASSIFIER && facts->labeled_anomalies == 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "method=classifier needs labelled anomalies, and no row is "
                         "labelled anomalous; label some, or set method=deepsad");
    }
    return DEEPSAD_OK;
}

int plan_make(struct plan *out, const struct deepsad_recipe *recipe,
              const struct plan_facts *facts, struct deepsad_error *error)
{
    size_t members = is_image(facts) ? PLAN_MEMBERS_IMAGE : PLAN_MEMBERS;
    struct plan plan = {
        .scaler = choose_scaler(recipe, facts),
        .raw = recipe->score == RECIPE_SCORE_RAW,
        .method = recipe->method,
        .members = recipe->members > 0 ? recipe->members : members,
        .calibration = recipe->calibration,
        .alpha = recipe->alpha,
        .contamination = recipe->contamination,
        .warm = recipe->warm,
        .center_rows = recipe->center_rows,
        .autoencoder_hidden = recipe->autoencoder_hidden,
        .neighbours_options = {.members = recipe->neighbours_members,
                               .scale_rows = recipe->neighbours_scale_rows,
                               .trim = recipe->neighbours_trim},
    };
    int status = choose_network(&plan, recipe, facts, error);
    if (status == DEEPSAD_OK) {
        status = check_widths(&plan.autoencoder_hidden, "autoencoder_hidden", error);
    }
    if (status == DEEPSAD_OK) {
        choose_components(&plan, recipe, facts);
        choose_training(&plan, recipe, facts);
        choose_reconstruction(&plan, recipe, facts);
        status = check_components(&plan, facts, error);
    }
    if (status == DEEPSAD_OK) {
        *out = plan;
    }
    return status;
}
