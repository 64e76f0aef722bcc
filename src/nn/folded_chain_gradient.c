/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/folded_chain_gradient.h"

#include <string.h>

#include "base/simd.h"

static const float leaky_slope = 0.01F;

/* Views into scratch. */
struct way {
    const struct folded *folded;
    size_t from;
    const float *x, *kept;
    float *frame;
    float *buffers[2]; /* (back_image), written in turn */
};

struct view {
    const float *pixels;
    struct packed_layout layout;
};

size_t folded_chain_back_scratch(const struct folded *folded)
{
    return folded->back_frame + 2 * folded->back_image;
}

SIMD_CLONES
static void times_slope(float *restrict d, const float *restrict dy,
                        const float *restrict y, size_t count,
                        enum packed_activation activation)
{
    switch (activation) {
    case PACKED_LINEAR:
        memcpy(d, dy, count * sizeof *d);
        break;
    case PACKED_LEAKY_RELU:
        for (size_t u = 0; u < count; u++) {
            d[u] = y[u] > 0 ? dy[u] : leaky_slope * dy[u];
        }
        break;
    case PACKED_SIGMOID:
        for (size_t u = 0; u < count; u++) {
            d[u] = dy[u] * y[u] * (1 - y[u]);
        }
        break;
    }
}

/* Puts the derivative by a convolution's sums into the frame of its way back. */
static void through_activation(const struct way *way, const struct folded_step *step,
                               struct view dy)
{
    const struct packed_conv *back = &step->back;
    const struct packed_layout frame = packed_conv_frame(back);
    const struct packed_layout layout = packed_conv_output(&step->conv);
    const float *y = way->kept + step->kept;
    memset(way->frame, 0, packed_conv_frame_size(back) * sizeof *way->frame);
    for (size_t c = 0; c < step->out.channels; c++) {
        for (size_t v = 0; v < step->out.height; v++) {
            times_slope(way->frame + packed_conv_origin(back) + c * frame.plane +
                            v * frame.pitch,
                        dy.pixels + c * dy.layout.plane + v * dy.layout.pitch,
                        y + c * layout.plane + v * layout.pitch, step->out.width,
                        step->conv.activation);
        }
    }
}

/* What step `index`, no convolution, took. */
static struct view input_of(const struct way *way, size_t index)
{
    const struct folded_step *step = &way->folded->steps[index];
    if (index == way->from) {
        return (struct view){way->x, packed_dense_layout(step->in)};
    }
    return (struct view){way->kept + step[-1].kept, folded_step_layout(&step[-1])};
}

/* The derivative by step `index`'s input. */
static struct view back(const struct way *way, size_t index, struct view dy)
{
    const struct folded_step *step = &way->folded->steps[index];
    const struct packed_layout to = packed_dense_layout(step->in);
    float *dx = way->buffers[index % 2];
    if (step->kind == FOLDED_CONV) {
        through_activation(way, step, dy);
        packed_conv_forward(&step->back, dx, way->frame);
        return (struct view){dx, packed_conv_output(&step->back)};
    }
    if (step->kind == FOLDED_POOL) {
        struct view x = input_of(way, index);
        packed_pool_back(dx, to, dy.pixels, dy.layout, x.pixels, x.layout, step->in);
    } else {
        packed_upsample_back(dx, to, dy.pixels, dy.layout, step->out);
    }
    return (struct view){dx, to};
}

void folded_chain_back(const struct folded *folded, size_t from, size_t to, float *dx,
                       const float *dy, const float *x, const float *kept, float *scratch)
{
    float *buffers = scratch + folded->back_frame;
    const struct way way = {folded, from,    x,
                            kept,   scratch, {buffers, buffers + folded->back_image}};
    struct view view = {dy, packed_dense_layout(folded->steps[to - 1].out)};
    for (size_t i = to; i-- > from;) {
        view = back(&way, i, view);
    }
    const struct image_shape shape = folded->steps[from].in;
    packed_copy(dx, packed_dense_layout(shape), view.pixels, view.layout, shape);
}
