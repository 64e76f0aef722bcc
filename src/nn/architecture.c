/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/architecture.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void architecture_dense(struct architecture *out, const size_t *widths, size_t count)
{
    *out = (struct architecture){.encoder_count = count};
    for (size_t i = 0; i < count && i < ARCHITECTURE_STEPS_MAX; i++) {
        out->encoder[i] =
            (struct architecture_step){.kind = ARCHITECTURE_DENSE, .width = widths[i]};
    }
}

size_t architecture_outputs(const struct architecture *architecture)
{
    return architecture->encoder[architecture->encoder_count - 1].width;
}

/* ---- Steps as texts ---- */

enum { STEP_TEXT = 64 };

static void print_step(char text[static STEP_TEXT], const struct architecture_step *step,
                       bool last)
{
    switch (step->kind) {
    case ARCHITECTURE_CONV:
    case ARCHITECTURE_DECONV:
        if (step->kernel == 5) {
            snprintf(text, STEP_TEXT, "conv:%zu", step->width);
        } else {
            snprintf(text, STEP_TEXT, "conv%zux%zu:%zu", step->kernel, step->kernel,
                     step->width);
        }
        break;
    case ARCHITECTURE_DENSE:
        snprintf(text, STEP_TEXT, "%s:%zu", last ? "rep" : "dense", step->width);
        break;
    case ARCHITECTURE_POOL:
        snprintf(text, STEP_TEXT, "pool");
        break;
    case ARCHITECTURE_UPSAMPLE:
    case ARCHITECTURE_VIEW:
    case ARCHITECTURE_ACTIVATE:
        snprintf(text, STEP_TEXT, "a decoder's step");
        break;
    }
}

void architecture_print(struct buffer *out, const struct architecture *architecture)
{
    if (architecture->name != NULL) {
        buffer_append_text(out, architecture->name);
        return;
    }
    for (size_t i = 0; i < architecture->encoder_count; i++) {
        char text[STEP_TEXT];
        print_step(text, &architecture->encoder[i], i + 1 == architecture->encoder_count);
        buffer_printf(out, "%s%s", i > 0 ? "," : "", text);
    }
}

/* ---- Shapes ---- */

struct image_shape architecture_step_image(const struct architecture_step *step,
                                           struct image_shape in)
{
    switch (step->kind) {
    case ARCHITECTURE_CONV:
        return (struct image_shape){step->width, in.height, in.width};
    case ARCHITECTURE_DECONV:
        return (struct image_shape){step->width,
                                    in.height + step->kernel - 1 - 2 * step->padding,
                                    in.width + step->kernel - 1 - 2 * step->padding};
    case ARCHITECTURE_POOL:
        return (struct image_shape){in.channels, in.height / 2, in.width / 2};
    case ARCHITECTURE_UPSAMPLE:
        return (struct image_shape){in.channels, step->image.height, step->image.width};
    case ARCHITECTURE_DENSE:
        return (struct image_shape){step->width, 1, 1};
    case ARCHITECTURE_VIEW:
        return step->image;
    case ARCHITECTURE_ACTIVATE:
        break;
    }
    return in;
}

/* The largest products that leave room for the bytes of a float and for lanes. */
#define SIZE_LARGEST (SIZE_MAX / 1024)

static bool fits(size_t a, size_t b, size_t c, size_t d)
{
    size_t product = 0;
    return !__builtin_mul_overflow(a, b, &product) &&
           !__builtin_mul_overflow(product, c, &product) &&
           !__builtin_mul_overflow(product, d, &product) && product <= SIZE_LARGEST;
}

static bool image_fits(struct image_shape image)
{
    return fits(image.channels, image.height, image.width, 1);
}

const char *architecture_order_fault(const struct architecture *architecture, size_t at)
{
    bool dense = at > 0 && architecture->encoder[at - 1].kind == ARCHITECTURE_DENSE;
    if (dense && architecture->encoder[at].kind != ARCHITECTURE_DENSE) {
        return "comes after a dense step, where there is no image any more; put convs "
               "and pools first";
    }
    return NULL;
}

/* What is wrong with a step of the encoder itself, or NULL. */
static const char *step_fault(const struct architecture *architecture, size_t at)
{
    const struct architecture_step *step = &architecture->encoder[at];
    bool conv = step->kind == ARCHITECTURE_CONV;
    if (!conv && step->kind != ARCHITECTURE_POOL && step->kind != ARCHITECTURE_DENSE) {
        return "is no step of an encoder";
    }
    if (at + 1 == architecture->encoder_count && step->kind != ARCHITECTURE_DENSE) {
        return "is the last step, which must be rep:N";
    }
    if (step->kind != ARCHITECTURE_POOL &&
        (step->width == 0 || step->width > ARCHITECTURE_WIDTH_MAX)) {
        return "widths of at least 1 and at most 65536 are needed";
    }
    if (conv && (step->kernel % 2 == 0 || step->kernel > ARCHITECTURE_KERNEL_MAX)) {
        return "kernels have an odd side up to 15";
    }
    return architecture_order_fault(architecture, at);
}

static int met_error(struct deepsad_error *error, const struct architecture *architecture,
                     size_t at, struct image_shape in, const char *what)
{
    char text[STEP_TEXT];
    print_step(text, &architecture->encoder[at], at + 1 == architecture->encoder_count);
    return error_set(error, DEEPSAD_INVALID,
                     "network: step %zu, %s: the image is %zu x %zu there%s", at + 1,
                     text, in.height, in.width, what);
}

