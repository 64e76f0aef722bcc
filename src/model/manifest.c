/* SPDX-License-Identifier: Apache-2.0 */
#include "model/manifest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "nn/matrix.h"

enum { MANIFEST_FEATURES_MAX = 1 << 24 };

static const char *const scaler_names[] = {[SCALER_ASINH] = "asinh",
                                           [SCALER_MINMAX] = "minmax",
                                           [SCALER_GLOBAL] = "global",
                                           [SCALER_NONE] = "none"};
static const char *const score_normalised = "normalised";
static const char *const score_raw = "raw";

/* ---- Making ---- */

/* JSON has no NaN: null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *describe_input(const struct deepsad_model *model)
{
    json_t *names = json_null(), *image = json_null();
    if (model->named) {
        names = json_array();
        for (size_t i = 0; i < model->features; i++) {
            json_array_append_new(names, json_string(model->names[i]));
        }
    }
    if (model->channels > 0) {
        image = json_pack("{s:I, s:I, s:I}", "channels", (json_int_t)model->channels,
                          "height", (json_int_t)model->height, "width",
                          (json_int_t)model->width);
    }
    return json_pack("{s:I, s:o, s:o}", "features", (json_int_t)model->features, "names",
                     names, "image", image);
}

static json_t *describe_components(const struct deepsad_model *model)
{
    json_t *components = json_array();
    for (size_t j = 0; j < model->component_count; j++) {
        if (json_array_append_new(components, component_describe(model->components[j])) !=
            0) {
            json_decref(components);
            return NULL;
        }
    }
    return components;
}

static json_t *describe_recipe(const struct deepsad_recipe *recipe)
{
    json_t *object = json_object();
    for (size_t i = 0; i < recipe_table.count; i++) {
        struct buffer out = {0};
        setting_print(&out, recipe, recipe_table, i);
        char *text = buffer_take_string(&out);
        int failed =
            text == NULL || json_object_set_new(object, recipe_table.settings[i].key,
                                                json_string(text)) != 0;
        free(text);
        buffer_done(&out);
        if (failed) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* The labels' ids and verdicts are in the file, beside the rows. */
static json_t *describe_labels(const struct training_set *set)
{
    char digest[TRAINING_SET_DIGEST];
    if (set == NULL) {
        return json_null();
    }
    training_set_labels_digest(digest, set);
    return json_pack("{s:I, s:s}", "count", (json_int_t)set->labels, "sha256", digest);
}

