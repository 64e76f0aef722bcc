/* SPDX-License-Identifier: Apache-2.0 */
#include "model/training_set_file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/model_file.h"

static const char *const key_reservoir = "deepsad.reservoir";

/* Ordinals are kept as floats, the format's only type: exact below 2^24. */
enum { ORDINAL_MAX = 1 << 24, ID_MAX = 256, FEATURES_MAX = 1 << 24 };

static size_t rows_of(const struct training_set *set)
{
    return set->base + set->traffic + set->labels + set->aside;
}

static const char *id_of(const struct training_set *set, size_t label)
{
    return set->ids[label] != NULL ? set->ids[label] : "";
}

/* ---- Saving ---- */

/* The ids, or null where all rows came with the data set. */
static json_t *describe_ids(const struct training_set *set)
{
    size_t named = 0;
    for (size_t i = 0; i < set->labels; i++) {
        named += id_of(set, i)[0] != '\0';
    }
    if (named == 0) {
        return json_null();
    }
    json_t *ids = json_array();
    for (size_t i = 0; i < set->labels; i++) {
        if (json_array_append_new(ids, json_string(id_of(set, i))) != 0) {
            json_decref(ids);
            return NULL;
        }
    }
    return ids;
}

static int save_index(const struct training_set *set, struct safetensors_writer *writer,
                      struct deepsad_error *error)
{
    json_t *root = json_pack(
        "{s:I, s:I, s:I, s:I, s:b, s:o}", "base", (json_int_t)set->base, "traffic",
        (json_int_t)set->traffic, "labels", (json_int_t)set->labels, "aside",
        (json_int_t)set->aside, "complete", set->complete, "ids", describe_ids(set));
    char *text = root == NULL ? NULL : json_print(root, JSON_COMPACT);
    json_decref(root);
    if (text == NULL) {
        return error_no_memory(error, "training rows");
    }
    safetensors_writer_metadata(writer, key_reservoir, text);
    free(text);
    return DEEPSAD_OK;
}

int training_set_save(const struct training_set *set, struct safetensors_writer *writer,
                      struct deepsad_error *error)
{
    float *values = calloc(2 * set->labels + 1, sizeof *values);
    if (values == NULL) {
        return error_no_memory(error, "training rows");
    }
    float *y = values, *ordinal = values + set->labels;
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < set->labels && status == DEEPSAD_OK; i++) {
        y[i] = (float)set->y[i];
        ordinal[i] = (float)set->ordinal[i];
        if (set->ordinal[i] >= ORDINAL_MAX) {
            status = error_set(error, DEEPSAD_INVALID,
                               "label %zu has the ordinal %u: the limit is %d", i,
                               (unsigned)set->ordinal[i], ORDINAL_MAX);
        }
    }
    if (status == DEEPSAD_OK) {
        safetensors_writer_borrow(writer, "reservoir.x", rows_of(set), set->features,
                                  set->x);
        safetensors_writer_add(writer, "reservoir.y", set->labels, 0, y);
        safetensors_writer_add(writer, "reservoir.ordinal", set->labels, 0, ordinal);
        status = save_index(set, writer, error);
    }
    free(values);
    return status;
}

/* ---- Reading ---- */

static int read_count(size_t *out, const json_t *root, const char *name,
                      struct deepsad_error *error)
{
    const json_t *value = json_object_get(root, name);
    json_int_t count = json_integer_value(value);
    if (!json_is_integer(value) || count < 0 || count > UINT32_MAX) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "__metadata__: \"%s\": %s is not a count", key_reservoir, name);
    }
    *out = (size_t)count;
    return DEEPSAD_OK;
}

static int read_ids(struct training_set *set, const json_t *ids,
                    struct deepsad_error *error)
{
    if (json_is_null(ids)) {
        return DEEPSAD_OK;
    }
    if (json_array_size(ids) != set->labels) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "__metadata__: \"%s\": ids are not the %zu of the labels",
                         key_reservoir, set->labels);
    }
    for (size_t i = 0; i < set->labels; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_string(id) || json_string_length(id) > ID_MAX) {
            return error_set(error, DEEPSAD_CORRUPT,
                             "__metadata__: \"%s\": id %zu is not a text of at most %d "
                             "bytes",
                             key_reservoir, i, ID_MAX);
        }
        set->ids[i] = strdup(json_string_value(id));
        if (set->ids[i] == NULL) {
            return error_no_memory(error, "label ids");
        }
    }
    return DEEPSAD_OK;
}

/* The memory that the counts ask for: only where the file holds as much. */
static int allocate(struct training_set *set, const struct safetensors *file,
                    const json_t *root, size_t features, struct deepsad_error *error)
{
    size_t base = 0, traffic = 0, labels = 0, aside = 0;
    int status = read_count(&base, root, "base", error);
    if (status == DEEPSAD_OK) {
        status = read_count(&traffic, root, "traffic", error);
    }
    if (status == DEEPSAD_OK) {
        status = read_count(&labels, root, "labels", error);
    }
    if (status == DEEPSAD_OK) {
        status = read_count(&aside, root, "aside", error);
    }
    const struct safetensors_tensor *tensor;
    if (status == DEEPSAD_OK) {
        status = safetensors_expect(&tensor, file, "reservoir.x",
                                    base + traffic + labels + aside, features, error);
    }
    if (status == DEEPSAD_OK) {
        status = safetensors_expect(&tensor, file, "reservoir.y", labels, 0, error);
    }
    return status != DEEPSAD_OK
               ? status
               : training_set_new(set, features, base, traffic, labels, aside, error);
}

