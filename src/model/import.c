/* SPDX-License-Identifier: Apache-2.0 */
#include "model/import.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "nn/architecture_parse.h"

enum { SOURCES_MAX = 32, PREFIX_MAX = 256 };
#define BATCH_NORM_EPSILON 1e-4 /* ours, nn/network.h */

/* A layer of weights, and what belongs to it; NULL = has none. */
struct source {
    const struct safetensors_tensor *weight, *bias;
    const struct safetensors_tensor *mean, *variance, *scale, *shift; /* batch norm */
};

struct sources {
    const struct safetensors *file;
    size_t count;
    struct source list[SOURCES_MAX];
};

/* ---- Names ------------------------------------------------------------------------- */

/* Length of "hidden.0.linear" of "hidden.0.linear.weight". */
static size_t module_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot == NULL ? 0 : (size_t)(dot - name);
}

static bool is_part(const char *name, const char *part)
{
    const char *dot = strrchr(name, '.');
    return strcmp(dot == NULL ? name : dot + 1, part) == 0;
}

/* By letters, but numbers by their value. */
static int compare_names(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            char *after_a, *after_b;
            unsigned long x = strtoul(a, &after_a, 10), y = strtoul(b, &after_b, 10);
            if (x != y) {
                return x < y ? -1 : 1;
            }
            a = after_a;
            b = after_b;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    return (*a != '\0') - (*b != '\0');
}

/* The authors' code calls the representation's layer so; it comes last. */
static bool is_last(const struct safetensors_tensor *weight)
{
    size_t length = module_length(weight->name);
    const char *end = weight->name + length;
    return (length >= 4 && strncmp(end - 4, "code", 4) == 0) ||
           (length >= 3 && strncmp(end - 3, "rep", 3) == 0);
}

static int compare_sources(const void *a, const void *b)
{
    const struct safetensors_tensor *x = ((const struct source *)a)->weight;
    const struct safetensors_tensor *y = ((const struct source *)b)->weight;
    if (x->rank != y->rank) {
        return x->rank > y->rank ? -1 : 1;
    }
    if (is_last(x) != is_last(y)) {
        return is_last(x) ? 1 : -1;
    }
    return compare_names(x->name, y->name);
}

/* The tensor of the same module as `name`. */
static const struct safetensors_tensor *sibling(const struct safetensors *file,
                                                const char *name, const char *part)
{
    char text[PREFIX_MAX];
    int length = (int)module_length(name);
    int size = snprintf(text, sizeof text, "%.*s%s%s", length, name,
                        length > 0 ? "." : "", part);
    return size < (int)sizeof text ? safetensors_find(file, text) : NULL;
}

static int list_tensors(const struct safetensors *file, const char *what,
                        struct deepsad_error *error)
{
    struct buffer text = {0};
    for (size_t i = 0; i < safetensors_count(file) && text.length < 600; i++) {
        const struct safetensors_tensor *tensor = safetensors_at(file, i);
        buffer_printf(&text, "%s%.80s (", i > 0 ? ", " : "", tensor->name);
        for (size_t j = 0; j < tensor->rank; j++) {
            buffer_printf(&text, j > 0 ? ", %zu" : "%zu", tensor->shape[j]);
        }
        buffer_append_text(&text, ")");
    }
    char *list = buffer_take_string(&text);
    int status = error_set(error, DEEPSAD_INVALID, "%s; the file has: %s", what,
                           list == NULL ? "" : list);
    free(list);
    return status;
}

/* ---- Finding layers ---------------------------------------------------------------- */

static int check_type(const struct safetensors_tensor *tensor,
                      struct deepsad_error *error)
{
    return strcmp(tensor->dtype, "F32") == 0
               ? DEEPSAD_OK
               : error_set(error, DEEPSAD_UNSUPPORTED,
                           "tensor \"%s\" is %s; save the model as float32 "
                           "(model.float())",
                           tensor->name, tensor->dtype);
}

