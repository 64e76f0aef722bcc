/* SPDX-License-Identifier: Apache-2.0 */
#include "model/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensors are little-endian and copied as they are");

enum { LENGTH_SIZE = 8 };

struct safetensors {
    bool foreign; /* other dtypes are allowed */
    struct buffer file;
    json_t *header;
    const char *data;
    size_t data_size;
    size_t count;
    struct safetensors_tensor *tensors; /* by offset */
    struct buffer table;
};

void safetensors_append_entry(struct buffer *table, const char *name, size_t rank,
                              const size_t *shape)
{
    buffer_append_text(table, name);
    for (size_t i = 0; i < rank; i++) {
        buffer_printf(table, " %zu", shape[i]);
    }
    buffer_append_text(table, "\n");
}

/* ---- Reading ---- */

static int read_size(size_t *out, const json_t *value, const char *name, const char *what,
                     struct deepsad_error *error)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "tensor \"%s\": %s is not a list of integers >= 0", name, what);
    }
    *out = (size_t)json_integer_value(value);
    return DEEPSAD_OK;
}

static int read_shape(struct safetensors_tensor *tensor, const json_t *shape,
                      struct deepsad_error *error)
{
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_RANK_MAX) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "tensor \"%s\": shape is not a list of at most %d sizes",
                         tensor->name, SAFETENSORS_RANK_MAX);
    }
    tensor->rank = json_array_size(shape);
    tensor->count = 1;
    for (size_t i = 0; i < tensor->rank; i++) {
        int status = read_size(&tensor->shape[i], json_array_get(shape, i), tensor->name,
                               "shape", error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        if (__builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count)) {
            return error_set(error, DEEPSAD_CORRUPT,
                             "tensor \"%s\": shape overflows: too many elements",
                             tensor->name);
        }
    }
    return DEEPSAD_OK;
}

/* Bytes of an element; 0 where the dtype is none of the format's. */
static size_t dtype_size(const char *dtype)
{
    static const struct {
        const char *name;
        size_t size;
    } types[] = {{"F32", 4}, {"F64", 8}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                 {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1},
                 {"U16", 2}, {"U32", 4}, {"U64", 8}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, dtype) == 0) {
            return types[i].size;
        }
    }
    return 0;
}

static int read_dtype(struct safetensors_tensor *tensor, const json_t *dtype,
                      bool foreign, struct deepsad_error *error)
{
    const char *text = json_string_value(dtype);
    if (text == NULL) {
        return error_set(error, DEEPSAD_CORRUPT, "tensor \"%s\": no dtype", tensor->name);
    }
    if (strcmp(text, "F32") != 0 && (!foreign || dtype_size(text) == 0)) {
        return error_set(error, DEEPSAD_UNSUPPORTED,
                         "tensor \"%s\": dtype %.16s is not supported; save it as F32",
                         tensor->name, text);
    }
    snprintf(tensor->dtype, sizeof tensor->dtype, "%s", text);
    return DEEPSAD_OK;
}

static int read_offsets(struct safetensors_tensor *tensor, const json_t *offsets,
                        const char *data, size_t data_size, struct deepsad_error *error)
{
    size_t begin = 0, end = 0, size;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "tensor \"%s\": data_offsets is not [begin, end]", tensor->name);
    }
    int status = read_size(&begin, json_array_get(offsets, 0), tensor->name,
                           "data_offsets", error);
    if (status == DEEPSAD_OK) {
        status = read_size(&end, json_array_get(offsets, 1), tensor->name, "data_offsets",
                           error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (begin > end || end > data_size) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "tensor \"%s\": data_offsets [%zu, %zu] reach outside the %zu "
                         "bytes of data; is the file cut off?",
                         tensor->name, begin, end, data_size);
    }
    if (__builtin_mul_overflow(tensor->count, dtype_size(tensor->dtype), &size) ||
        size != end - begin) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "tensor \"%s\": data_offsets span %zu bytes, its shape needs "
                         "%zu %s",
                         tensor->name, end - begin, tensor->count,
                         strcmp(tensor->dtype, "F32") == 0 ? "floats" : "elements");
    }
    tensor->bytes = data + begin;
    return DEEPSAD_OK;
}

/* Without a way out of the loop, so that it becomes vector code. */
static bool all_finite(const struct safetensors_tensor *tensor)
{
    uint32_t odd = 0;
    for (size_t i = 0; i < tensor->count; i++) {
        uint32_t bits;
        memcpy(&bits, tensor->bytes + i * sizeof bits, sizeof bits);
        odd |= (bits & 0x7f800000U) == 0x7f800000U;
    }
    return odd == 0;
}

