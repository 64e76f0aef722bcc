/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/folded_steps.h"

#include <string.h>

#include "base/simd.h"

struct packed_layout folded_step_layout(const struct folded_step *step)
{
    return step->kind == FOLDED_CONV ? packed_conv_output(&step->conv)
                                     : packed_dense_layout(step->out);
}

bool folded_leaves_rows(const struct folded *folded, size_t index)
{
    return folded->steps[index].kind == FOLDED_DENSE || index + 1 == folded->step_count ||
           folded->steps[index + 1].kind == FOLDED_DENSE;
}

size_t folded_chain_end(const struct folded *folded, size_t from)
{
    while (from < folded->step_count && folded->steps[from].kind != FOLDED_DENSE) {
        from++;
    }
    return from;
}

/* Images between two steps. */
struct view {
    const float *pixels;
    struct packed_layout layout;
};

/* What runs on one row. */
struct chain {
    const struct folded *folded;
    size_t from, to;
    float *y; /* of the last step */
    const struct folded_images *images;
};

static float *outputs_of(const struct chain *chain, size_t index)
{
    const struct folded *folded = chain->folded;
    return chain->images->outputs +
           (chain->images->keep ? folded->steps[index].kept : index % 2 * folded->image);
}

static float *in_frame(const struct chain *chain, const struct folded_step *step)
{
    return chain->images->frames + step->frame + packed_conv_origin(&step->conv);
}

static struct view convolve(const struct chain *chain, size_t index, struct view x)
{
    const struct folded_step *step = &chain->folded->steps[index];
    float *inside = in_frame(chain, step);
    if (x.pixels != inside) { /* else the step before has put it there */
        packed_copy(inside, packed_conv_frame(&step->conv), x.pixels, x.layout, step->in);
    }
    float *y = outputs_of(chain, index);
    packed_conv_forward(&step->conv, y, chain->images->frames + step->frame);
    return (struct view){y, packed_conv_output(&step->conv)};
}

/* Right to where the outputs are needed next. */
static struct view resample(const struct chain *chain, size_t index, struct view x)
{
    const struct folded_step *step = &chain->folded->steps[index];
    float *y = outputs_of(chain, index);
    struct packed_layout to = packed_dense_layout(step->out);
    if (index + 1 == chain->to) {
        y = chain->y;
    } else if (step[1].kind == FOLDED_CONV) {
        y = in_frame(chain, &step[1]);
        to = packed_conv_frame(&step[1].conv);
    }
    if (step->kind == FOLDED_POOL) {
        packed_pool(y, to, x.pixels, x.layout, step->in);
    } else {
        packed_upsample(y, to, x.pixels, x.layout, step->out);
    }
    return (struct view){y, to};
}

void folded_chain_run(const struct folded *folded, size_t from, size_t to, float *y,
                      const float *x, const struct folded_images *images)
{
    const struct chain chain = {folded, from, to, y, images};
    const struct folded_step *last = &folded->steps[to - 1];
    struct view view = {x, packed_dense_layout(folded->steps[from].in)};
    for (size_t i = from; i < to; i++) {
        view = folded->steps[i].kind == FOLDED_CONV ? convolve(&chain, i, view)
                                                    : resample(&chain, i, view);
    }
    if (view.pixels != y) {
        packed_copy(y, packed_dense_layout(last->out), view.pixels, view.layout,
                    last->out);
    }
    size_t size = image_size(last->out);
    memset(y + size, 0, (folded_step_padded(last) - size) * sizeof *y);
}