static int collect_weights(struct sources *out, struct deepsad_error *error)
{
    const struct safetensors *file = out->file;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_tensor *tensor = safetensors_at(file, i);
        bool weights =
            is_part(tensor->name, "weight") && (tensor->rank == 2 || tensor->rank == 4);
        if (!weights) {
            continue;
        }
        if (out->count == SOURCES_MAX) {
            return list_tensors(file, "more layers than an encoder may have", error);
        }
        struct source *source = &out->list[out->count++];
        source->weight = tensor;
        source->bias = sibling(file, tensor->name, "bias");
        int status = check_type(tensor, error);
        if (status == DEEPSAD_OK && source->bias != NULL) {
            status = check_type(source->bias, error);
        }
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    if (out->count == 0) {
        return list_tensors(file,
                            "there is no layer: no tensor NAME.weight of 2 or 4 "
                            "dimensions",
                            error);
    }
    qsort(out->list, out->count, sizeof *out->list, compare_sources);
    return DEEPSAD_OK;
}

static size_t common_prefix(const char *a, const char *b)
{
    size_t length = 0;
    while (a[length] != '\0' && a[length] == b[length]) {
        length++;
    }
    return length;
}

/* How well a batch norm's name fits behind a layer's: the same parent, "hidden.0.", then
 * the number next after the layer's. */
static bool fits(const struct source *source, const struct safetensors_tensor *mean)
{
    return source->mean == NULL && source->weight->shape[0] == mean->count;
}

static struct source *owner_of(struct sources *sources,
                               const struct safetensors_tensor *mean)
{
    struct source *best = NULL;
    size_t parent = 0;
    for (size_t i = 0; i < sources->count; i++) {
        struct source *source = &sources->list[i];
        const char *name = source->weight->name;
        size_t common = common_prefix(name, mean->name);
        while (common > 0 && name[common - 1] != '.') {
            common--;
        }
        bool below = compare_names(name, mean->name) < 0;
        if (!fits(source, mean) || common < parent) {
            continue;
        }
        /* Of one parent: the last before the norm where names are numbers (an
         * nn.Sequential), else the first that has none yet. */
        bool numbered = isdigit((unsigned char)mean->name[common]);
        if (best == NULL || common > parent || (numbered && below)) {
            best = numbered && !below && best != NULL ? best : source;
            parent = common;
        }
    }
    return best;
}

static int compare_tensors(const void *a, const void *b)
{
    const struct safetensors_tensor *const *x = a, *const *y = b;
    return compare_names((*x)->name, (*y)->name);
}

static int take_norm(struct sources *sources, const struct safetensors_tensor *mean,
                     struct deepsad_error *error)
{
    const struct safetensors *file = sources->file;
    struct source *source = owner_of(sources, mean);
    if (source == NULL) {
        char what[PREFIX_MAX + 96];
        snprintf(what, sizeof what,
                 "batch norm \"%.*s\" of %zu channels fits behind no layer",
                 (int)module_length(mean->name), mean->name, mean->count);
        return list_tensors(file, what, error);
    }
    source->mean = mean;
    source->variance = sibling(file, mean->name, "running_var");
    source->scale = sibling(file, mean->name, "weight");
    source->shift = sibling(file, mean->name, "bias");
    const struct safetensors_tensor *all[] = {source->mean, source->variance,
                                              source->scale, source->shift};
    for (size_t i = 0; i < 4; i++) {
        if (all[i] == NULL && i != 1) {
            continue;
        }
        if (all[i] == NULL || all[i]->count != mean->count) {
            return error_set(
                error, DEEPSAD_INVALID,
                "batch norm \"%.*s\": running_var is missing, or its tensors "
                "differ in size",
                (int)module_length(mean->name), mean->name);
        }
        int status = check_type(all[i], error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    return DEEPSAD_OK;
}

static int collect_norms(struct sources *out, struct deepsad_error *error)
{
    const struct safetensors_tensor *means[SOURCES_MAX] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < safetensors_count(out->file); i++) {
        const struct safetensors_tensor *tensor = safetensors_at(out->file, i);
        if (is_part(tensor->name, "running_mean") && count < SOURCES_MAX) {
            means[count++] = tensor;
        }
    }
    qsort(means, count, sizeof(struct safetensors_tensor *), compare_tensors);
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < count && status == DEEPSAD_OK; i++) {
        status = take_norm(out, means[i], error);
    }
    return status;
}