static int check_label(float y, float ordinal, size_t i, struct deepsad_error *error)
{
    if (y != 1 && y != -1) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "tensor \"reservoir.y\": element %zu is not 1 or -1", i);
    }
    if (!(ordinal >= 0 && ordinal < ORDINAL_MAX) || ordinal != floorf(ordinal)) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "tensor \"reservoir.ordinal\": element %zu is not an ordinal",
                         i);
    }
    return DEEPSAD_OK;
}

static int read_labels(struct training_set *set, const struct safetensors *file,
                       struct deepsad_error *error)
{
    float *values = calloc(2 * set->labels + 1, sizeof *values);
    if (values == NULL) {
        return error_no_memory(error, "training rows");
    }
    float *y = values, *ordinal = values + set->labels;
    int status = safetensors_copy(y, file, "reservoir.y", set->labels, 0, error);
    if (status == DEEPSAD_OK) {
        status =
            safetensors_copy(ordinal, file, "reservoir.ordinal", set->labels, 0, error);
    }
    for (size_t i = 0; i < set->labels && status == DEEPSAD_OK; i++) {
        status = check_label(y[i], ordinal[i], i, error);
        if (status == DEEPSAD_OK) {
            set->y[i] = (signed char)y[i];
            set->ordinal[i] = (uint32_t)ordinal[i];
        }
    }
    free(values);
    return status;
}

/* What the manifest says of the rows is true of them. */
static int check_digest(const struct training_set *set, const struct safetensors *file,
                        struct deepsad_error *error)
{
    const char *text = safetensors_metadata(file, "deepsad.manifest");
    json_t *manifest = NULL;
    int status = text == NULL
                     ? DEEPSAD_OK
                     : json_parse(&manifest, text, strlen(text), 0, "manifest", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    const char *expected = json_string_value(
        json_object_get(json_object_get(manifest, "reservoir"), "sha256"));
    char digest[TRAINING_SET_DIGEST];
    training_set_digest(digest, set);
    status = expected != NULL && strcmp(expected, digest) == 0
                 ? DEEPSAD_OK
                 : error_set(error, DEEPSAD_CORRUPT,
                             "the training rows are not those that the manifest's "
                             "reservoir.sha256 was taken of");
    json_decref(manifest);
    return status;
}

static int load(struct training_set *set, const struct safetensors *file,
                const json_t *root, size_t features, struct deepsad_error *error)
{
    int status = allocate(set, file, root, features, error);
    if (status == DEEPSAD_OK) {
        set->complete = json_is_true(json_object_get(root, "complete"));
        status =
            safetensors_copy(set->x, file, "reservoir.x", rows_of(set), features, error);
    }
    if (status == DEEPSAD_OK) {
        status = read_labels(set, file, error);
    }
    if (status == DEEPSAD_OK) {
        status = read_ids(set, json_object_get(root, "ids"), error);
    }
    return status != DEEPSAD_OK ? status : check_digest(set, file, error);
}

int training_set_load(struct training_set *out, const struct safetensors *file,
                      size_t features, struct deepsad_error *error)
{
    const char *text = safetensors_metadata(file, key_reservoir);
    if (text == NULL) {
        return error_set(error, DEEPSAD_NOT_FOUND,
                         "the model keeps none of the rows that it was trained on; train "
                         "it with the recipe setting reservoir above 0");
    }
    json_t *root;
    int status = json_parse(&root, text, strlen(text), JSON_REJECT_DUPLICATES,
                            "__metadata__: \"deepsad.reservoir\"", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct training_set set = {0};
    status = load(&set, file, root, features, error);
    json_decref(root);
    if (status != DEEPSAD_OK) {
        training_set_done(&set);
        return status;
    }
    *out = set;
    return DEEPSAD_OK;
}

static int read_features(size_t *features, const char *manifest,
                         struct deepsad_error *error)
{
    json_t *root;
    int status = json_parse(&root, manifest, strlen(manifest), 0, "manifest", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    json_int_t count =
        json_integer_value(json_object_get(json_object_get(root, "input"), "features"));
    json_decref(root);
    if (count < 1 || count > FEATURES_MAX) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "manifest: input.features is missing or out of range");
    }
    *features = (size_t)count;
    return DEEPSAD_OK;
}

int training_set_read(struct training_set *out, const char *path,
                      struct deepsad_error *error)
{
    struct safetensors *file = NULL;
    const char *manifest;
    size_t features = 0;
    int status = model_file_open(&file, &manifest, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = read_features(&features, manifest, error);
    if (status == DEEPSAD_OK) {
        status = training_set_load(out, file, features, error);
    }
    safetensors_free(file);
    return status == DEEPSAD_OK ? status : error_prefix(error, "%s", path);
}
