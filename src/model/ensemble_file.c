/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ensemble_file.h"

#include <math.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "model/network_cost.h"
#include "nn/architecture_parse.h"
#include "nn/matrix.h"

enum { NAME_MAX_SIZE = 96, MEMBERS_MAX = 64 };

static const char *part_name(const struct ensemble *ensemble)
{
    bool encoder = ensemble_output(ensemble->component.ops) == ENSEMBLE_DISTANCE;
    return encoder ? "encoder" : "layers";
}

static void tensor_name(char name[static NAME_MAX_SIZE], const struct ensemble *ensemble,
                        size_t member, size_t layer, const char *what)
{
    snprintf(name, NAME_MAX_SIZE, "%s.%zu.%s.%zu.%s", ensemble->component.ops->kind,
             member, part_name(ensemble), layer, what);
}

/* Whether its widths say it all. */
static bool is_dense(const struct architecture *architecture)
{
    bool dense = architecture->name == NULL && architecture->decoder_count == 0 &&
                 architecture->encoder_count <= SETTING_COUNTS_MAX;
    for (size_t i = 0; i < architecture->encoder_count; i++) {
        dense = dense && architecture->encoder[i].kind == ARCHITECTURE_DENSE;
    }
    return dense;
}

/* As torch has it: Conv2d (out, in, k, k), ConvTranspose2d (in, out, k, k). */
struct conv_shape {
    size_t sizes[4];
};

static struct conv_shape conv_shape(const struct layer *layer)
{
    size_t in = layer->in.channels, out = layer->out.channels, kernel = layer->kernel;
    return layer->transposed ? (struct conv_shape){{in, out, kernel, kernel}}
                             : (struct conv_shape){{out, in, kernel, kernel}};
}

/* ---- Saving ---- */

static int save_dense(struct safetensors_writer *writer, const struct ensemble *ensemble,
                      size_t k, size_t index, struct deepsad_error *error)
{
    const struct network *network = ensemble->members[k].network;
    const struct layer *layer = &network->layers[index];
    char name[NAME_MAX_SIZE];
    float *weight = malloc(layer->inputs * layer->outputs * sizeof *weight);
    if (weight == NULL) {
        return error_no_memory(error, "weights");
    }
    matrix_transpose(weight, network->params + layer->weight, layer->inputs,
                     layer->outputs);
    tensor_name(name, ensemble, k, index, "weight");
    safetensors_writer_add(writer, name, layer->outputs, layer->inputs, weight);
    free(weight);
    if (layer->bias != SIZE_MAX) {
        tensor_name(name, ensemble, k, index, "bias");
        safetensors_writer_add(writer, name, layer->outputs, 0,
                               network->params + layer->bias);
    }
    return DEEPSAD_OK;
}

static void save_conv(struct safetensors_writer *writer, const struct ensemble *ensemble,
                      size_t k, size_t index)
{
    const struct network *network = ensemble->members[k].network;
    const struct layer *layer = &network->layers[index];
    struct conv_shape shape = conv_shape(layer);
    char name[NAME_MAX_SIZE];
    tensor_name(name, ensemble, k, index, "weight");
    safetensors_writer_add_shape(writer, name, 4, shape.sizes,
                                 network->params + layer->weight);
}

static void save_batch_norm(struct safetensors_writer *writer,
                            const struct ensemble *ensemble, size_t k, size_t index)
{
    const struct network *network = ensemble->members[k].network;
    const struct layer *layer = &network->layers[index];
    char name[NAME_MAX_SIZE];
    tensor_name(name, ensemble, k, index, "running_mean");
    safetensors_writer_add(writer, name, layer->out.channels, 0,
                           network->state + layer->mean);
    tensor_name(name, ensemble, k, index, "running_var");
    safetensors_writer_add(writer, name, layer->out.channels, 0,
                           network->state + layer->variance);
}