static int check_finite(const struct safetensors_tensor *tensor,
                        struct deepsad_error *error)
{
    bool missing = strncmp(tensor->name, SAFETENSORS_ROWS, strlen(SAFETENSORS_ROWS)) == 0;
    size_t count = all_finite(tensor) ? 0 : tensor->count;
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, tensor->bytes + i * sizeof value, sizeof value);
        if (!isfinite(value) && !(missing && isnan(value))) {
            return error_set(error, DEEPSAD_CORRUPT,
                             "tensor \"%s\": element %zu is NaN or infinite",
                             tensor->name, i);
        }
    }
    return DEEPSAD_OK;
}

static int read_tensor(struct safetensors_tensor *tensor, const char *name,
                       const json_t *entry, const struct safetensors *file,
                       struct deepsad_error *error)
{
    tensor->name = name;
    if (!json_is_object(entry) || json_object_size(entry) != 3) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "tensor \"%s\": not an object of dtype, shape, data_offsets",
                         name);
    }
    int status =
        read_dtype(tensor, json_object_get(entry, "dtype"), file->foreign, error);
    if (status == DEEPSAD_OK) {
        status = read_shape(tensor, json_object_get(entry, "shape"), error);
    }
    if (status == DEEPSAD_OK) {
        status = read_offsets(tensor, json_object_get(entry, "data_offsets"), file->data,
                              file->data_size, error);
    }
    bool foreign = strcmp(tensor->dtype, "F32") != 0;
    return status != DEEPSAD_OK || foreign ? status : check_finite(tensor, error);
}

static int check_metadata(json_t *metadata, struct deepsad_error *error)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) {
        return error_set(error, DEEPSAD_CORRUPT, "__metadata__ is not an object");
    }
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value)) {
            return error_set(error, DEEPSAD_CORRUPT,
                             "__metadata__: \"%s\" is not a string", key);
        }
    }
    return DEEPSAD_OK;
}

static int compare_tensors(const void *a, const void *b)
{
    const struct safetensors_tensor *left = a, *right = b;
    if (left->bytes != right->bytes) {
        return left->bytes < right->bytes ? -1 : 1;
    }
    return (left->count > right->count) - (left->count < right->count);
}

/* Every byte of the data belongs to exactly one tensor. */
static int check_layout(const struct safetensors *file, struct deepsad_error *error)
{
    const char *end = file->data;
    for (size_t i = 0; i < file->count; i++) {
        const struct safetensors_tensor *tensor = &file->tensors[i];
        if (tensor->bytes != end) {
            return error_set(error, DEEPSAD_CORRUPT, "tensor \"%s\": %s", tensor->name,
                             tensor->bytes < end ? "overlaps the one before it"
                                                 : "there is a hole before it");
        }
        end += tensor->count * dtype_size(tensor->dtype);
    }
    if (end != file->data + file->data_size) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "%zu bytes behind the last tensor belong to none",
                         (size_t)(file->data + file->data_size - end));
    }
    return DEEPSAD_OK;
}

static int read_header(struct safetensors *file, struct deepsad_error *error)
{
    const char *name;
    json_t *entry;
    size_t entries = json_object_size(file->header);
    if (entries > SAFETENSORS_TENSORS_MAX) {
        return error_set(error, DEEPSAD_CORRUPT, "%zu tensors: the limit is %d", entries,
                         SAFETENSORS_TENSORS_MAX);
    }
    file->tensors = calloc(entries + 1, sizeof *file->tensors);
    if (file->tensors == NULL) {
        return error_no_memory(error, "tensors");
    }
    json_object_foreach(file->header, name, entry)
    {
        int status =
            strcmp(name, "__metadata__") == 0
                ? check_metadata(entry, error)
                : read_tensor(&file->tensors[file->count++], name, entry, file, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, compare_tensors);
    return check_layout(file, error);
}

static int parse(struct safetensors *file, struct deepsad_error *error)
{
    size_t size = file->file.length;
    if (size < LENGTH_SIZE) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "%zu bytes are too short for a safetensors file", size);
    }
    uint64_t length;
    memcpy(&length, file->file.data, sizeof length);
    if (length > SAFETENSORS_HEADER_MAX) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "header of %" PRIu64 " bytes: the limit is %d; not a "
                         "safetensors file?",
                         length, SAFETENSORS_HEADER_MAX);
    }
    if (length > size - LENGTH_SIZE) {
        return error_set(error, DEEPSAD_CORRUPT,
                         "header of %" PRIu64 " bytes reaches past the end of the file "
                         "(%zu bytes); is it cut off?",
                         length, size);
    }
    const char *header = file->file.data + LENGTH_SIZE;
    if (length == 0 || header[0] != '{') {
        return error_set(error, DEEPSAD_CORRUPT,
                         "the header is not a JSON object; not a safetensors file?");
    }
    int status = json_parse(&file->header, header, length, JSON_REJECT_DUPLICATES,
                            "header", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    file->data = header + length;
    file->data_size = size - LENGTH_SIZE - length;
    return read_header(file, error);
}

