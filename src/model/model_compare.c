/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model_compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/model_file.h"

static bool is_kept_rows(const char *name)
{
    return strncmp(name, SAFETENSORS_ROWS, strlen(SAFETENSORS_ROWS)) == 0;
}

static void note(struct model_difference *out, const char *name, double difference)
{
    if (out->different++ == 0) {
        snprintf(out->first, sizeof out->first, "%s", name);
    }
    out->largest = fmax(out->largest, difference);
}

static float value_of(const struct safetensors_tensor *tensor, size_t index)
{
    float value;
    memcpy(&value, tensor->bytes + index * sizeof value, sizeof value);
    return value;
}

static double difference_of(const struct safetensors_tensor *a,
                            const struct safetensors_tensor *b)
{
    double largest = 0, scale = 0;
    for (size_t i = 0; i < a->count; i++) {
        double left = (double)value_of(a, i), right = (double)value_of(b, i);
        largest = fmax(largest, fabs(left - right));
        scale = fmax(scale, fabs(left));
    }
    return scale > 0 ? largest / scale : largest;
}

static void compare_tensor(struct model_difference *out,
                           const struct safetensors_tensor *expected,
                           const struct safetensors *file)
{
    const struct safetensors_tensor *tensor = safetensors_find(file, expected->name);
    bool same_shape = tensor != NULL && tensor->rank == expected->rank &&
                      memcmp(tensor->shape, expected->shape,
                             tensor->rank * sizeof tensor->shape[0]) == 0;
    if (!same_shape) {
        note(out, expected->name, (double)INFINITY);
    } else if (memcmp(tensor->bytes, expected->bytes, tensor->count * sizeof(float)) !=
               0) {
        note(out, expected->name, difference_of(expected, tensor));
    }
}

static void compare_tensors(struct model_difference *out,
                            const struct safetensors *expected,
                            const struct safetensors *file)
{
    struct digest digest;
    digest_init(&digest);
    for (size_t i = 0; i < safetensors_count(expected); i++) {
        const struct safetensors_tensor *tensor = safetensors_at(expected, i);
        if (!is_kept_rows(tensor->name)) {
            out->tensors++;
            digest_add(&digest, tensor->name, strlen(tensor->name) + 1);
            digest_add(&digest, tensor->shape, tensor->rank * sizeof tensor->shape[0]);
            digest_add(&digest, tensor->bytes, tensor->count * sizeof(float));
            compare_tensor(out, tensor, file);
        }
    }
    digest_finish(&digest, out->digest);
}

/* What stands in the one file and not in the other. */
static void find_additions(struct model_difference *out,
                           const struct safetensors *expected,
                           const struct safetensors *file)
{
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        if (!is_kept_rows(name) && safetensors_find(expected, name) == NULL) {
            note(out, name, (double)INFINITY);
        }
    }
}

static double number_at(const json_t *component, const char *part, const char *name)
{
    const json_t *object = part == NULL ? component : json_object_get(component, part);
    return json_number_value(json_object_get(object, name));
}

static void compare_components(struct model_difference *out, const json_t *expected,
                               const json_t *components)
{
    static const char *const numbers[][2] = {
        {NULL, "weight"}, {"normaliser", "q50"}, {"normaliser", "q90"}};
    size_t count = json_array_size(expected);
    if (count != json_array_size(components)) {
        note(out, "components of the manifest", (double)INFINITY);
        return;
    }
    for (size_t j = 0; j < count; j++) {
        const json_t *left = json_array_get(expected, j);
        const json_t *right = json_array_get(components, j);
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            double a = number_at(left, numbers[i][0], numbers[i][1]);
            double b = number_at(right, numbers[i][0], numbers[i][1]);
            if (a != b) {
                char name[64];
                snprintf(name, sizeof name, "components[%zu].%s of the manifest", j,
                         numbers[i][1]);
                note(out, name, fabs(a - b) / fmax(fabs(a), 1));
            }
        }
    }
}

static int compare_manifests(struct model_difference *out,
                             const struct safetensors *expected,
                             const struct deepsad_model *model,
                             struct deepsad_error *error)
{
    const char *text = safetensors_metadata(expected, "deepsad.manifest");
    json_t *left = text == NULL ? NULL : json_read(text);
    json_t *right = json_read(model->manifest);
    int status = left != NULL && right != NULL
                     ? DEEPSAD_OK
                     : error_set(error, DEEPSAD_CORRUPT, "manifest: not JSON");
    if (status == DEEPSAD_OK) {
        compare_components(out, json_object_get(left, "components"),
                           json_object_get(right, "components"));
    }
    json_decref(left);
    json_decref(right);
    return status;
}

int model_compare(struct model_difference *out, const struct safetensors *expected,
                  const struct deepsad_model *model, struct deepsad_error *error)
{
    struct model_difference difference = {0};
    struct buffer bytes = {0};
    struct safetensors *file = NULL;
    int status = model_file_format(&bytes, model, error);
    if (status == DEEPSAD_OK) {
        status = safetensors_parse(&file, &bytes, error);
    }
    if (status == DEEPSAD_OK) {
        compare_tensors(&difference, expected, file);
        find_additions(&difference, expected, file);
        status = compare_manifests(&difference, expected, model, error);
    }
    buffer_done(&bytes);
    safetensors_free(file);
    if (status == DEEPSAD_OK) {
        *out = difference;
    }
    return status;
}