/* Step `at` of the encoder, which meets the shape `in`. */
static int check_step(const struct architecture *architecture, size_t at,
                      struct image_shape in, struct deepsad_error *error)
{
    const struct architecture_step *step = &architecture->encoder[at];
    char text[STEP_TEXT];
    print_step(text, step, at + 1 == architecture->encoder_count);
    const char *fault = step_fault(architecture, at);
    if (fault != NULL) {
        return error_set(error, DEEPSAD_INVALID, "network: step %zu, %s: %s", at + 1,
                         text, fault);
    }
    bool image = step->kind != ARCHITECTURE_DENSE;
    if (at == 0 && image && in.height == 1 && in.width == 1) {
        return error_set(
            error, DEEPSAD_INVALID,
            "network: step 1, %s: the rows of %zu features are no images; "
            "give images as NPY (n, height, width), or use dense steps alone",
            text, in.channels);
    }
    if (step->kind == ARCHITECTURE_POOL && (in.height < 2 || in.width < 2)) {
        return met_error(error, architecture, at, in,
                         ", and a pool needs 2 x 2; use fewer pools");
    }
    struct image_shape out = architecture_step_image(step, in);
    size_t weights = image ? in.channels : image_size(in);
    if (!image_fits(out) || (step->kind != ARCHITECTURE_POOL &&
                             !fits(weights, step->width, image ? step->kernel : 1,
                                   image ? step->kernel : 1))) {
        return met_error(error, architecture, at, in, ": the network is too large");
    }
    return DEEPSAD_OK;
}

/* A decoder of fixed sizes makes images of one shape alone. */
static int check_decoder(const struct architecture *architecture,
                         struct image_shape input, struct deepsad_error *error)
{
    struct image_shape out = {architecture_outputs(architecture), 1, 1};
    for (size_t i = 0; i < architecture->decoder_count; i++) {
        out = architecture_step_image(&architecture->decoder[i], out);
    }
    if (out.channels == input.channels && out.height == input.height &&
        out.width == input.width) {
        return DEEPSAD_OK;
    }
    const char *name = architecture->name != NULL ? architecture->name : "this one";
    return error_set(error, DEEPSAD_INVALID,
                     "network: %s is made for images of %zu x %zu x %zu (channels, "
                     "height, width), not of %zu x %zu x %zu; for others write a list of "
                     "steps such as " ARCHITECTURE_EXAMPLE,
                     name, out.channels, out.height, out.width, input.channels,
                     input.height, input.width);
}

int architecture_check(const struct architecture *architecture, struct image_shape input,
                       struct deepsad_error *error)
{
    size_t count = architecture->encoder_count;
    if (count == 0 || count > ARCHITECTURE_STEPS_MAX) {
        return error_set(error, DEEPSAD_INVALID,
                         "network: %zu steps; from 1 to %d can be", count,
                         ARCHITECTURE_STEPS_MAX);
    }
    bool empty = input.channels == 0 || input.height == 0 || input.width == 0;
    if (empty || !image_fits(input)) {
        return error_set(error, DEEPSAD_INVALID,
                         "network: no rows are %zu x %zu x %zu (channels, height, width)",
                         input.channels, input.height, input.width);
    }
    struct image_shape image = input;
    for (size_t i = 0; i < count; i++) {
        int status = check_step(architecture, i, image, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        image = architecture_step_image(&architecture->encoder[i], image);
    }
    return architecture->decoder_count > 0 ? check_decoder(architecture, input, error)
                                           : DEEPSAD_OK;
}

/* ---- The decoder ---- */

/* The mirror of one step that meets the shape `in`: what leads back there. Returns how
 * many steps. */
static size_t mirror(struct architecture_step *out, const struct architecture_step *step,
                     struct image_shape in, bool view)
{
    *out = (struct architecture_step){0};
    if (step->kind == ARCHITECTURE_CONV) {
        out->kind = ARCHITECTURE_DECONV;
        out->width = in.channels;
        out->kernel = step->kernel;
        out->padding = (step->kernel - 1) / 2;
        return 1;
    }
    if (step->kind == ARCHITECTURE_POOL) {
        *out = (struct architecture_step){.kind = ARCHITECTURE_UPSAMPLE,
                                          .image = {0, in.height, in.width}};
        return 1;
    }
    out[0] =
        (struct architecture_step){.kind = ARCHITECTURE_DENSE, .width = image_size(in)};
    if (view) {
        out[1] = (struct architecture_step){.kind = ARCHITECTURE_VIEW, .image = in};
    }
    return view ? 2 : 1;
}

size_t architecture_decoder(struct architecture_step *steps,
                            const struct architecture *architecture,
                            struct image_shape input)
{
    const struct architecture_step *encoder = architecture->encoder;
    if (architecture->decoder_count > 0) {
        memcpy(steps, architecture->decoder, architecture->decoder_count * sizeof *steps);
        return architecture->decoder_count;
    }
    struct image_shape met[ARCHITECTURE_STEPS_MAX];
    for (size_t i = 0; i < architecture->encoder_count; i++) {
        met[i] = input;
        input = architecture_step_image(&encoder[i], input);
    }
    size_t count = 0;
    for (size_t i = architecture->encoder_count; i > 0; i--) {
        /* the first dense step sees an image that other steps made */
        bool view = i > 1 && encoder[i - 2].kind != ARCHITECTURE_DENSE;
        count += mirror(steps + count, &encoder[i - 1], met[i - 1], view);
    }
    return count;
}
