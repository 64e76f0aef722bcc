/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/rebuild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "model/model.h"
#include "model/model_file.h"
#include "model/retrain.h"
#include "model/training.h"
#include "model/training_set_file.h"
#include "nn/matrix.h"

static const json_t *lineage_of(const struct original *original)
{
    return json_object_get(original->card, "lineage");
}

static const char *lineage_text(const struct original *original, const char *name)
{
    return json_string_value(json_object_get(lineage_of(original), name));
}

/* ---- The version ---- */

int original_open(struct original *out, const char *path, struct deepsad_error *error)
{
    struct original original = {0};
    const char *manifest;
    int status = version_locate(&original.place, path, error);
    if (status == DEEPSAD_OK) {
        status = model_file_read(&original.model, original.place.file, error);
    }
    if (status == DEEPSAD_OK) {
        status = model_file_open(&original.file, &manifest, original.place.file, error);
    }
    if (status == DEEPSAD_OK && (original.card = json_read(manifest)) == NULL) {
        status = error_no_memory(error, "the model's card");
    }
    if (status != DEEPSAD_OK) {
        original_close(&original);
        return status;
    }
    *out = original;
    return DEEPSAD_OK;
}

void original_close(struct original *original)
{
    version_place_done(&original->place);
    safetensors_free(original->file);
    deepsad_model_unref(original->model);
    json_decref(original->card);
    *original = (struct original){0};
}

bool original_same_blas(const struct original *original)
{
    const char *recorded = lineage_text(original, "blas");
    return recorded != NULL && strcmp(recorded, matrix_blas_description()) == 0;
}

const char *original_recalibrated_from(const struct original *original)
{
    return json_string_value(json_object_get(original->card, "recalibrated_from"));
}

/* ---- Made again ---- */

static int retrain_from_set(struct deepsad_model **out, const struct original *original,
                            const struct training_set *set,
                            const struct deepsad_recipe *recipe, uint64_t seed,
                            const struct rebuild_options *options,
                            struct deepsad_error *error)
{
    const struct deepsad_model *model = original->model;
    bool kept = json_is_true(json_object_get(lineage_of(original), "scaler_kept"));
    struct retrain_options how = {.seed = seed,
                                  .threads = options->threads,
                                  .scaler = kept ? &model->scaler : NULL,
                                  .names = model->named ? model->names : NULL,
                                  .channels = model->channels,
                                  .height = model->height,
                                  .width = model->width,
                                  .progress = options->progress,
                                  .closure = options->closure};
    return retrain(out, set, recipe, &how, error);
}

static int train_from_data(struct deepsad_model **out, const struct original *original,
                           const struct deepsad_recipe *recipe, uint64_t seed,
                           const struct rebuild_options *options,
                           struct deepsad_error *error)
{
    char digest[TRAINING_DIGEST];
    const char *recorded = json_string_value(
        json_object_get(json_object_get(lineage_of(original), "data"), "sha256"));
    training_digest(digest, options->data);
    if (recorded == NULL || strcmp(recorded, digest) != 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "not the data that the version was trained on: its SHA-256 is "
                         "%s, the version's %s; give the same file, read and split by "
                         "the same options",
                         digest, recorded != NULL ? recorded : "is missing");
    }
    struct deepsad_train_options how = {.seed = seed,
                                        .threads = options->threads,
                                        .progress = options->progress,
                                        .closure = options->closure};
    return deepsad_train(out, options->data, recipe, &how, error);
}

/* The set of a version that can be made again of it alone. */
static int read_set(struct training_set *out, const struct original *original,
                    struct deepsad_error *error)
{
    const char *path = original->place.file;
    const json_t *held = json_object_get(original->card, "reservoir");
    if (!json_is_object(held) || !json_is_true(json_object_get(held, "complete"))) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: holds %s the rows that it was trained on; give the data: "
                         "deepsad reproduce MODEL --data FILE, with the options that it "
                         "was read by",
                         path, json_is_object(held) ? "only a part of" : "none of");
    }
    return training_set_read(out, path, error);
}

static int retrain_version(struct deepsad_model **out, const struct original *original,
                           const struct rebuild_options *options,
                           struct deepsad_error *error)
{
    struct deepsad_recipe *recipe;
    uint64_t seed;
    int status = retrain_recipe(&recipe, &seed, original->model, error);
    if (status != DEEPSAD_OK) {
        return error_prefix(error, "%s", original->place.file);
    }
    struct training_set set = {0};
    if (options->data != NULL) {
        status = train_from_data(out, original, recipe, seed, options, error);
    } else if ((status = read_set(&set, original, error)) == DEEPSAD_OK) {
        status = retrain_from_set(out, original, &set, recipe, seed, options, error);
    }
    training_set_done(&set);
    deepsad_recipe_free(recipe);
    return status;
}

static int load_parent(struct deepsad_model **out, const struct original *original,
                       const char *parent, struct deepsad_error *error)
{
    char *path;
    if (original->place.directory == NULL) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: is version %s calibrated again, which is looked for beside "
                         "it; give it as MODELS/NAME/<n>",
                         original->place.file, parent);
    }
    if (asprintf(&path, "%s/%s/%s", original->place.directory, parent, VERSION_FILE) <
        0) {
        return error_no_memory(error, "a path");
    }
    int status = model_file_read(out, path, error);
    if (status != DEEPSAD_OK) {
        error_prefix(error, "the version that was calibrated again");
    }
    free(path);
    return status;
}

static int recalibrate_version(struct deepsad_model **out,
                               const struct original *original, const char *parent,
                               struct deepsad_error *error)
{
    struct training_set set;
    struct deepsad_model *model = NULL;
    int status = read_set(&set, original, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = load_parent(&model, original, parent, error);
    if (status == DEEPSAD_OK) {
        status =
            retrain_recalibrate(model, &set, (unsigned)strtoul(parent, NULL, 10), error);
    }
    training_set_done(&set);
    if (status != DEEPSAD_OK) {
        deepsad_model_unref(model);
        return status;
    }
    *out = model;
    return DEEPSAD_OK;
}

int rebuild(struct deepsad_model **out, const struct original *original,
            const struct rebuild_options *options, struct deepsad_error *error)
{
    const char *parent = original_recalibrated_from(original);
    const json_t *imported = json_object_get(original->card, "imported");
    if (imported != NULL) {
        return error_set(
            error, DEEPSAD_UNSUPPORTED,
            "%s: was not trained here but imported from %s; import that file "
            "again",
            original->place.file, json_string_value(json_object_get(imported, "file")));
    }
    if (parent != NULL && options->data != NULL) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: is version %s calibrated again, on the rows that it holds; "
                         "leave --data out",
                         original->place.file, parent);
    }
    return parent != NULL ? recalibrate_version(out, original, parent, error)
                          : retrain_version(out, original, options, error);
}
