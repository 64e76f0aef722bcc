/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/digest.h"
#include "model/manifest.h"
#include "model/training_set_file.h"
#include "nn/matrix.h"

/* Larger files are not models of ours: the largest network with its calibration is far
 * below. */
static const size_t file_size_max = (size_t)4 << 30;

static const char *const key_format = "deepsad.format";
static const char *const key_manifest = "deepsad.manifest";
static const char *const key_digest = "deepsad.sha256";

/* SHA-256 of the manifest, a line end, the table of tensors, and their bytes, which are
 * the caller's to add. */
static void start_digest(struct digest *digest, const char *manifest, const char *table,
                         size_t table_size)
{
    digest_init(digest);
    digest_add(digest, manifest, strlen(manifest));
    digest_add(digest, "\n", 1);
    digest_add(digest, table, table_size);
}

/* ---- Writing ---- */

static int add_tensors(struct safetensors_writer *writer,
                       const struct deepsad_model *model, struct deepsad_error *error)
{
    const struct scaler *scaler = &model->scaler;
    const struct calibration *calibration = &model->calibration;
    safetensors_writer_add(writer, "scaler.impute", scaler->features, 0, scaler->impute);
    safetensors_writer_add(writer, "scaler.offset", scaler->features, 0, scaler->offset);
    safetensors_writer_add(writer, "scaler.scale", scaler->features, 0, scaler->scale);
    for (size_t j = 0; j < model->component_count; j++) {
        const struct component *component = model->components[j];
        int status = component->ops->save(component, writer, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    safetensors_writer_add(writer, "calibration.scores", calibration->count, 0,
                           calibration->scores);
    safetensors_writer_add(writer, "calibration.p_values", calibration->count + 1, 0,
                           calibration->p_values);
    return model->set == NULL ? DEEPSAD_OK : training_set_save(model->set, writer, error);
}

static void add_to_digest(void *closure, const void *bytes, size_t size)
{
    digest_add(closure, bytes, size);
}

static void add_metadata(struct safetensors_writer *writer, const char *manifest)
{
    char text[DIGEST_TEXT_SIZE];
    struct digest digest;
    const struct safetensors_sink sink = {add_to_digest, &digest};
    size_t table_size;
    const char *table = safetensors_writer_table(writer, &table_size);
    start_digest(&digest, manifest, table, table_size);
    safetensors_writer_data(writer, &sink);
    digest_finish(&digest, text);
    safetensors_writer_metadata(writer, key_format, MODEL_FILE_FORMAT);
    safetensors_writer_metadata(writer, key_digest, text);
    safetensors_writer_metadata(writer, key_manifest, manifest);
}

/* All that the file is to hold; it borrows from the model. */
static int collect(struct safetensors_writer **out, const struct deepsad_model *model,
                   struct deepsad_error *error)
{
    char *manifest;
    struct safetensors_writer *writer = NULL;
    int status = manifest_to_write(&manifest, model, error);
    if (status == DEEPSAD_OK && (writer = safetensors_writer_new()) == NULL) {
        status = error_no_memory(error, "a model file");
    }
    if (status == DEEPSAD_OK) {
        status = add_tensors(writer, model, error);
    }
    if (status == DEEPSAD_OK) {
        add_metadata(writer, manifest);
        *out = writer;
    } else {
        safetensors_writer_free(writer);
    }
    free(manifest);
    return status;
}

int model_file_format(struct buffer *out, const struct deepsad_model *model,
                      struct deepsad_error *error)
{
    struct safetensors_writer *writer;
    int status = collect(&writer, model, error);
    if (status == DEEPSAD_OK) {
        status = safetensors_writer_finish(writer, out, error);
        safetensors_writer_free(writer);
    }
    return status;
}

static void write_bytes(void *closure, const void *bytes, size_t size)
{
    file_writer_write(closure, bytes, size);
}

/* Straight from the model to the file: with its training rows it may be large. */
static int write_file(const struct safetensors_writer *writer, const char *path,
                      struct deepsad_error *error)
{
    struct file_writer file;
    const struct safetensors_sink sink = {write_bytes, &file};
    int status = file_writer_open(&file, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = safetensors_writer_write(writer, &sink, error);
    if (status != DEEPSAD_OK) {
        file_writer_discard(&file);
        return status;
    }
    return file_writer_commit(&file, error);
}

int deepsad_model_save(const struct deepsad_model *model, const char *path,
                       struct deepsad_error *error)
{
    struct safetensors_writer *writer;
    int status = collect(&writer, model, error);
    if (status == DEEPSAD_OK) {
        status = write_file(writer, path, error);
        safetensors_writer_free(writer);
    }
    return status;
}

/* ---- Reading ---- */

static void make_digest(char text[static DIGEST_TEXT_SIZE],
                        const struct safetensors *file, const char *manifest)
{
    struct digest sum;
    size_t table_size, size;
    const char *table = safetensors_table(file, &table_size);
    const char *data = safetensors_data(file, &size);
    start_digest(&sum, manifest, table, table_size);
    digest_add(&sum, data, size);
    digest_finish(&sum, text);
}

/* The manifest, once format and digest are found right. */
static int verify(const char **manifest, const struct safetensors *file,
                  struct deepsad_error *error)
{
    const char *format = safetensors_metadata(file, key_format);
    const char *digest = safetensors_metadata(file, key_digest);
    *manifest = safetensors_metadata(file, key_manifest);
    if (format == NULL) {
        return error_set(
            error, DEEPSAD_UNSUPPORTED,
            "a safetensors file, but not a deepsad model: __metadata__ has no "
            "\"%s\"",
            key_format);
    }
    if (strcmp(format, MODEL_FILE_FORMAT) != 0) {
        return error_set(error, DEEPSAD_UNSUPPORTED,
                         "model format %.16s; deepsad %s reads format %s: use a newer "
                         "version",
                         format, DEEPSAD_VERSION, MODEL_FILE_FORMAT);
    }
    if (digest == NULL || *manifest == NULL) {
        return error_set(error, DEEPSAD_CORRUPT, "__metadata__ has no \"%s\"",
                         digest == NULL ? key_digest : key_manifest);
    }
    char computed[DIGEST_TEXT_SIZE];
    make_digest(computed, file, *manifest);
    if (strcmp(computed, digest) != 0) {
        return error_set(
            error, DEEPSAD_CORRUPT,
            "the SHA-256 digest does not match: the file is damaged; restore "
            "it, or use another version");
    }
    return DEEPSAD_OK;
}

static int load_scaler(struct scaler *scaler, const struct safetensors *file,
                       struct deepsad_error *error)
{
    size_t n = scaler->features;
    int status = safetensors_copy(scaler->impute, file, "scaler.impute", n, 0, error);
    if (status == DEEPSAD_OK) {
        status = safetensors_copy(scaler->offset, file, "scaler.offset", n, 0, error);
    }
    return status != DEEPSAD_OK
               ? status
               : safetensors_copy(scaler->scale, file, "scaler.scale", n, 0, error);
}

static int load_calibration(struct calibration *calibration,
                            const struct safetensors *file, struct deepsad_error *error)
{
    const struct safetensors_tensor *scores =
        safetensors_find(file, "calibration.scores");
    size_t count = scores != NULL ? scores->count : 0;
    int status = calibration_new(calibration, count, error);
    if (status == DEEPSAD_OK) {
        status = safetensors_copy(calibration->scores, file, "calibration.scores", count,
                                  0, error);
    }
    if (status == DEEPSAD_OK) {
        status = safetensors_copy(calibration->p_values, file, "calibration.p_values",
                                  count + 1, 0, error);
    }
    if (status == DEEPSAD_OK && !calibration_valid(calibration)) {
        status = error_set(error, DEEPSAD_CORRUPT,
                           "calibration: scores do not rise, or p-values are not in "
                           "(0, 1] or do not fall");
    }
    return status;
}

static int load_components(struct deepsad_model *model, const struct safetensors *file,
                           const json_t *cards, struct deepsad_error *error)
{
    struct image_shape input = {model->features, 1, 1};
    if (model->channels > 0) {
        input = (struct image_shape){model->channels, model->height, model->width};
    }
    for (size_t j = 0; j < json_array_size(cards); j++) {
        struct component *component;
        int status =
            component_load(&component, file, json_array_get(cards, j), input, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        model_add(model, component);
    }
    return DEEPSAD_OK;
}

static int load_model(struct deepsad_model **out, const struct safetensors *file,
                      struct deepsad_error *error)
{
    const char *manifest;
    json_t *root;
    const json_t *cards;
    struct deepsad_model *model;
    int status = verify(&manifest, file, error);
    if (status == DEEPSAD_OK) {
        status = manifest_read(&model, &root, &cards, manifest, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = load_scaler(&model->scaler, file, error);
    if (status == DEEPSAD_OK) {
        status = load_components(model, file, cards, error);
    }
    if (status == DEEPSAD_OK) {
        status = load_calibration(&model->calibration, file, error);
    }
    json_decref(root);
    if (status != DEEPSAD_OK) {
        deepsad_model_unref(model);
        return status;
    }
    *out = model;
    return DEEPSAD_OK;
}

int model_file_parse(struct deepsad_model **out, struct buffer *bytes,
                     struct deepsad_error *error)
{
    struct safetensors *file;
    int status = safetensors_parse(&file, bytes, error);
    if (status == DEEPSAD_OK) {
        status = load_model(out, file, error);
        safetensors_free(file);
    }
    return status;
}

int model_file_open(struct safetensors **out, const char **manifest, const char *path,
                    struct deepsad_error *error)
{
    struct buffer bytes = {0};
    struct safetensors *file = NULL;
    int status = file_read(&bytes, path, file_size_max, error);
    if (status != DEEPSAD_OK) {
        buffer_done(&bytes);
        return status;
    }
    status = safetensors_parse(&file, &bytes, error);
    if (status == DEEPSAD_OK) {
        status = verify(manifest, file, error);
    }
    buffer_done(&bytes);
    if (status != DEEPSAD_OK) {
        safetensors_free(file);
        return error_prefix(error, "%s", path);
    }
    *out = file;
    return DEEPSAD_OK;
}

int model_file_read(struct deepsad_model **out, const char *path,
                    struct deepsad_error *error)
{
    struct buffer bytes = {0};
    int status = matrix_blas_init(error);
    if (status == DEEPSAD_OK) {
        status = file_read(&bytes, path, file_size_max, error);
    }
    if (status == DEEPSAD_OK) {
        status = model_file_parse(out, &bytes, error);
        if (status != DEEPSAD_OK) {
            error_prefix(error, "%s", path);
        }
    }
    buffer_done(&bytes);
    return status;
}