/* ---- The form ---------------------------------------------------------------------- */

/* Of dense layers alone, each taking what the one before gives. */
static int infer_dense(struct architecture *out, const struct sources *sources,
                       struct deepsad_error *error)
{
    size_t widths[ARCHITECTURE_STEPS_MAX];
    if (sources->list[0].weight->rank != 2) {
        return list_tensors(
            sources->file,
            "a convolutional encoder: give its steps with --network, such "
            "as mnist-lenet or conv:16,pool,dense:128,rep:64",
            error);
    }
    if (sources->count > ARCHITECTURE_STEPS_MAX) {
        return list_tensors(sources->file, "more layers than an encoder may have", error);
    }
    for (size_t i = 0; i < sources->count; i++) {
        widths[i] = sources->list[i].weight->shape[0];
    }
    architecture_dense(out, widths, sources->count);
    return DEEPSAD_OK;
}

static void choose_form(struct import_encoder *out, const struct sources *sources)
{
    out->batch_norm = false;
    for (size_t i = 0; i + 1 < sources->count; i++) {
        out->batch_norm |= sources->list[i].mean != NULL || sources->list[i].bias != NULL;
    }
    const struct source *last = &sources->list[sources->count - 1];
    out->bias = last->bias != NULL || last->mean != NULL;
}

/* ---- Values ------------------------------------------------------------------------ */

static double value_at(const struct safetensors_tensor *tensor, size_t index,
                       double fallback)
{
    float value = 0;
    if (tensor == NULL) {
        return fallback;
    }
    memcpy(&value, tensor->bytes + index * sizeof value, sizeof value);
    return (double)value;
}

/* What channel c of the layer gives is factor * (W x) + offset. */
static void fold_channel(const struct source *source, size_t c, double epsilon,
                         double *factor, double *offset)
{
    double bias = value_at(source->bias, c, 0);
    *factor = 1;
    *offset = bias;
    if (source->mean != NULL) {
        double spread = sqrt(value_at(source->variance, c, 1) + epsilon);
        *factor = value_at(source->scale, c, 1) / spread;
        *offset = *factor * (bias - value_at(source->mean, c, 0)) +
                  value_at(source->shift, c, 0);
    }
}

static bool is_kept(const struct source *source, double epsilon)
{
    return source->mean != NULL && source->bias == NULL && source->scale == NULL &&
           source->shift == NULL && epsilon == BATCH_NORM_EPSILON;
}

static void fill_norm(struct network *network, const struct layer *norm,
                      const struct source *source, double epsilon)
{
    float *mean = network->state + norm->mean,
          *variance = network->state + norm->variance;
    for (size_t c = 0; c < norm->out.channels; c++) {
        if (is_kept(source, epsilon)) {
            mean[c] = (float)value_at(source->mean, c, 0);
            variance[c] = (float)value_at(source->variance, c, 0);
            continue;
        }
        double factor, offset;
        fold_channel(source, c, epsilon, &factor, &offset);
        mean[c] = (float)-offset;
        variance[c] = (float)(1 - BATCH_NORM_EPSILON);
    }
}

/* Torch has a dense layer's weights as (out, in), ours are (in, out). */
static void fill_weights(struct network *network, const struct layer *layer,
                         const struct source *source, bool keep, double epsilon)
{
    float *to = network->params + layer->weight;
    size_t channels = source->weight->shape[0], each = source->weight->count / channels;
    for (size_t c = 0; c < channels; c++) {
        double factor = 1, offset;
        if (!keep) {
            fold_channel(source, c, epsilon, &factor, &offset);
        }
        for (size_t j = 0; j < each; j++) {
            float value = (float)(value_at(source->weight, c * each + j, 0) * factor);
            to[layer->kind == LAYER_DENSE ? j * channels + c : c * each + j] = value;
        }
    }
}

static void fill_bias(struct network *network, const struct layer *layer,
                      const struct source *source, bool last, double epsilon)
{
    for (size_t c = 0; layer->bias != SIZE_MAX && c < layer->outputs; c++) {
        double factor, offset;
        fold_channel(source, c, epsilon, &factor, &offset);
        network->params[layer->bias + c] = last ? (float)offset : 0;
    }
}