static json_t *describe_lineage(const struct manifest_facts *facts,
                                const struct training_set *set)
{
    const struct training *training = facts->training;
    char now[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(now, clock_realtime_ms());
    json_t *data = json_pack(
        "{s:I, s:I, s:I, s:I, s:s}", "rows", (json_int_t)training->rows, "unlabeled",
        (json_int_t)training->unlabeled, "normal", (json_int_t)training->normals,
        "anomalous", (json_int_t)training->anomalies, "sha256", facts->data_digest);
    return json_pack("{s:s?, s:I, s:s, s:s, s:s, s:o, s:b, s:o, s:o}", "parent",
                     facts->parent, "seed", (json_int_t)training->seed, "created_at", now,
                     "software", "deepsad " DEEPSAD_VERSION, "blas",
                     matrix_blas_description(), "seconds", number(facts->seconds),
                     "scaler_kept", facts->scaler_kept, "data", data, "labels",
                     describe_labels(set));
}

/* The training rows that the model's file holds. */
static json_t *describe_reservoir(const struct training_set *set)
{
    char digest[TRAINING_SET_DIGEST];
    if (set == NULL) {
        return json_null();
    }
    training_set_digest(digest, set);
    json_int_t rows = (json_int_t)set->base + (json_int_t)set->traffic;
    return json_pack("{s:I, s:I, s:I, s:I, s:b, s:s}", "rows", rows, "traffic",
                     (json_int_t)set->traffic, "labels", (json_int_t)set->labels, "aside",
                     (json_int_t)set->aside, "complete", set->complete, "sha256", digest);
}

static json_t *describe_calibration(const struct deepsad_model *model,
                                    const struct manifest_facts *facts)
{
    const struct training *training = facts->training;
    float threshold = NAN;
    bool reached = deepsad_model_threshold(model, training->plan->alpha, &threshold);
    return json_pack(
        "{s:s, s:I, s:f, s:f, s:f, s:o}", "basis", fold_basis_name(training->folds.basis),
        "points", (json_int_t)model->calibration.count, "weight", facts->weight,
        "alpha_min", deepsad_model_alpha_min(model), "alpha", training->plan->alpha,
        "threshold", reached ? number((double)threshold) : json_null());
}

static json_t *describe_measures(const struct manifest_facts *facts)
{
    return json_pack("{s:{s:o, s:o, s:o}, s:o}", "latent_entropy", "unlabeled",
                     number(facts->entropy[0]), "normal", number(facts->entropy[1]),
                     "anomalous", number(facts->entropy[2]), "labels_auc_roc",
                     number(facts->auc));
}

static bool all_rows_equal(const struct training *training)
{
    size_t features = training->features;
    for (size_t i = 1; i < training->rows; i++) {
        if (memcmp(training->z, training->z + i * features,
                   features * sizeof *training->z) != 0) {
            return false;
        }
    }
    return true;
}

/* A network was asked for and not trained. */
static bool network_is_idle(const struct manifest_facts *facts)
{
    return facts->recipe != NULL && strcmp(facts->recipe->network, "auto") != 0 &&
           !facts->training->plan->networks;
}

/* (h, w, c), as many libraries have images, read as (c, h, w). */
static bool looks_channels_last(const struct deepsad_model *model)
{
    size_t last = model->width;
    return (last == 1 || last == 3 || last == 4) && model->channels > 4 &&
           model->height > 4;
}

static json_t *describe_warnings(const struct deepsad_model *model,
                                 const struct manifest_facts *facts)
{
    json_t *warnings = json_array();
    const struct training *training = facts->training;
    double least = deepsad_model_alpha_min(model);
    if (training->plan->alpha < least) {
        json_array_append_new(
            warnings,
            json_sprintf("no row can be called anomalous at alpha %g: the calibration "
                         "rows reach %.2g at best; give more rows, or raise alpha in "
                         "model.yaml",
                         training->plan->alpha, least));
    }
    if (training->folds.basis == FOLD_IN_SAMPLE) {
        json_array_append_new(
            warnings, json_string("calibrated on the training rows themselves: expect "
                                  "more false alarms than alpha; give more rows, or set "
                                  "calibration above 0"));
    }
    if (network_is_idle(facts)) {
        json_array_append_new(
            warnings,
            json_string("no anomaly is labelled, so the network was not trained: "
                        "label some, or --set cold_start=networks"));
    }
    if (looks_channels_last(model)) {
        json_array_append_new(
            warnings,
            json_sprintf(
                "the images were read as %zu channels of %zu x %zu: if the array "
                "is (n, height, width, channels), save array.transpose(0, 3, 1, "
                "2)",
                model->channels, model->height, model->width));
    }
    if (all_rows_equal(training)) {
        json_array_append_new(
            warnings, json_string("all rows are equal: there was nothing to learn; give "
                                  "rows that differ"));
    }
    return warnings;
}

/* Takes over the reference to `root`, which may be NULL. */
static int replace(struct deepsad_model *model, json_t *root, struct deepsad_error *error)
{
    char *text = root == NULL ? NULL : json_print(root, JSON_COMPACT);
    json_decref(root);
    if (text == NULL) {
        return error_no_memory(error, "the manifest");
    }
    free(model->manifest);
    model->manifest = text;
    return DEEPSAD_OK;
}

int manifest_make(struct deepsad_model *model, const struct manifest_facts *facts,
                  struct deepsad_error *error)
{
    json_t *root = json_pack(
        "{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "input",
        describe_input(model), "scaler", scaler_names[model->scaler.kind], "score",
        model->raw ? score_raw : score_normalised, "components",
        describe_components(model), "recipe", describe_recipe(facts->recipe), "lineage",
        describe_lineage(facts, model->set), "reservoir", describe_reservoir(model->set),
        "calibration", describe_calibration(model, facts), "measures",
        describe_measures(facts), "warnings", describe_warnings(model, facts));
    return replace(model, root, error);
}

/* ---- Changing ---- */

static int parse(json_t **out, const struct deepsad_model *model,
                 struct deepsad_error *error)
{
    return json_parse(out, model->manifest, strlen(model->manifest),
                      JSON_REJECT_DUPLICATES, "manifest", error);
}

int manifest_set(struct deepsad_model *model, const char *key, json_t *value,
                 struct deepsad_error *error)
{
    json_t *root;
    int status = parse(&root, model, error);
    if (status != DEEPSAD_OK) {
        json_decref(value);
        return status;
    }
    if (json_object_set_new(root, key, value) != 0) {
        json_decref(root);
        return error_no_memory(error, "the manifest");
    }
    return replace(model, root, error);
}

int manifest_recalibrate(struct deepsad_model *model, const struct manifest_facts *facts,
                         unsigned parent, struct deepsad_error *error)
{
    json_t *root;
    int status = parse(&root, model, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    char now[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(now, clock_realtime_ms());
    json_t *lineage = json_object_get(root, "lineage");
    int failed =
        json_object_set_new(root, "calibration", describe_calibration(model, facts)) |
        json_object_set_new(root, "warnings", describe_warnings(model, facts)) |
        json_object_set_new(root, "reservoir", describe_reservoir(model->set)) |
        json_object_set_new(root, "recalibrated_from", json_sprintf("%u", parent)) |
        json_object_set_new(lineage, "created_at", json_string(now));
    if (failed != 0) {
        json_decref(root);
        return error_no_memory(error, "the manifest");
    }
    return replace(model, root, error);
}

int manifest_to_write(char **out, const struct deepsad_model *model,
                      struct deepsad_error *error)
{
    *out = NULL;
    json_t *root;
    int status = parse(&root, model, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (model->set == NULL && json_is_object(json_object_get(root, "reservoir"))) {
        json_object_set_new(root, "reservoir", json_null());
        *out = json_print(root, JSON_COMPACT);
    } else {
        *out = strdup(model->manifest);
    }
    json_decref(root);
    return *out == NULL ? error_no_memory(error, "the manifest") : DEEPSAD_OK;
}

/* ---- Reading ---- */

static int read_names(char ***out, const json_t *names, size_t features,
                      struct deepsad_error *error)
{
    *out = NULL;
    if (json_is_null(names)) {
        return DEEPSAD_OK;
    }
    if (!json_is_array(names) || json_array_size(names) != features) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "manifest: input.names are not %zu names", features);
    }
    char **list = calloc(features + 1, sizeof *list);
    if (list == NULL) {
        return error_no_memory(error, "feature names");
    }
    for (size_t i = 0; i < features; i++) {
        union {
            const char *text;
            char *name; /* only read: model_new copies it */
        } view = {.text = json_string_value(json_array_get(names, i))};
        if (view.text == NULL) {
            free(list);
            return error_set(error, DEEPSAD_CORRUPT,
                             "manifest: input.names: name %zu is not a string", i);
        }
        list[i] = view.name;
    }
    *out = list;
    return DEEPSAD_OK;
}

/* Sides of an image whose product is `features`, or null. */
static int read_image(struct deepsad_model *model, const json_t *image,
                      struct deepsad_error *error)
{
    if (image == NULL || json_is_null(image)) {
        return DEEPSAD_OK;
    }
    size_t sides[3], product = 1;
    static const char *const names[] = {"channels", "height", "width"};
    for (size_t i = 0; i < 3; i++) {
        json_int_t side = json_integer_value(json_object_get(image, names[i]));
        bool fits = side >= 1 && side <= MANIFEST_FEATURES_MAX;
        sides[i] = fits ? (size_t)side : 0;
        product = product <= MANIFEST_FEATURES_MAX ? product * sides[i] : 0;
    }
    if (product != model->features) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "manifest: input.image is not an image of %zu values",
                         model->features);
    }
    model->channels = sides[0];
    model->height = sides[1];
    model->width = sides[2];
    return DEEPSAD_OK;
}

