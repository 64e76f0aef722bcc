/* SPDX-License-Identifier: Apache-2.0 */
#include "model/network_cost.h"

#include "nn/lanes.h"

static double values_of(struct image_shape image)
{
    return (double)image.channels * (double)image.height * (double)image.width;
}

static void add_step(struct network_cost *cost, const struct architecture_step *step,
                     struct image_shape in, struct image_shape out)
{
    double weights = 0, places = 1;
    if (step->kind == ARCHITECTURE_DENSE) {
        weights = values_of(in) * (double)step->width;
    } else if (step->kind == ARCHITECTURE_CONV || step->kind == ARCHITECTURE_DECONV) {
        weights = (double)in.channels * (double)step->width * (double)step->kernel *
                  (double)step->kernel;
        places = (double)out.height * (double)out.width;
        cost->filters += weights;
    }
    cost->weights += weights;
    cost->values += values_of(out);
    cost->products += weights * places;
}

static int add_steps(struct network_cost *cost, struct image_shape *image,
                     const struct architecture_step *steps, size_t count,
                     struct deepsad_error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct image_shape out = architecture_step_image(&steps[i], *image);
        if (values_of(out) > NETWORK_COST_VALUES_MAX) {
            return error_set(
                error, DEEPSAD_INVALID,
                "network: step %zu makes %zu x %zu x %zu values of a row: the limit "
                "is %d; give it fewer channels, or pool earlier",
                i + 1, out.channels, out.height, out.width, NETWORK_COST_VALUES_MAX);
        }
        add_step(cost, &steps[i], *image, out);
        if (cost->weights > NETWORK_COST_WEIGHTS_MAX) {
            return error_set(error, DEEPSAD_INVALID,
                             "network: step %zu brings the weights to %.3g: the limit is "
                             "%d; make the steps before it, or this one, narrower",
                             i + 1, cost->weights, NETWORK_COST_WEIGHTS_MAX);
        }
        *image = out;
    }
    return DEEPSAD_OK;
}

int network_cost_architecture(struct network_cost *out,
                              const struct architecture *architecture,
                              struct image_shape input, bool decoder,
                              struct deepsad_error *error)
{
    struct network_cost cost = {0};
    struct image_shape image = input;
    struct architecture_step steps[2 * ARCHITECTURE_STEPS_MAX];
    int status = add_steps(&cost, &image, architecture->encoder,
                           architecture->encoder_count, error);
    if (status == DEEPSAD_OK && decoder) {
        size_t count = architecture_decoder(steps, architecture, input);
        status = add_steps(&cost, &image, steps, count, error);
    }
    if (status == DEEPSAD_OK) {
        *out = cost;
    }
    return status;
}

double network_cost_memory(const struct network_cost *cost, size_t rows)
{
    double values = 2 * cost->values * (double)rows;
    double weights = 4 * cost->weights;
    double sums = cost->filters * (double)lanes_groups(rows);
    return (values + weights + sums) * (double)sizeof(float);
}
