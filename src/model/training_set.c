/* SPDX-License-Identifier: Apache-2.0 */
#include "model/training_set.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/digest.h"
#include "model/fold.h"
#include "model/model_file.h"

static const char *const key_reservoir = "deepsad.reservoir";

/* Ordinals are kept as floats, the format's only type: exact below 2^24. */
enum { ORDINAL_MAX = 1 << 24, ID_MAX = 256, FEATURES_MAX = 1 << 24 };

static size_t unlabeled_of(const struct training_set *set)
{
    return set->base + set->traffic;
}

static size_t rows_of(const struct training_set *set)
{
    return set->base + set->traffic + set->labels;
}

static size_t stored_of(const struct training_set *set)
{
    return rows_of(set) + set->aside;
}

static const char *id_of(const struct training_set *set, size_t label)
{
    return set->ids[label] != NULL ? set->ids[label] : "";
}

/* ---- Memory ---- */

int training_set_new(struct training_set *out, size_t features, size_t base,
                     size_t traffic, size_t labels, size_t aside,
                     struct deepsad_error *error)
{
    struct training_set set = {.features = features,
                               .base = base,
                               .traffic = traffic,
                               .labels = labels,
                               .aside = aside};
    size_t rows, values;
    if (__builtin_add_overflow(base, traffic, &rows) ||
        __builtin_add_overflow(rows, labels, &rows) ||
        __builtin_add_overflow(rows, aside, &rows) ||
        __builtin_mul_overflow(rows, features, &values) ||
        values >= SIZE_MAX / sizeof *set.x) {
        return error_no_memory(error, "training rows");
    }
    set.x = calloc(values + 1, sizeof *set.x);
    set.y = calloc(labels + 1, sizeof *set.y);
    set.ordinal = calloc(labels + 1, sizeof *set.ordinal);
    set.ids = calloc(labels + 1, sizeof *set.ids);
    if (set.x == NULL || set.y == NULL || set.ordinal == NULL || set.ids == NULL) {
        set.labels = set.ids == NULL ? 0 : labels;
        training_set_done(&set);
        return error_no_memory(error, "training rows");
    }
    *out = set;
    return DEEPSAD_OK;
}

void training_set_done(struct training_set *set)
{
    for (size_t i = 0; set->ids != NULL && i < set->labels; i++) {
        free(set->ids[i]);
    }
    free(set->ids);
    free(set->x);
    free(set->y);
    free(set->ordinal);
    *set = (struct training_set){0};
}

static int copy_ids(struct training_set *out, const struct training_set *set)
{
    for (size_t i = 0; i < set->labels; i++) {
        const char *id = id_of(set, i);
        if (id[0] != '\0' && (out->ids[i] = strdup(id)) == NULL) {
            return -1;
        }
    }
    return 0;
}