static int save_member(struct safetensors_writer *writer, const struct ensemble *ensemble,
                       size_t k, struct deepsad_error *error)
{
    const struct ensemble_member *member = &ensemble->members[k];
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < member->network->layer_count && status == DEEPSAD_OK; i++) {
        if (member->network->layers[i].kind == LAYER_DENSE) {
            status = save_dense(writer, ensemble, k, i, error);
        } else if (member->network->layers[i].kind == LAYER_CONV) {
            save_conv(writer, ensemble, k, i);
        } else if (member->network->layers[i].kind == LAYER_BATCH_NORM) {
            save_batch_norm(writer, ensemble, k, i);
        }
    }
    if (member->center != NULL) {
        char name[NAME_MAX_SIZE];
        snprintf(name, sizeof name, "%s.%zu.center", ensemble->component.ops->kind, k);
        safetensors_writer_add(writer, name, member->network->outputs, 0, member->center);
    }
    return status;
}

static json_t *describe_widths(const struct architecture *architecture)
{
    json_t *widths = json_array();
    for (size_t i = 0; i < architecture->encoder_count; i++) {
        json_int_t width = (json_int_t)architecture->encoder[i].width;
        if (json_array_append_new(widths, json_integer(width)) != 0) {
            json_decref(widths);
            return NULL;
        }
    }
    return widths;
}

static json_t *describe_network(const struct architecture *architecture)
{
    struct buffer out = {0};
    architecture_print(&out, architecture);
    char *text = buffer_take_string(&out);
    json_t *network = text == NULL ? NULL : json_string(text);
    free(text);
    buffer_done(&out);
    return network;
}

int ensemble_describe(const struct component *component, json_t *card)
{
    const struct ensemble_form *form = &((const struct ensemble *)component)->form;
    json_int_t members = (json_int_t)form->member_count;
    int failed = json_object_set_new(card, "members", json_integer(members));
    failed |=
        is_dense(&form->architecture)
            ? json_object_set_new(card, "widths", describe_widths(&form->architecture))
            : json_object_set_new(card, "network", describe_network(&form->architecture));
    failed |= json_object_set_new(card, "batch_norm", json_boolean(form->batch_norm));
    if (form->sigmoid) {
        failed |= json_object_set_new(card, "sigmoid", json_true());
    }
    if (form->bias &&
        ensemble_output(((const struct ensemble *)component)->component.ops) ==
            ENSEMBLE_DISTANCE) {
        failed |= json_object_set_new(card, "bias", json_true());
    }
    return failed;
}

int ensemble_save(const struct component *component, struct safetensors_writer *writer,
                  struct deepsad_error *error)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    float medians[MEMBERS_MAX];
    char name[NAME_MAX_SIZE];
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        medians[k] = ensemble->members[k].median;
        int status = save_member(writer, ensemble, k, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    snprintf(name, sizeof name, "%s.median", component->ops->kind);
    safetensors_writer_add(writer, name, ensemble->form.member_count, 0, medians);
    return DEEPSAD_OK;
}

/* ---- Loading ---- */

static int bad_form(const struct component_ops *ops, struct deepsad_error *error)
{
    return error_set(error, DEEPSAD_CORRUPT,
                     "manifest: component \"%s\": members, widths, network or batch_norm "
                     "missing or out of range",
                     ops->kind);
}

/* A fault of what the file says is the file's. */
static int blame_file(const struct component_ops *ops, int status,
                      struct deepsad_error *error)
{
    if (status == DEEPSAD_INVALID) {
        status = DEEPSAD_CORRUPT;
        error_prefix(error, "manifest: component \"%s\"", ops->kind);
        if (error != NULL) {
            error->status = DEEPSAD_CORRUPT;
        }
    }
    return status;
}

static int read_widths(struct ensemble_form *form, const struct component_ops *ops,
                       const json_t *widths, struct deepsad_error *error)
{
    size_t count = json_array_size(widths);
    size_t values[SETTING_COUNTS_MAX];
    if (count < 1 || count > SETTING_COUNTS_MAX) {
        return bad_form(ops, error);
    }
    for (size_t i = 0; i < count; i++) {
        json_int_t width = json_integer_value(json_array_get(widths, i));
        if (width < 1 || width > ARCHITECTURE_WIDTH_MAX) {
            return bad_form(ops, error);
        }
        values[i] = (size_t)width;
    }
    architecture_dense(&form->architecture, values, count);
    return DEEPSAD_OK;
}