static int read_input(struct deepsad_model **out, const json_t *root,
                      struct deepsad_error *error)
{
    const json_t *input = json_object_get(root, "input");
    json_int_t features = json_integer_value(json_object_get(input, "features"));
    if (features < 1 || features > MANIFEST_FEATURES_MAX) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "manifest: input.features is missing or out of range");
    }
    char **names;
    int status =
        read_names(&names, json_object_get(input, "names"), (size_t)features, error);
    if (status == DEEPSAD_OK) {
        status = model_new(out, (size_t)features, names, error);
    }
    free(names);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = read_image(*out, json_object_get(input, "image"), error);
    if (status != DEEPSAD_OK) {
        deepsad_model_unref(*out);
    }
    return status;
}

static int read_kinds(struct deepsad_model *model, const json_t *root,
                      struct deepsad_error *error)
{
    const char *score = json_string_value(json_object_get(root, "score"));
    const char *scaler = json_string_value(json_object_get(root, "scaler"));
    if (score == NULL || scaler == NULL) {
        return error_set(error, DEEPSAD_CORRUPT, "manifest: scaler or score is missing");
    }
    model->raw = strcmp(score, score_raw) == 0;
    if (!model->raw && strcmp(score, score_normalised) != 0) {
        return error_set(error, DEEPSAD_UNSUPPORTED,
                         "manifest: score \"%.32s\" is not known to deepsad %s", score,
                         DEEPSAD_VERSION);
    }
    for (size_t i = 0; i < sizeof scaler_names / sizeof scaler_names[0]; i++) {
        if (strcmp(scaler_names[i], scaler) == 0) {
            return scaler_new(&model->scaler, (enum scaler_kind)i, model->features,
                              error);
        }
    }
    return error_set(error, DEEPSAD_UNSUPPORTED,
                     "manifest: scaler \"%.32s\" is not known to deepsad %s", scaler,
                     DEEPSAD_VERSION);
}

