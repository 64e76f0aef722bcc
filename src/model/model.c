/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int copy_names(struct deepsad_model *model, char *const *names)
{
    for (size_t i = 0; i < model->features; i++) {
        char name[32];
        snprintf(name, sizeof name, "x%zu", i);
        model->names[i] = strdup(names != NULL ? names[i] : name);
        if (model->names[i] == NULL) {
            return -1;
        }
        model->names_sorted[i] = (uint32_t)i;
    }
    return 0;
}

static int compare_names(const void *a, const void *b, void *closure)
{
    char *const *names = closure;
    return strcmp(names[*(const uint32_t *)a], names[*(const uint32_t *)b]);
}

int model_new(struct deepsad_model **out, size_t features, char *const *names,
              struct deepsad_error *error)
{
    struct deepsad_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return error_no_memory(error, "a model");
    }
    atomic_init(&model->references, 1);
    model->alpha = MODEL_ALPHA_DEFAULT;
    model->features = features;
    model->named = names != NULL;
    model->names = calloc(features + 1, sizeof *model->names);
    model->names_sorted = calloc(features + 1, sizeof *model->names_sorted);
    if (model->names == NULL || model->names_sorted == NULL ||
        copy_names(model, names) != 0) {
        deepsad_model_unref(model);
        return error_no_memory(error, "a model");
    }
    qsort_r(model->names_sorted, features, sizeof *model->names_sorted, compare_names,
            model->names);
    *out = model;
    return DEEPSAD_OK;
}

void model_add(struct deepsad_model *model, struct component *component)
{
    model->components[model->component_count++] = component;
    model->weight_sum += component->weight;
}

static void drop_set(struct deepsad_model *model)
{
    if (model->set != NULL) {
        training_set_done(model->set);
        free(model->set);
        model->set = NULL;
    }
}

int model_hold_set(struct deepsad_model *model, struct training_set *set,
                   struct deepsad_error *error)
{
    struct training_set *own = malloc(sizeof *own);
    if (own == NULL) {
        return error_no_memory(error, "training rows");
    }
    drop_set(model);
    *own = *set;
    *set = (struct training_set){0};
    model->set = own;
    return DEEPSAD_OK;
}

