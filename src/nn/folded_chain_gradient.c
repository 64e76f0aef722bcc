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

SIMD_INLINE void times_slope(float *restrict d, const float *restrict dy,
                             const float *restrict y, size_t count,
                             enum packed_activation activation)
{
#pragma omp simd
    for (size_t u = 0; u < count; u++) {
        float leaky = y[u] > 0 ? dy[u] : leaky_slope * dy[u];
        float sigmoid = dy[u] * y[u] * (1 - y[u]);
        d[u] = activation == PACKED_LINEAR    ? dy[u]
               : activation == PACKED_SIGMOID ? sigmoid
                                              : leaky;
    }
}

/* In chunks of constant size, the last one ending where the row ends. */
SIMD_CLONES
static void times_slopes(float *d, struct packed_layout to, const float *dy,
                         struct packed_layout dy_layout, const struct folded_step *step,
                         const float *y)
{
    enum { CHUNK = 8 };
    const struct packed_layout layout = packed_conv_output(&step->conv);
    const size_t width = step->out.width;
    for (size_t i = 0; i < step->out.channels * step->out.height; i++) {
        size_t c = i / step->out.height, v = i % step->out.height;
        float *row = d + c * to.plane + v * to.pitch;
        const float *dy_row = dy + c * dy_layout.plane + v * dy_layout.pitch;
        const float *y_row = y + c * layout.plane + v * layout.pitch;
        if (width < CHUNK) {
            times_slope(row, dy_row, y_row, width, step->conv.activation);
        }
        for (size_t done = 0; width >= CHUNK && done < width; done += CHUNK) {
            size_t u = done + CHUNK <= width ? done : width - CHUNK;
            times_slope(row + u, dy_row + u, y_row + u, CHUNK, step->conv.activation);
        }
    }
}

/* Puts the derivative by a convolution's sums into the frame of its way back. */
static void through_activation(const struct way *way, const struct folded_step *step,
                               struct view dy)
{
    const struct packed_conv *back = &step->back;
    memset(way->frame, 0, packed_conv_frame_size(back) * sizeof *way->frame);
    times_slopes(way->frame + packed_conv_origin(back), packed_conv_frame(back),
                 dy.pixels, dy.layout, step, way->kept + step->kept);
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