static int read_root(struct deepsad_model **out, const json_t **components,
                     const json_t *root, const char *text, struct deepsad_error *error)
{
    *components = json_object_get(root, "components");
    size_t count = json_array_size(*components);
    if (count < 1 || count > MODEL_COMPONENTS_MAX) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "manifest: components are missing, or more than %d",
                         MODEL_COMPONENTS_MAX);
    }
    struct deepsad_model *model;
    int status = read_input(&model, root, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = read_kinds(model, root, error);
    if (status == DEEPSAD_OK && model->raw && count != 1) {
        status = error_set(error, DEEPSAD_CORRUPT,
                           "manifest: a raw score of more than one component");
    }
    if (status == DEEPSAD_OK && (model->manifest = strdup(text)) == NULL) {
        status = error_no_memory(error, "the manifest");
    }
    if (status != DEEPSAD_OK) {
        deepsad_model_unref(model);
        return status;
    }
    *out = model;
    return DEEPSAD_OK;
}

int manifest_read(struct deepsad_model **out, json_t **root, const json_t **components,
                  const char *text, struct deepsad_error *error)
{
    json_t *json;
    int status =
        json_parse(&json, text, strlen(text), JSON_REJECT_DUPLICATES, "manifest", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = read_root(out, components, json, text, error);
    if (status != DEEPSAD_OK) {
        json_decref(json);
        return status;
    }
    *root = json;
    return DEEPSAD_OK;
}
