/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each pass is a task that takes one group of samples as far as it can go alone. Sums
 * over a batch are made per group and then added in the order of the groups, so the
 * number of threads changes no bit.
 */
#include "nn/image_layers.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "nn/image_stages.h"
#include "nn/layer.h"

/* ---- Runs of layers ---- */

static bool same_shape(struct image_shape a, struct image_shape b)
{
    return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

static bool begins(const struct layer *layer)
{
    bool is_image = layer->out.height * layer->out.width > 1;
    return layer->kind == LAYER_CONV || layer->kind == LAYER_MAX_POOL ||
           layer->kind == LAYER_UPSAMPLE || (layer->kind == LAYER_BATCH_NORM && is_image);
}

static bool continues(const struct layer *layer, const struct layer *before)
{
    return layer->kind != LAYER_DENSE && layer->kind != LAYER_SIGMOID &&
           same_shape(layer->in, before->out);
}

size_t image_layers_count(const struct network *network, size_t first)
{
    const struct layer *layer = &network->layers[first];
    size_t left = network->layer_count - first;
    if (!begins(layer)) {
        return 0;
    }
    size_t count = 1;
    while (count < left && continues(&layer[count], &layer[count - 1])) {
        count++;
    }
    return count;
}

int image_layers_new(struct image_layers **out, const struct network *network,
                     size_t first, size_t rows, struct crew *crew,
                     struct deepsad_error *error)
{
    return image_stages_new(out, network, first, image_layers_count(network, first), rows,
                            crew, error);
}

void image_layers_free(struct image_layers *images)
{
    image_stages_free(images);
}

/* ---- Passes: what a thread does with a group ---- */

struct pass {
    struct image_layers *images;
    const struct network *network;
    const float *from; /* rows that come in */
    float *to;         /* rows that go out; NULL = not wanted */
    size_t stage;      /* where the pass goes on; backward: the stage after */
};

/* A group's share of a pass. */
struct share {
    const struct pass *pass;
    struct image_layers *images;
    size_t group, count; /* samples */
    float *a, *b;        /* (largest image, LANES) the thread's own */
    float *conv;
};

static struct share share_of(const struct pass *pass, size_t group, size_t thread)
{
    struct image_layers *images = pass->images;
    size_t left = images->rows - group * LANES;
    float *scratch = images->scratch[thread];
    return (struct share){.pass = pass,
                          .images = images,
                          .group = group,
                          .count = left < LANES ? left : LANES,
                          .a = scratch,
                          .b = scratch + images->largest * LANES,
                          .conv = scratch + 2 * images->largest * LANES};
}

static float *group_of(float *block, struct image_shape image, size_t group)
{
    return block + group * image_size(image) * LANES;
}

static size_t plane(struct lanes_side side)
{
    return side.height * side.width * LANES;
}

/* y of the stage, of this group */
static float *output(const struct share *share, size_t stage)
{
    const struct stage *at = &share->images->stages[stage];
    return at->plain ? group_of(at->z, at->in, share->group)
                     : group_of(at->y, at->out, share->group);
}

static float *input(const struct share *share, size_t stage)
{
    return stage == 0 ? group_of(share->images->x, share->images->in, share->group)
                      : output(share, stage - 1);
}

static float *preactivation(const struct share *share, size_t stage)
{
    const struct stage *at = &share->images->stages[stage];
    return at->has_conv ? group_of(at->z, at->in, share->group) : input(share, stage);
}

static void rows_in(const struct share *share, float *lanes, struct image_shape image)
{
    size_t width = image_size(image);
    lanes_from_rows(lanes, share->pass->from + share->group * LANES * width, share->count,
                    width);
}

static void rows_out(const struct share *share, const float *lanes,
                     struct image_shape image)
{
    size_t width = image_size(image);
    lanes_to_rows(share->pass->to + share->group * LANES * width, lanes, share->count,
                  width);
}

static void run(struct image_layers *images, const struct pass *pass,
                void (*task)(void *closure, size_t group, size_t thread))
{
    struct pass copy = *pass;
    crew_run(images->crew, lanes_groups(images->rows), task, &copy);
}

/* ---- Forward ---- */

static void tail(const struct stage *stage, float *y, const float *z, size_t count)
{
    for (size_t c = 0; c < stage->in.channels; c++) {
        lanes_tail_forward(y + c * plane(stage->tail.out), z + c * plane(stage->tail.in),
                           &stage->tail, stage->norms[c], count);
    }
}

static void forward_z(const struct share *share, size_t s)
{
    const struct stage *stage = &share->images->stages[s];
    const float *z = preactivation(share, s);
    if (stage->has_conv) {
        conv_forward(&stage->conv, preactivation(share, s), input(share, s),
                     stage->packed, share->conv);
    }
    size_t channels = stage->in.channels;
    size_t pixels = stage->in.height * stage->in.width;
    for (size_t c = 0; stage->has_norm && c < channels; c++) {
        lanes_moments(&stage->moments[share->group * channels + c],
                      z + c * pixels * LANES, pixels, share->count);
    }
}

static void forward_y(const struct share *share, size_t s)
{
    const struct stage *stage = &share->images->stages[s];
    if (!stage->plain) {
        tail(stage, output(share, s), preactivation(share, s), share->count);
    }
}

/* From the y of the stage before up to the next z that is to be normalised. */
static void forward_task(void *closure, size_t group, size_t thread)
{
    const struct pass *pass = closure;
    struct share share = share_of(pass, group, thread);
    struct image_layers *images = pass->images;
    size_t s = pass->stage;
    if (s == 0) {
        rows_in(&share, input(&share, 0), images->in);
    } else {
        forward_y(&share, s - 1);
    }
    for (; s < images->stage_count; s++) {
        forward_z(&share, s);
        if (images->stages[s].has_norm) {
            return;
        }
        forward_y(&share, s);
    }
    rows_out(&share, output(&share, s - 1), images->out);
}

/* The batch's mean and variance of the groups'. */
static void finish_norm(const struct image_layers *images, struct stage *stage,
                        float *state)
{
    size_t channels = stage->in.channels;
    size_t groups = lanes_groups(images->rows);
    double pixels = (double)(stage->in.height * stage->in.width);
    double n = pixels * (double)images->rows;
    for (size_t c = 0; c < channels; c++) {
        double mean = 0;
        double squares = 0;
        for (size_t g = 0; g < groups; g++) {
            size_t left = images->rows - g * LANES;
            double part = pixels * (double)(left < LANES ? left : LANES);
            const struct lanes_moments *moments = &stage->moments[g * channels + c];
            double seen = pixels * (double)(g * LANES);
            double apart = moments->mean - mean;
            mean += apart * part / (seen + part);
            squares += moments->squares + apart * apart * seen * part / (seen + part);
        }
        float variance = (float)(squares / n);
        float unbiased = (float)(squares / fmax(n - 1, 1));
        float *running_mean = &state[stage->mean + c];
        float *running_variance = &state[stage->variance + c];
        *running_mean += LAYER_BATCH_NORM_MOMENTUM * ((float)mean - *running_mean);
        *running_variance += LAYER_BATCH_NORM_MOMENTUM * (unbiased - *running_variance);
        stage->norms[c] = (struct lanes_norm){
            (float)mean, 1 / sqrtf(variance + LAYER_BATCH_NORM_EPSILON)};
    }
}

static void pack_forward_task(void *closure, size_t i, size_t thread)
{
    const struct pass *pass = closure;
    const struct stage *stage = &pass->images->stages[i];
    (void)thread;
    if (stage->has_conv) {
        conv_pack_forward(&stage->conv, stage->packed,
                          pass->network->params + stage->weight);
    }
}

void image_layers_forward_train(struct image_layers *images, struct network *network,
                                float *y, const float *x, size_t rows)
{
    struct pass pass = {.images = images, .network = network, .from = x, .to = y};
    images->rows = rows;
    crew_run(images->crew, images->stage_count, pack_forward_task, &pass);
    run(images, &pass, forward_task);
    for (size_t s = 0; s < images->stage_count; s++) {
        if (images->stages[s].has_norm) {
            finish_norm(images, &images->stages[s], network->state);
            pass.stage = s + 1;
            run(images, &pass, forward_task);
        }
    }
}

/* A group through all stages, in the thread's memory. */
static void eval_task(void *closure, size_t group, size_t thread)
{
    const struct pass *pass = closure;
    struct share share = share_of(pass, group, thread);
    float *x = share.a;
    float *free_block = share.b;
    rows_in(&share, x, pass->images->in);
    for (size_t s = 0; s < pass->images->stage_count; s++) {
        const struct stage *stage = &pass->images->stages[s];
        if (stage->has_conv) {
            conv_forward(&stage->conv, free_block, x, stage->packed, share.conv);
            float *swap = x;
            x = free_block;
            free_block = swap;
        }
        if (!stage->plain) {
            tail(stage, free_block, x, share.count);
            float *swap = x;
            x = free_block;
            free_block = swap;
        }
    }
    rows_out(&share, x, pass->images->out);
}

static void use_running_statistics(struct stage *stage, const float *state)
{
    for (size_t c = 0; stage->has_norm && c < stage->in.channels; c++) {
        stage->norms[c] = (struct lanes_norm){
            state[stage->mean + c],
            1 / sqrtf(state[stage->variance + c] + LAYER_BATCH_NORM_EPSILON)};
    }
}

void image_layers_forward_eval(struct image_layers *images, const struct network *network,
                               float *y, const float *x, size_t rows)
{
    struct pass pass = {.images = images, .network = network, .from = x, .to = y};
    images->rows = rows;
    for (size_t s = 0; s < images->stage_count; s++) {
        use_running_statistics(&images->stages[s], network->state);
    }
    crew_run(images->crew, images->stage_count, pack_forward_task, &pass);
    run(images, &pass, eval_task);
}

/* ---- Backward ---- */

/* y of the stage becomes g. */
static void gradient(const struct share *share, size_t s, const float *dy)
{
    const struct stage *stage = &share->images->stages[s];
    size_t channels = stage->in.channels;
    size_t out = plane(stage->tail.out);
    bool upsample = stage->tail.resize == LANES_UPSAMPLE;
    size_t to = upsample ? plane(stage->tail.in) : out;
    float *y = output(share, s);
    for (size_t c = 0; c < channels; c++) {
        lanes_tail_gradient(&stage->sums[share->group * channels + c], y + c * to,
                            y + c * out, dy + c * out, &stage->tail, share->count);
    }
}

static void through_tail(const struct share *share, size_t s, float *dz)
{
    const struct stage *stage = &share->images->stages[s];
    size_t in = plane(stage->tail.in);
    bool upsample = stage->tail.resize == LANES_UPSAMPLE;
    size_t from = upsample ? in : plane(stage->tail.out);
    const float *z = preactivation(share, s);
    const float *g = output(share, s);
    for (size_t c = 0; c < stage->in.channels; c++) {
        lanes_tail_backward(dz + c * in, z + c * in, g + c * from, &stage->tail,
                            stage->norms[c], stage->means[c], share->count);
    }
}

/* share->b, dy of stage s, becomes dy of the stage before, unless nobody wants it. */
static void through_stage(struct share *share, size_t s)
{
    const struct stage *stage = &share->images->stages[s];
    float *dz = stage->plain ? share->b : share->a;
    float *dx = stage->plain ? share->a : share->b;
    if (!stage->plain) {
        through_tail(share, s, dz);
    }
    if (stage->has_conv) {
        conv_backward_weights(&stage->conv,
                              stage->dweight + share->group * stage->weights, dz,
                              input(share, s), share->conv);
        if (s > 0 || share->pass->to != NULL) {
            conv_backward(&stage->conv, dx, dz, stage->packed, share->conv);
        }
    } else {
        float *swap = dx;
        dx = dz;
        dz = swap;
    }
    share->b = dx;
    share->a = dz;
}

/* From the g of the stage before (in the order of the way back) to the next g whose sums
 * the batch norm waits for. */
static void backward_task(void *closure, size_t group, size_t thread)
{
    const struct pass *pass = closure;
    struct share share = share_of(pass, group, thread);
    struct image_layers *images = pass->images;
    size_t s = pass->stage;
    if (s == images->stage_count) {
        rows_in(&share, share.b, images->out);
    } else {
        through_stage(&share, s);
    }
    while (s > 0) {
        s--;
        if (!images->stages[s].plain) {
            gradient(&share, s, share.b);
        }
        if (images->stages[s].has_norm) {
            return;
        }
        through_stage(&share, s);
    }
    if (pass->to != NULL) {
        rows_out(&share, share.b, images->in);
    }
}

static void finish_sums(const struct image_layers *images, struct stage *stage)
{
    size_t channels = stage->in.channels;
    double n = (double)(stage->in.height * stage->in.width) * (double)images->rows;
    for (size_t c = 0; c < channels; c++) {
        struct lanes_sums total = {0, 0};
        for (size_t g = 0; g < lanes_groups(images->rows); g++) {
            total.g += stage->sums[g * channels + c].g;
            total.product += stage->sums[g * channels + c].product;
        }
        stage->means[c] =
            (struct lanes_means){(float)(total.g / n), (float)(total.product / n)};
    }
}

static void pack_backward_task(void *closure, size_t i, size_t thread)
{
    const struct pass *pass = closure;
    const struct stage *stage = &pass->images->stages[i];
    (void)thread;
    if (stage->has_conv && (i > 0 || pass->to != NULL)) {
        conv_pack_backward(&stage->conv, stage->packed,
                           pass->network->params + stage->weight);
    }
}

/* Weights whose gradient is added up in one go: they stay in the first-level cache. */
enum { ADD_WEIGHTS = 2048 };

static size_t add_parts(const struct stage *stage)
{
    return stage->has_conv ? (stage->weights + ADD_WEIGHTS - 1) / ADD_WEIGHTS : 0;
}

/* Part i of all stages' weights: the groups' gradients become the batch's. */
static void add_weights_task(void *closure, size_t i, size_t thread)
{
    const struct pass *pass = closure;
    const struct stage *stage = pass->images->stages;
    (void)thread;
    for (; i >= add_parts(stage); stage++) {
        i -= add_parts(stage);
    }
    size_t first = i * ADD_WEIGHTS;
    size_t left = stage->weights - first;
    size_t count = left < ADD_WEIGHTS ? left : ADD_WEIGHTS;
    float *grads = pass->network->grads + stage->weight + first;
    memcpy(grads, stage->dweight + first, count * sizeof *grads);
    for (size_t g = 1; g < lanes_groups(pass->images->rows); g++) {
        lanes_add(grads, stage->dweight + g * stage->weights + first, count);
    }
}

void image_layers_backward(struct image_layers *images, struct network *network,
                           float *dx, const float *dy)
{
    struct pass pass = {.images = images,
                        .network = network,
                        .from = dy,
                        .to = dx,
                        .stage = images->stage_count};
    crew_run(images->crew, images->stage_count, pack_backward_task, &pass);
    run(images, &pass, backward_task);
    size_t parts = 0;
    for (size_t s = images->stage_count; s > 0; s--) {
        struct stage *stage = &images->stages[s - 1];
        parts += add_parts(stage);
        if (stage->has_norm) {
            finish_sums(images, stage);
            pass.stage = s - 1;
            run(images, &pass, backward_task);
        }
    }
    crew_run(images->crew, parts, add_weights_task, &pass);
}