static int read_network(struct ensemble_form *form, const struct component_ops *ops,
                        const json_t *network, struct image_shape input,
                        struct deepsad_error *error)
{
    if (!json_is_string(network)) {
        return bad_form(ops, error);
    }
    form->input = input;
    int status =
        architecture_parse(&form->architecture, json_string_value(network), error);
    return blame_file(ops, status, error);
}

static int read_form(struct ensemble_form *form, const struct component_ops *ops,
                     const json_t *card, struct image_shape input,
                     struct deepsad_error *error)
{
    json_int_t members = json_integer_value(json_object_get(card, "members"));
    const json_t *network = json_object_get(card, "network");
    const json_t *batch_norm = json_object_get(card, "batch_norm");
    if (members < 1 || members > MEMBERS_MAX || !json_is_boolean(batch_norm)) {
        return bad_form(ops, error);
    }
    *form =
        (struct ensemble_form){.input = {image_size(input), 1, 1},
                               .member_count = (size_t)members,
                               .bias = ops == &ensemble_autoencoder ||
                                       json_is_true(json_object_get(card, "bias")),
                               .batch_norm = json_is_true(batch_norm),
                               .sigmoid = json_is_true(json_object_get(card, "sigmoid"))};
    return network != NULL
               ? read_network(form, ops, network, input, error)
               : read_widths(form, ops, json_object_get(card, "widths"), error);
}

/* Before memory of the manifest's sizes is asked for, the file must hold as much as one
 * network needs; that the others are missing shows with the first of them. */
static int check_room(const struct ensemble_form *form, const struct component_ops *ops,
                      const struct safetensors *file, struct deepsad_error *error)
{
    size_t size;
    struct network_cost cost;
    bool decoder = ensemble_output(ops) == ENSEMBLE_RECONSTRUCTION;
    safetensors_data(file, &size);
    int status = architecture_check(&form->architecture, form->input, error);
    if (status == DEEPSAD_OK) {
        status = network_cost_architecture(&cost, &form->architecture, form->input,
                                           decoder, error);
    }
    if (status == DEEPSAD_OK && cost.weights * sizeof(float) > (double)size) {
        status =
            error_set(error, DEEPSAD_CORRUPT,
                      "the manifest's networks need more weights than the file holds");
    }
    return blame_file(ops, status, error);
}

static int load_dense(struct ensemble *ensemble, const struct safetensors *file, size_t k,
                      size_t index, struct deepsad_error *error)
{
    struct network *network = ensemble->members[k].network;
    const struct layer *layer = &network->layers[index];
    char name[NAME_MAX_SIZE];
    float *weight = malloc(layer->inputs * layer->outputs * sizeof *weight);
    if (weight == NULL) {
        return error_no_memory(error, "weights");
    }
    tensor_name(name, ensemble, k, index, "weight");
    int status =
        safetensors_copy(weight, file, name, layer->outputs, layer->inputs, error);
    if (status == DEEPSAD_OK) {
        matrix_transpose(network->params + layer->weight, weight, layer->outputs,
                         layer->inputs);
    }
    free(weight);
    if (status == DEEPSAD_OK && layer->bias != SIZE_MAX) {
        tensor_name(name, ensemble, k, index, "bias");
        status = safetensors_copy(network->params + layer->bias, file, name,
                                  layer->outputs, 0, error);
    }
    return status;
}

static int load_conv(struct ensemble *ensemble, const struct safetensors *file, size_t k,
                     size_t index, struct deepsad_error *error)
{
    struct network *network = ensemble->members[k].network;
    const struct layer *layer = &network->layers[index];
    struct conv_shape shape = conv_shape(layer);
    char name[NAME_MAX_SIZE];
    tensor_name(name, ensemble, k, index, "weight");
    return safetensors_copy_shape(network->params + layer->weight, file, name, 4,
                                  shape.sizes, error);
}