static int check_layer(const struct layer *layer, const struct source *source,
                       struct deepsad_error *error)
{
    const struct safetensors_tensor *weight = source->weight;
    size_t dense[] = {layer->outputs, layer->inputs};
    size_t conv[] = {layer->out.channels, layer->in.channels, layer->kernel,
                     layer->kernel};
    bool is_dense = layer->kind == LAYER_DENSE;
    const size_t *wanted = is_dense ? dense : conv;
    size_t rank = is_dense ? 2 : 4;
    bool fits_shape =
        weight->rank == rank && memcmp(weight->shape, wanted, rank * sizeof *wanted) == 0;
    if (fits_shape && (source->bias == NULL || source->bias->count == wanted[0])) {
        return DEEPSAD_OK;
    }
    char found[96] = "", expected[96] = "";
    for (size_t i = 0, used = 0; i < weight->rank && used < sizeof found; i++) {
        used += (size_t)snprintf(found + used, sizeof found - used,
                                 i > 0 ? ", %zu" : "%zu", weight->shape[i]);
    }
    for (size_t i = 0, used = 0; i < rank && used < sizeof expected; i++) {
        used += (size_t)snprintf(expected + used, sizeof expected - used,
                                 i > 0 ? ", %zu" : "%zu", wanted[i]);
    }
    return error_set(error, DEEPSAD_INVALID,
                     "tensor \"%s\" has the shape (%s), the network and its input need "
                     "(%s) there",
                     weight->name, found, expected);
}

static int fill(struct network *network, const struct sources *sources, double epsilon,
                struct deepsad_error *error)
{
    size_t next = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->kind != LAYER_DENSE && layer->kind != LAYER_CONV) {
            continue;
        }
        if (next == sources->count) {
            return list_tensors(sources->file, "the network has more layers", error);
        }
        const struct source *source = &sources->list[next++];
        bool norm = i + 1 < network->layer_count &&
                    network->layers[i + 1].kind == LAYER_BATCH_NORM;
        bool keep = norm && is_kept(source, epsilon);
        int status = check_layer(layer, source, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        fill_weights(network, layer, source, keep, epsilon);
        fill_bias(network, layer, source, !norm, epsilon);
        if (norm) {
            fill_norm(network, layer + 1, source, epsilon);
        }
    }
    return next == sources->count
               ? DEEPSAD_OK
               : list_tensors(sources->file, "the network has fewer layers", error);
}

/* ---- The whole --------------------------------------------------------------------- */

void import_encoder_done(struct import_encoder *encoder)
{
    network_free(encoder->network);
    encoder->network = NULL;
}

static int make_network(struct import_encoder *encoder, const struct sources *sources,
                        const struct import_options *options, struct deepsad_error *error)
{
    struct network_shape shape = {.input = options->input,
                                  .architecture = &encoder->architecture,
                                  .bias = encoder->bias,
                                  .batch_norm = encoder->batch_norm};
    struct rng rng; /* the weights it draws are overwritten */
    rng_init(&rng, 0, 0);
    int status = architecture_check(&encoder->architecture, options->input, error);
    if (status == DEEPSAD_OK) {
        status = network_new_encoder(&encoder->network, &shape, &rng, error);
    }
    return status == DEEPSAD_OK ? fill(encoder->network, sources, options->epsilon, error)
                                : status;
}

int import_encoder(struct import_encoder *out, const struct safetensors *file,
                   const struct import_options *options, struct deepsad_error *error)
{
    struct import_encoder encoder = {.network = NULL};
    struct sources sources = {.file = file};
    int status = collect_weights(&sources, error);
    if (status == DEEPSAD_OK) {
        status = collect_norms(&sources, error);
    }
    if (status == DEEPSAD_OK) {
        status = options->network == NULL
                     ? infer_dense(&encoder.architecture, &sources, error)
                     : architecture_parse(&encoder.architecture, options->network, error);
    }
    if (status == DEEPSAD_OK) {
        choose_form(&encoder, &sources);
        status = make_network(&encoder, &sources, options, error);
    }
    if (status != DEEPSAD_OK) {
        import_encoder_done(&encoder);
        return status;
    }
    *out = encoder;
    return DEEPSAD_OK;
}
