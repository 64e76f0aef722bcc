/* SPDX-License-Identifier: Apache-2.0 */
#include "model/retrain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "model/fit.h"
#include "model/fit_calibration.h"
#include "model/manifest.h"
#include "model/member_scores.h"

static size_t rows_of(const struct training_set *set)
{
    return set->base + set->traffic + set->labels;
}

/* ---- Training ---- */

/* Labels of the journal: they stand behind those that came with the first data set. */
static size_t count_reviewed(const struct training_set *set)
{
    size_t count = 0;
    while (count < set->labels && set->ids[set->labels - count - 1] != NULL &&
           set->ids[set->labels - count - 1][0] != '\0') {
        count++;
    }
    return count;
}

/* The set as a data set; labels and ordinals (rows) are the caller's to free. */
static int view_set(struct fit_input *out, struct deepsad_dataset *dataset,
                    uint32_t **ordinals, const struct training_set *set,
                    struct deepsad_error *error)
{
    size_t rows = rows_of(set), unlabeled = rows - set->labels;
    *dataset =
        (struct deepsad_dataset){.rows = rows, .features = set->features, .x = set->x};
    dataset->labels = calloc(rows + 1, sizeof *dataset->labels);
    *ordinals = calloc(rows + 1, sizeof **ordinals);
    if (dataset->labels == NULL || *ordinals == NULL) {
        return error_no_memory(error, "training rows");
    }
    if (set->labels > 0) {
        memcpy(dataset->labels + unlabeled, set->y, set->labels);
        memcpy(*ordinals + unlabeled, set->ordinal, set->labels * sizeof **ordinals);
    }
    *out = (struct fit_input){
        .dataset = dataset, .ordinals = *ordinals, .reviewed = count_reviewed(set)};
    return DEEPSAD_OK;
}

static int train(struct deepsad_model **out, const struct fit_input *input,
                 const struct training_set *set, const struct deepsad_recipe *recipe,
                 const struct retrain_options *options, struct deepsad_error *error)
{
    char parent[16];
    snprintf(parent, sizeof parent, "%u", options->parent);
    struct deepsad_train_options train = {.seed = options->seed,
                                          .parent = options->parent > 0 ? parent : NULL,
                                          .threads = options->threads,
                                          .progress = options->progress,
                                          .closure = options->closure};
    struct fit_input keeping = *input;
    keeping.set = set;
    return fit_train(out, &keeping, recipe, &train, error);
}

int retrain(struct deepsad_model **out, const struct training_set *set,
            const struct deepsad_recipe *recipe, const struct retrain_options *options,
            struct deepsad_error *error)
{
    struct fit_input input;
    struct deepsad_dataset dataset;
    uint32_t *ordinals;
    int status = view_set(&input, &dataset, &ordinals, set, error);
    if (status == DEEPSAD_OK) {
        dataset.channels = options->channels;
        dataset.height = options->height;
        dataset.width = options->width;
        input.names = options->names;
        input.scaler = options->scaler;
        status = train(out, &input, set, recipe, options, error);
    }
    free(dataset.labels);
    free(ordinals);
    return status;
}

/* ---- What a manifest records ---- */

/* What a manifest without these settings was trained by: they came later. */
static int apply_former(struct deepsad_recipe *recipe, struct deepsad_error *error)
{
    static const char *const former[][2] = {{"network", "dense"}, {"warm", "0"}};
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < sizeof former / sizeof former[0] && status == DEEPSAD_OK;
         i++) {
        status = deepsad_recipe_set(recipe, former[i][0], former[i][1], error);
    }
    return status;
}

static int apply_settings(struct deepsad_recipe *recipe, const json_t *settings,
                          struct deepsad_error *error)
{
    int status = apply_former(recipe, error);
    for (size_t i = 0; i < recipe_table.count && status == DEEPSAD_OK; i++) {
        const char *key = recipe_table.settings[i].key;
        const char *value = json_string_value(json_object_get(settings, key));
        if (value != NULL && strcmp(key, "base") != 0) {
            status = deepsad_recipe_set(recipe, key, value, error);
        }
    }
    return status;
}

/* A setting that this build does not know cannot be followed. */
static int check_known(const json_t *settings, struct deepsad_error *error)
{
    for (void *at = json_object_iter((json_t *)(uintptr_t)settings); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)settings, at)) {
        if (settings_find(recipe_table, json_object_iter_key(at)) == SIZE_MAX) {
            return error_set(error, DEEPSAD_UNSUPPORTED,
                             "manifest: recipe setting \"%.64s\" is not known to deepsad "
                             "%s; use the version that wrote the model",
                             json_object_iter_key(at), DEEPSAD_VERSION);
        }
    }
    return DEEPSAD_OK;
}