int training_set_copy(struct training_set *out, const struct training_set *set,
                      struct deepsad_error *error)
{
    struct training_set copy;
    int status = training_set_new(&copy, set->features, set->base, set->traffic,
                                  set->labels, set->aside, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (stored_of(set) > 0) {
        memcpy(copy.x, set->x, stored_of(set) * set->features * sizeof *set->x);
    }
    if (set->labels > 0) {
        memcpy(copy.y, set->y, set->labels);
        memcpy(copy.ordinal, set->ordinal, set->labels * sizeof *set->ordinal);
    }
    copy.complete = set->complete;
    if (copy_ids(&copy, set) != 0) {
        training_set_done(&copy);
        return error_no_memory(error, "training rows");
    }
    *out = copy;
    return DEEPSAD_OK;
}

/* ---- From a data set ---- */

static signed char label_of(const struct deepsad_dataset *dataset, size_t row)
{
    return dataset->labels == NULL ? (signed char)0 : dataset->labels[row];
}

/* A row's lot. The index takes part, so that rows of equal content are drawn evenly. */
static uint64_t lot_of(const struct deepsad_dataset *dataset, size_t row)
{
    uint64_t hash = fold_hash(dataset->x + row * dataset->features, dataset->features);
    hash ^= (row + 1) * 0x9e3779b97f4a7c15U;
    hash ^= hash >> 31;
    hash *= 0x94d049bb133111ebU;
    return hash ^ (hash >> 29);
}

static int compare_lots(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Marks `kept` of the rows of one class, those with the lowest lots: at most `most`. */
static int draw(bool *kept, size_t *count, const struct deepsad_dataset *dataset,
                signed char label, size_t most, struct deepsad_error *error)
{
    uint64_t *lots = calloc(dataset->rows + 1, sizeof *lots);
    if (lots == NULL) {
        return error_no_memory(error, "a sample of the training rows");
    }
    size_t found = 0, taken = 0;
    for (size_t i = 0; i < dataset->rows; i++) {
        if (label_of(dataset, i) == label) {
            lots[found++] = lot_of(dataset, i);
        }
    }
    qsort(lots, found, sizeof *lots, compare_lots);
    uint64_t limit = found > most ? lots[most] : UINT64_MAX;
    for (size_t i = 0; i < dataset->rows; i++) {
        if (label_of(dataset, i) == label) {
            kept[i] = found <= most || (taken < most && lot_of(dataset, i) < limit);
            taken += kept[i];
        }
    }
    free(lots);
    *count += taken;
    return DEEPSAD_OK;
}

/* The rows kept, each in its place: unlabeled ones first. */
static void fill(struct training_set *set, const struct deepsad_dataset *dataset,
                 const bool *kept)
{
    size_t row_of[2] = {0, set->base}; /* next place of an unlabeled, a labelled row */
    uint32_t ordinals[2] = {0};        /* of normals, of anomalies */
    size_t size = dataset->features * sizeof *dataset->x;
    for (size_t i = 0; i < dataset->rows; i++) {
        signed char label = label_of(dataset, i);
        uint32_t ordinal = label == 0 ? 0 : ordinals[label < 0]++;
        if (!kept[i]) {
            continue;
        }
        size_t place = row_of[label != 0]++;
        memcpy(set->x + place * set->features, dataset->x + i * set->features, size);
        if (label != 0) {
            set->y[place - set->base] = (signed char)(label > 0 ? 1 : -1);
            set->ordinal[place - set->base] = ordinal;
        }
    }
}

int training_set_from_dataset(struct training_set *out,
                              const struct deepsad_dataset *dataset, size_t unlabeled_max,
                              struct deepsad_error *error)
{
    if (unlabeled_max == 0 || dataset->rows == 0) {
        return training_set_new(out, dataset->features, 0, 0, 0, 0, error);
    }
    size_t row_size = dataset->features * sizeof *dataset->x;
    size_t bound = TRAINING_SET_BYTES_MAX / (row_size > 0 ? row_size : 1) + 1;
    bool *kept = calloc(dataset->rows, sizeof *kept);
    if (kept == NULL) {
        return error_no_memory(error, "a sample of the training rows");
    }
    struct training_set set;
    size_t base = 0, labels = 0;
    int status = draw(kept, &base, dataset, 0,
                      unlabeled_max < bound ? unlabeled_max : bound, error);
    if (status == DEEPSAD_OK) {
        status = draw(kept, &labels, dataset, 1, bound, error);
    }
    if (status == DEEPSAD_OK) {
        status = draw(kept, &labels, dataset, -1, SIZE_MAX, error);
    }
    if (status == DEEPSAD_OK) {
        status = training_set_new(&set, dataset->features, base, 0, labels, 0, error);
    }
    if (status == DEEPSAD_OK) {
        fill(&set, dataset, kept);
        set.complete = base + labels == dataset->rows;
        *out = set;
    }
    free(kept);
    return status;
}

/* ---- Digests ---- */

static void add_labels(struct digest *digest, const struct training_set *set)
{
    digest_add(digest, set->y, set->labels);
    digest_add(digest, set->ordinal, set->labels * sizeof *set->ordinal);
    for (size_t i = 0; i < set->labels; i++) {
        digest_add(digest, id_of(set, i), strlen(id_of(set, i)) + 1);
    }
}

void training_set_digest(char text[static TRAINING_SET_DIGEST],
                         const struct training_set *set)
{
    struct digest digest;
    uint64_t sizes[] = {set->features, set->base,  set->traffic,
                        set->labels,   set->aside, set->complete};
    digest_init(&digest);
    digest_add(&digest, sizes, sizeof sizes);
    add_labels(&digest, set);
    digest_add(&digest, set->x, stored_of(set) * set->features * sizeof *set->x);
    digest_finish(&digest, text);
}

void training_set_labels_digest(char text[static TRAINING_SET_DIGEST],
                                const struct training_set *set)
{
    struct digest digest;
    digest_init(&digest);
    add_labels(&digest, set);
    digest_add(&digest, set->x + unlabeled_of(set) * set->features,
               set->labels * set->features * sizeof *set->x);
    digest_finish(&digest, text);
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
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
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
        safetensors_writer_add(writer, "reservoir.x", stored_of(set), set->features,
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
    json_t *manifest = text == NULL ? NULL : json_loads(text, 0, NULL);
    const char *expected = json_string_value(
        json_object_get(json_object_get(manifest, "reservoir"), "sha256"));
    char digest[TRAINING_SET_DIGEST];
    training_set_digest(digest, set);
    int status = expected != NULL && strcmp(expected, digest) == 0
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
        status = safetensors_copy(set->x, file, "reservoir.x", stored_of(set), features,
                                  error);
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
    json_error_t fault;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
    if (root == NULL) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "__metadata__: \"%s\", line %d, column %d: %s", key_reservoir,
                         fault.line, fault.column, fault.text);
    }
    struct training_set set = {0};
    int status = load(&set, file, root, features, error);
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
    json_t *root = json_loads(manifest, 0, NULL);
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
