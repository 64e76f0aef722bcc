/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/network_view.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model/ensemble.h"
#include "model/model.h"
#include "tool/terminal.h"

enum { NAME_SIZE = 64, SHAPE_SIZE = 64, NAME_WIDTH = 40, SHAPE_WIDTH = 14 };

/* NULL for a component that is not made of networks. */
static const struct ensemble *ensemble_in(const struct component *component)
{
    const struct component_ops *ops = component->ops;
    bool networks = ops == &ensemble_networks || ops == &ensemble_reconstruction ||
                    ops == &ensemble_classifier || ops == &ensemble_autoencoder;
    return networks ? (const struct ensemble *)component : NULL;
}

static void print_shape(char out[static SHAPE_SIZE], struct image_shape shape)
{
    if (shape.height == 1 && shape.width == 1) {
        snprintf(out, SHAPE_SIZE, "%zu", shape.channels);
    } else {
        snprintf(out, SHAPE_SIZE, "%zu x %zu x %zu", shape.channels, shape.height,
                 shape.width);
    }
}

static void print_name(char out[static NAME_SIZE], const struct layer *layer)
{
    static const char *const names[] = {
        [LAYER_DENSE] = "dense",
        [LAYER_BATCH_NORM] = ", batch norm",
        [LAYER_LEAKY_RELU] = ", leaky ReLU",
        [LAYER_SIGMOID] = ", sigmoid",
        [LAYER_CONV] = "conv",
        [LAYER_MAX_POOL] = "pool 2 x 2",
        [LAYER_UPSAMPLE] = "upsample",
    };
    size_t used = strlen(out);
    if (layer->kind == LAYER_CONV) {
        snprintf(out + used, NAME_SIZE - used, "%s %zu x %zu",
                 layer->transposed ? "transposed conv" : "conv", layer->kernel,
                 layer->kernel);
    } else {
        const char *name = names[layer->kind];
        snprintf(out + used, NAME_SIZE - used, "%s",
                 used == 0 && *name == ',' ? name + 2 : name);
    }
}

/* What comes between two layers belongs to the first of them. */
static bool goes_on(const struct layer *layer)
{
    return layer->kind == LAYER_BATCH_NORM || layer->kind == LAYER_LEAKY_RELU ||
           layer->kind == LAYER_SIGMOID;
}

static size_t parameters(const struct layer *layer)
{
    if (layer->kind == LAYER_CONV) {
        return layer->in.channels * layer->out.channels * layer->kernel * layer->kernel;
    }
    size_t biases = layer->bias == SIZE_MAX ? 0 : layer->outputs;
    return layer->kind == LAYER_DENSE ? layer->inputs * layer->outputs + biases : 0;
}

static void append_line(struct buffer *out, const char *name, const char *shape,
                        size_t count)
{
    char text[TERMINAL_COUNT_SIZE] = "";
    if (count > 0) {
        terminal_count(text, count);
    }
    buffer_printf(out, "  %-*s %*s %12s", NAME_WIDTH, name, SHAPE_WIDTH, shape, text);
    while (out->length > 0 && out->data[out->length - 1] == ' ') {
        out->length--;
    }
    buffer_append(out, "\n", 1);
}

static void append_layers(struct buffer *out, const struct network *network)
{
    char shape[SHAPE_SIZE];
    print_shape(shape, network->layers[0].in);
    append_line(out, "input", shape, 0);
    for (size_t i = 0; i < network->layer_count;) {
        const struct layer *layer = &network->layers[i];
        char name[NAME_SIZE] = "";
        print_shape(shape, layer->out);
        do {
            print_name(name, &network->layers[i++]);
        } while (i < network->layer_count && goes_on(&network->layers[i]));
        append_line(out, name, shape, parameters(layer));
    }
    append_line(out, "parameters", "", network->param_count);
}

static void append_title(struct buffer *out, const struct ensemble *ensemble)
{
    const char *name = ensemble->form.architecture.name;
    size_t count = ensemble->form.member_count;
    buffer_printf(out, "\nlayers of %s%s%s", ensemble->component.ops->kind,
                  name == NULL ? "" : ": ", name == NULL ? "" : name);
    if (count > 1) {
        buffer_printf(out, " (each of %zu)", count);
    }
    buffer_append(out, "\n", 1);
}

void network_view_render(struct buffer *out, const struct deepsad_model *model)
{
    for (size_t i = 0; i < model->component_count; i++) {
        const struct ensemble *ensemble = ensemble_in(model->components[i]);
        if (ensemble != NULL && ensemble->form.member_count > 0) {
            append_title(out, ensemble);
            append_layers(out, ensemble->members[0].network);
        }
    }
}