static int read_recipe(struct deepsad_recipe **out, const json_t *settings,
                       struct deepsad_error *error)
{
    const char *base = json_string_value(json_object_get(settings, "base"));
    if (base == NULL ||
        (strcmp(base, "default") != 0 && strcmp(base, "reference") != 0)) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "manifest: recipe is missing, or its base is unknown");
    }
    struct deepsad_recipe *recipe;
    int status = check_known(settings, error);
    if (status == DEEPSAD_OK) {
        status = deepsad_recipe_new(&recipe, base, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = apply_settings(recipe, settings, error);
    if (status != DEEPSAD_OK) {
        deepsad_recipe_free(recipe);
        return error_prefix(error, "manifest: recipe");
    }
    *out = recipe;
    return DEEPSAD_OK;
}

int retrain_recipe(struct deepsad_recipe **out, uint64_t *seed,
                   const struct deepsad_model *model, struct deepsad_error *error)
{
    json_t *root;
    int status =
        json_parse(&root, model->manifest, strlen(model->manifest), 0, "manifest", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    const json_t *number = json_object_get(json_object_get(root, "lineage"), "seed");
    status = json_is_integer(number)
                 ? read_recipe(out, json_object_get(root, "recipe"), error)
                 : error_set(error, DEEPSAD_CORRUPT, "manifest: lineage.seed is missing");
    if (status == DEEPSAD_OK) {
        *seed = (uint64_t)json_integer_value(number);
    }
    json_decref(root);
    return status;
}

int retrain_annotate(struct deepsad_model *model, const char *key, json_t *value,
                     struct deepsad_error *error)
{
    return manifest_set(model, key, value, error);
}

/* ---- Scores by members that never saw the rows ---- */

/* A model beside a set, whatever it was trained on: the set's rows as the model sees
 * them, each with the fold whose member is to score it. */
struct outlook {
    struct plan plan;
    struct fit_input input;
    struct deepsad_dataset dataset;
    uint32_t *ordinals;
    struct scaler scaler;
    struct training training;
    bool labels_folded; /* by the members' training */
};

static void outlook_done(struct outlook *outlook)
{
    training_done(&outlook->training);
    scaler_done(&outlook->scaler);
    free(outlook->dataset.labels);
    free(outlook->ordinals);
}

/* The folds that the model was trained by, from its manifest. */
static int read_folds(struct outlook *outlook, const struct deepsad_model *model,
                      struct deepsad_error *error)
{
    json_t *root;
    int status =
        json_parse(&root, model->manifest, strlen(model->manifest), 0, "manifest", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    const char *basis =
        json_string_value(json_object_get(json_object_get(root, "calibration"), "basis"));
    json_int_t anomalies = json_integer_value(json_object_get(
        json_object_get(json_object_get(root, "lineage"), "data"), "anomalous"));
    size_t members = member_scores_members(model);
    status = basis != NULL ? DEEPSAD_OK
                           : error_set(error, DEEPSAD_CORRUPT,
                                       "manifest: calibration.basis is missing");
    bool folded =
        basis != NULL && (strcmp(basis, fold_basis_name(FOLD_OUT_OF_FOLD)) == 0 ||
                          strcmp(basis, fold_basis_name(FOLD_HELD_OUT)) == 0);
    outlook->plan.networks = members > 0;
    outlook->plan.members = folded ? members : 0;
    outlook->labels_folded = folded && members > 1 && anomalies >= FOLD_ANOMALIES_MIN;
    json_decref(root);
    return status;
}

static int read_plan(struct outlook *outlook, const struct deepsad_model *model,
                     struct deepsad_error *error)
{
    struct deepsad_recipe *recipe;
    uint64_t seed;
    int status = retrain_recipe(&recipe, &seed, model, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    outlook->plan.alpha = recipe->alpha;
    outlook->plan.calibration = recipe->calibration;
    outlook->plan.contamination = recipe->contamination;
    deepsad_recipe_free(recipe);
    return read_folds(outlook, model, error);
}

static int outlook_init(struct outlook *out, const struct deepsad_model *model,
                        const struct training_set *set, struct deepsad_error *error)
{
    *out = (struct outlook){0};
    if (set->features != model->features) {
        return error_set(error, DEEPSAD_INVALID,
                         "the set has %zu features, the model was trained on %zu",
                         set->features, model->features);
    }
    int status = read_plan(out, model, error);
    if (status == DEEPSAD_OK) {
        status = view_set(&out->input, &out->dataset, &out->ordinals, set, error);
    }
    if (status == DEEPSAD_OK) {
        struct training_source source = {
            .dataset = &out->dataset,
            .ordinals = out->ordinals,
            .reviewed = out->input.reviewed,
            .scaler = &model->scaler,
            .anomalies_min = out->labels_folded ? 1 : SIZE_MAX,
        };
        status =
            training_prepare(&out->training, &out->scaler, &source, &out->plan, error);
    }
    return status;
}

int retrain_unlabeled_scores(float *scores, const struct deepsad_model *model,
                             const struct training_set *set, struct deepsad_error *error)
{
    size_t unlabeled = set->base + set->traffic;
    struct outlook outlook;
    struct member_scores rows;
    if (rows_of(set) == 0) {
        return DEEPSAD_OK;
    }
    int status = outlook_init(&outlook, model, set, error);
    if (status == DEEPSAD_OK) {
        status = member_scores_fit(&rows, model, &outlook.training, error);
    }
    if (status == DEEPSAD_OK) {
        model_blend(model, scores, rows.raw, unlabeled);
        member_scores_done(&rows);
    }
    outlook_done(&outlook);
    return status;
}

/* ---- Ranks of labels ---- */

static int compare_floats(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* Share of the sorted scores that are at least `score`. */
static float share_above(const float *sorted, size_t count, float score)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < score) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return count == 0 ? 1 : (float)((double)(count - low) / (double)count);
}

static int rank_labels(float *ranks, const struct deepsad_model *model,
                       const struct outlook *outlook, struct deepsad_error *error)
{
    const struct training *training = &outlook->training;
    size_t members = outlook->labels_folded ? outlook->plan.members : 1;
    float *scores = malloc((training->rows + 1) * sizeof *scores);
    struct member_scores rows;
    int status = scores == NULL ? error_no_memory(error, "ranks of labels") : DEEPSAD_OK;
    if (status == DEEPSAD_OK) {
        status = member_scores_new(&rows, model, training, error);
    }
    for (size_t k = 0; k < members && status == DEEPSAD_OK; k++) {
        member_scores_by(&rows, outlook->labels_folded ? k : MEMBER_SCORES_ALL);
        model_blend(model, scores, rows.raw, training->rows);
        qsort(scores, training->unlabeled, sizeof *scores, compare_floats);
        for (size_t i = training->unlabeled; i < training->rows; i++) {
            if (!outlook->labels_folded || training->folds.of[i] == k) {
                ranks[training->order[i] - training->unlabeled] =
                    share_above(scores, training->unlabeled, scores[i]);
            }
        }
    }
    if (status == DEEPSAD_OK) {
        member_scores_done(&rows);
    }
    free(scores);
    return status;
}

int retrain_label_ranks(float *ranks, bool *out_of_fold,
                        const struct deepsad_model *model, const struct training_set *set,
                        struct deepsad_error *error)
{
    struct outlook outlook;
    int status = outlook_init(&outlook, model, set, error);
    if (status == DEEPSAD_OK && set->labels > 0) {
        status = rank_labels(ranks, model, &outlook, error);
    }
    if (status == DEEPSAD_OK) {
        *out_of_fold = outlook.labels_folded;
    }
    outlook_done(&outlook);
    return status;
}

/* ---- Calibrating again ---- */

static int calibrate(struct deepsad_model *model, double *weight,
                     const struct training *training, struct deepsad_error *error)
{
    float *scores = calloc(training->rows + 1, sizeof *scores);
    struct member_scores rows;
    int status = scores == NULL ? error_no_memory(error, "calibration")
                                : member_scores_fit(&rows, model, training, error);
    if (status == DEEPSAD_OK) {
        status = fit_calibrate(model, scores, weight, training, rows.raw, error);
        member_scores_done(&rows);
    }
    free(scores);
    return status;
}

int retrain_recalibrate(struct deepsad_model *model, const struct training_set *set,
                        unsigned parent, struct deepsad_error *error)
{
    struct outlook outlook;
    struct training_set kept = {0};
    struct manifest_facts facts = {.training = &outlook.training};
    int status = outlook_init(&outlook, model, set, error);
    if (status == DEEPSAD_OK) {
        status = training_set_copy(&kept, set, error);
    }
    if (status == DEEPSAD_OK) {
        status = calibrate(model, &facts.weight, &outlook.training, error);
    }
    if (status == DEEPSAD_OK) {
        kept.complete = true;
        status = model_hold_set(model, &kept, error);
    }
    if (status == DEEPSAD_OK) {
        status = manifest_recalibrate(model, &facts, parent, error);
    }
    training_set_done(&kept);
    outlook_done(&outlook);
    return status;
}