static int load_batch_norm(struct ensemble *ensemble, const struct safetensors *file,
                           size_t k, size_t index, struct deepsad_error *error)
{
    struct network *network = ensemble->members[k].network;
    const struct layer *layer = &network->layers[index];
    char name[NAME_MAX_SIZE];
    tensor_name(name, ensemble, k, index, "running_mean");
    int status = safetensors_copy(network->state + layer->mean, file, name,
                                  layer->out.channels, 0, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    tensor_name(name, ensemble, k, index, "running_var");
    float *variance = network->state + layer->variance;
    status = safetensors_copy(variance, file, name, layer->out.channels, 0, error);
    for (size_t i = 0; i < layer->out.channels && status == DEEPSAD_OK; i++) {
        if (!(variance[i] >= 0)) {
            status =
                error_set(error, DEEPSAD_CORRUPT,
                          "tensor \"%s\": element %zu is a negative variance", name, i);
        }
    }
    return status;
}

static int load_layers(struct ensemble *ensemble, const struct safetensors *file,
                       size_t k, struct deepsad_error *error)
{
    const struct network *network = ensemble->members[k].network;
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < network->layer_count && status == DEEPSAD_OK; i++) {
        if (network->layers[i].kind == LAYER_DENSE) {
            status = load_dense(ensemble, file, k, i, error);
        } else if (network->layers[i].kind == LAYER_CONV) {
            status = load_conv(ensemble, file, k, i, error);
        } else if (network->layers[i].kind == LAYER_BATCH_NORM) {
            status = load_batch_norm(ensemble, file, k, i, error);
        }
    }
    return status;
}

static int load_center(struct ensemble_member *member, const struct safetensors *file,
                       size_t k, struct deepsad_error *error)
{
    char name[NAME_MAX_SIZE];
    snprintf(name, sizeof name, "%s.%zu.center", ensemble_networks.kind, k);
    member->center = calloc(member->network->outputs, sizeof *member->center);
    return member->center == NULL ? error_no_memory(error, "a center")
                                  : safetensors_copy(member->center, file, name,
                                                     member->network->outputs, 0, error);
}

static int load_member(struct ensemble *ensemble, const struct safetensors *file,
                       size_t k, struct deepsad_error *error)
{
    struct ensemble_member *member = &ensemble->members[k];
    struct rng rng; /* the weights it draws are overwritten */
    rng_init(&rng, 0, 0);
    int status = ensemble_new_network(&member->network, ensemble, &rng, error);
    if (status == DEEPSAD_OK) {
        status = load_layers(ensemble, file, k, error);
    }
    if (status == DEEPSAD_OK && member->output == ENSEMBLE_DISTANCE) {
        status = load_center(member, file, k, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    network_end_training(member->network);
    return folded_from_network(&member->folded, member->network, error);
}

static int load_medians(struct ensemble *ensemble, const struct safetensors *file,
                        struct deepsad_error *error)
{
    char name[NAME_MAX_SIZE];
    float medians[MEMBERS_MAX];
    snprintf(name, sizeof name, "%s.median", ensemble->component.ops->kind);
    int status =
        safetensors_copy(medians, file, name, ensemble->form.member_count, 0, error);
    for (size_t k = 0; k < ensemble->form.member_count && status == DEEPSAD_OK; k++) {
        if (!(medians[k] > 0)) {
            status = error_set(error, DEEPSAD_CORRUPT,
                               "tensor \"%s\": element %zu is not above 0", name, k);
        }
        ensemble->members[k].median = medians[k];
    }
    return status;
}

int ensemble_load(struct component **out, const struct component_ops *ops,
                  const struct safetensors *file, const json_t *card,
                  struct image_shape input, struct deepsad_error *error)
{
    struct ensemble_form form;
    struct ensemble *ensemble = NULL;
    int status = read_form(&form, ops, card, input, error);
    if (status == DEEPSAD_OK) {
        status = check_room(&form, ops, file, error);
    }
    if (status == DEEPSAD_OK) {
        status = ensemble_allocate(&ensemble, ops, &form, error);
    }
    if (status == DEEPSAD_OK) {
        status = load_medians(ensemble, file, error);
        for (size_t k = 0; k < form.member_count && status == DEEPSAD_OK; k++) {
            status = load_member(ensemble, file, k, error);
        }
        if (status != DEEPSAD_OK) {
            component_free(&ensemble->component);
        }
    }
    if (status == DEEPSAD_OK) {
        *out = &ensemble->component;
    }
    return status;
}