static int make_table(struct safetensors *file, struct deepsad_error *error)
{
    for (size_t i = 0; i < file->count; i++) {
        const struct safetensors_tensor *tensor = &file->tensors[i];
        safetensors_append_entry(&file->table, tensor->name, tensor->rank, tensor->shape);
    }
    return file->table.failed ? error_no_memory(error, "a model file") : DEEPSAD_OK;
}

static int parse_as(struct safetensors **out, struct buffer *content, bool foreign,
                    struct deepsad_error *error)
{
    struct safetensors *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return error_no_memory(error, "a model file");
    }
    file->foreign = foreign;
    file->file = *content;
    *content = (struct buffer){0};
    int status = parse(file, error);
    if (status == DEEPSAD_OK) {
        status = make_table(file, error);
    }
    if (status != DEEPSAD_OK) {
        safetensors_free(file);
        return status;
    }
    *out = file;
    return DEEPSAD_OK;
}

int safetensors_parse(struct safetensors **out, struct buffer *content,
                      struct deepsad_error *error)
{
    return parse_as(out, content, false, error);
}

int safetensors_parse_foreign(struct safetensors **out, struct buffer *content,
                              struct deepsad_error *error)
{
    return parse_as(out, content, true, error);
}

void safetensors_free(struct safetensors *file)
{
    if (file != NULL) {
        json_decref(file->header);
        free(file->tensors);
        buffer_done(&file->table);
        buffer_done(&file->file);
        free(file);
    }
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *file,
                                                size_t index)
{
    return &file->tensors[index];
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *file,
                                                  const char *name)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    return json_string_value(
        json_object_get(json_object_get(file->header, "__metadata__"), key));
}

const char *safetensors_table(const struct safetensors *file, size_t *size)
{
    *size = file->table.length;
    return file->table.data;
}

const char *safetensors_data(const struct safetensors *file, size_t *size)
{
    *size = file->data_size;
    return file->data;
}

static int shape_fault(const char *name, size_t rank, const size_t *shape,
                       struct deepsad_error *error)
{
    char text[SAFETENSORS_RANK_MAX * 24] = "";
    size_t length = 0;
    for (size_t i = 0; i < rank; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%zu",
                                   i > 0 ? " x " : "", shape[i]);
    }
    return error_set(error, DEEPSAD_CORRUPT,
                     "tensor \"%s\": its shape is not the %s%s that the manifest asks "
                     "for",
                     name, text, rank == 1 ? " x 1" : "");
}

int safetensors_expect_shape(const struct safetensors_tensor **out,
                             const struct safetensors *file, const char *name,
                             size_t rank, const size_t *shape,
                             struct deepsad_error *error)
{
    const struct safetensors_tensor *tensor = safetensors_find(file, name);
    if (tensor == NULL) {
        return error_set(error, DEEPSAD_CORRUPT, "tensor \"%s\" is missing", name);
    }
    if (tensor->rank != rank || memcmp(tensor->shape, shape, rank * sizeof *shape) != 0) {
        return shape_fault(name, rank, shape, error);
    }
    *out = tensor;
    return DEEPSAD_OK;
}

int safetensors_expect(const struct safetensors_tensor **out,
                       const struct safetensors *file, const char *name, size_t rows,
                       size_t columns, struct deepsad_error *error)
{
    const size_t shape[] = {rows, columns};
    return safetensors_expect_shape(out, file, name, columns > 0 ? 2 : 1, shape, error);
}

int safetensors_copy_shape(float *out, const struct safetensors *file, const char *name,
                           size_t rank, const size_t *shape, struct deepsad_error *error)
{
    const struct safetensors_tensor *tensor;
    int status = safetensors_expect_shape(&tensor, file, name, rank, shape, error);
    if (status == DEEPSAD_OK && tensor->count > 0) {
        memcpy(out, tensor->bytes, tensor->count * sizeof(float));
    }
    return status;
}

int safetensors_copy(float *out, const struct safetensors *file, const char *name,
                     size_t rows, size_t columns, struct deepsad_error *error)
{
    const size_t shape[] = {rows, columns};
    return safetensors_copy_shape(out, file, name, columns > 0 ? 2 : 1, shape, error);
}