struct deepsad_model *deepsad_model_ref(struct deepsad_model *model)
{
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

static void free_names(struct deepsad_model *model)
{
    for (size_t i = 0; model->names != NULL && i < model->features; i++) {
        free(model->names[i]);
    }
    free(model->names);
    free(model->names_sorted);
}

void deepsad_model_unref(struct deepsad_model *model)
{
    if (model == NULL || atomic_fetch_sub(&model->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < model->component_count; i++) {
        component_free(model->components[i]);
    }
    scaler_done(&model->scaler);
    calibration_done(&model->calibration);
    free_names(model);
    free(model->manifest);
    drop_set(model);
    free(model);
}

size_t deepsad_model_features(const struct deepsad_model *model)
{
    return model->features;
}

const char *deepsad_model_feature_name(const struct deepsad_model *model, size_t index)
{
    return model->names[index];
}

size_t deepsad_model_feature_index(const struct deepsad_model *model, const char *name,
                                   size_t length)
{
    size_t low = 0, high = model->features;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        size_t index = model->names_sorted[middle];
        int order = strncmp(model->names[index], name, length);
        if (order == 0 && model->names[index][length] == '\0') {
            return index;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle; /* above, or longer */
        }
    }
    return SIZE_MAX;
}

char *deepsad_model_card(const struct deepsad_model *model)
{
    return strdup(model->manifest);
}

bool deepsad_model_threshold(const struct deepsad_model *model, double alpha,
                             float *threshold)
{
    return calibration_threshold(&model->calibration, alpha, threshold);
}

double deepsad_model_alpha_min(const struct deepsad_model *model)
{
    return calibration_alpha_min(&model->calibration);
}

double deepsad_model_alpha(const struct deepsad_model *model)
{
    return model->alpha;
}

void model_blend(const struct deepsad_model *model, float *scores,
                 float *const raw[MODEL_COMPONENTS_MAX], size_t rows)
{
    memset(scores, 0, rows * sizeof *scores);
    if (model->raw) {
        memcpy(scores, raw[0], rows * sizeof *scores);
    } else {
        for (size_t j = 0; j < model->component_count; j++) {
            component_add_normalised(model->components[j], scores, raw[j], rows);
        }
        float factor = (float)(1 / model->weight_sum);
        for (size_t i = 0; i < rows; i++) {
            scores[i] *= factor;
        }
    }
    for (size_t i = 0; i < rows; i++) {
        scores[i] = component_clamp(scores[i]);
    }
}

/* A column that the other side does not have, or NULL. The search for one starts at its
 * own place: mostly it is found near there. */
static const char *odd_column(char *const *names, size_t count, char *const *others,
                              size_t other_count)
{
    for (size_t i = 0; i < count; i++) {
        size_t tried = 0;
        while (tried < other_count &&
               strcmp(names[i], others[(i + tried) % other_count]) != 0) {
            tried++;
        }
        if (tried == other_count) {
            return names[i];
        }
    }
    return NULL;
}

static int count_fault(const struct deepsad_model *model,
                       const struct deepsad_dataset *dataset, struct deepsad_error *error)
{
    if (model->channels > 0) {
        return error_set(
            error, DEEPSAD_INVALID,
            "rows of %zu values; the model was trained on images of %zu x %zu "
            "x %zu (channels, height, width), %zu values; an array has a row "
            "for each image: a single one is array[None]",
            dataset->features, model->channels, model->height, model->width,
            model->features);
    }
    const char *extra = NULL, *absent = NULL;
    if (model->named && dataset->names != NULL) {
        extra =
            odd_column(dataset->names, dataset->features, model->names, model->features);
        absent =
            odd_column(model->names, model->features, dataset->names, dataset->features);
    }
    bool name_extra = extra != NULL && dataset->features > model->features;
    const char *name = name_extra ? extra : absent;
    char which[128] = "";
    if (name != NULL) {
        snprintf(which, sizeof which, "; \"%.64s\" is %s", name,
                 name_extra ? "not one of the model's" : "not there");
    }
    return error_set(error, DEEPSAD_INVALID,
                     "the data has %zu features, the model was trained on %zu%s; give "
                     "the same columns in the same order",
                     dataset->features, model->features, which);
}

/* Flat rows of the right size are taken for images. */
static int check_image(const struct deepsad_model *model,
                       const struct deepsad_dataset *dataset, struct deepsad_error *error)
{
    bool both = model->channels > 0 && dataset->channels > 0;
    if (!both || (model->channels == dataset->channels &&
                  model->height == dataset->height && model->width == dataset->width)) {
        return DEEPSAD_OK;
    }
    bool channels_last = dataset->channels == model->height &&
                         dataset->height == model->width &&
                         dataset->width == model->channels;
    return error_set(error, DEEPSAD_INVALID,
                     "images of %zu x %zu x %zu (channels, height, width); the model was "
                     "trained on %zu x %zu x %zu%s",
                     dataset->channels, dataset->height, dataset->width, model->channels,
                     model->height, model->width,
                     channels_last ? "; channels come first: save "
                                     "array.transpose(0, 3, 1, 2)"
                                   : "");
}

int deepsad_model_accepts(const struct deepsad_model *model,
                          const struct deepsad_dataset *dataset,
                          struct deepsad_error *error)
{
    int status = check_image(model, dataset, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (dataset->features != model->features) {
        return count_fault(model, dataset, error);
    }
    for (size_t i = 0; model->named && dataset->names != NULL && i < model->features;
         i++) {
        if (strcmp(dataset->names[i], model->names[i]) != 0) {
            return error_set(error, DEEPSAD_INVALID,
                             "feature %zu of the data is \"%.64s\", the model's is "
                             "\"%.64s\"; give the same columns in the same order",
                             i + 1, dataset->names[i], model->names[i]);
        }
    }
    return DEEPSAD_OK;
}
