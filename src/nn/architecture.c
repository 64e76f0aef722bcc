/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/architecture.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

/* ---- The paper's networks, as its code has them ---- */

#define CONV(channels)                                              \
    {                                                               \
        .kind = ARCHITECTURE_CONV, .width = (channels), .kernel = 5 \
    }
#define DECONV(channels, padding_)                                     \
    {                                                                  \
        .kind = ARCHITECTURE_DECONV, .width = (channels), .kernel = 5, \
        .padding = (padding_)                                          \
    }
#define POOL                      \
    {                             \
        .kind = ARCHITECTURE_POOL \
    }
#define DENSE(outputs)                                 \
    {                                                  \
        .kind = ARCHITECTURE_DENSE, .width = (outputs) \
    }
#define VIEW(...)                                           \
    {                                                       \
        .kind = ARCHITECTURE_VIEW, .image = { __VA_ARGS__ } \
    }
#define UPSAMPLE(side)                                                \
    {                                                                 \
        .kind = ARCHITECTURE_UPSAMPLE, .image = { 0, (side), (side) } \
    }
#define ACTIVATE                      \
    {                                 \
        .kind = ARCHITECTURE_ACTIVATE \
    }

static const struct architecture presets[] = {
    {
        .name = "mnist-lenet",
        .encoder_count = 5,
        .encoder = {CONV(8), POOL, CONV(4), POOL, DENSE(32)},
        .decoder_count = 8,
        .decoder = {VIEW(2, 4, 4), ACTIVATE, UPSAMPLE(8), DECONV(4, 2), UPSAMPLE(16),
                    DECONV(8, 3), UPSAMPLE(28), DECONV(1, 2)},
    },
    {
        .name = "fashion-mnist-lenet",
        .encoder_count = 6,
        .encoder = {CONV(16), POOL, CONV(32), POOL, DENSE(128), DENSE(64)},
        .decoder_count = 8,
        .decoder = {DENSE(128), VIEW(8, 4, 4), UPSAMPLE(8), DECONV(32, 2), UPSAMPLE(16),
                    DECONV(16, 3), UPSAMPLE(28), DECONV(1, 2)},
    },
    {
        .name = "cifar-10-lenet",
        .encoder_count = 7,
        .encoder = {CONV(32), POOL, CONV(64), POOL, CONV(128), POOL, DENSE(128)},
        .decoder_count = 9,
        .decoder = {VIEW(8, 4, 4), ACTIVATE, DECONV(128, 2), UPSAMPLE(8), DECONV(64, 2),
                    UPSAMPLE(16), DECONV(32, 2), UPSAMPLE(32), DECONV(3, 2)},
        .xavier_decoder = true,
    },
};
enum { PRESETS = sizeof presets / sizeof presets[0] };

void architecture_dense(struct architecture *out, const size_t *widths, size_t count)
{
    *out = (struct architecture){.encoder_count = count};
    for (size_t i = 0; i < count && i < ARCHITECTURE_STEPS_MAX; i++) {
        out->encoder[i] = (struct architecture_step)DENSE(widths[i]);
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

/* ---- Parsing ---- */

#define EXAMPLE "conv:16,pool,conv:32,pool,dense:128,rep:64"

static int step_error(struct deepsad_error *error, size_t at, const char *text,
                      const char *what)
{
    return error_set(error, DEEPSAD_INVALID, "network: step %zu, \"%s\": %s", at, text,
                     what);
}

/* A plain number of at most `max`; SIZE_MAX where the text is none. */
static size_t parse_number(const char *text, size_t length, size_t max)
{
    size_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return SIZE_MAX;
        }
        value = value * 10 + (size_t)(text[i] - '0');
        if (value > max) {
            return SIZE_MAX;
        }
    }
    return length > 0 && length < 10 ? value : SIZE_MAX;
}

/* "conv" or "convKxK", `length` long. Returns what is wrong, or NULL. */
static const char *parse_kernel(size_t *kernel, const char *word, size_t length)
{
    static const char wrong[] =
        "kernels are squares with an odd side up to 15, such as conv3x3:N; "
        "conv:N is 5 x 5";
    if (length == 4) {
        *kernel = 5;
        return NULL;
    }
    const char *sides = word + 4;
    const char *cross = memchr(sides, 'x', length - 4);
    if (cross == NULL) {
        return wrong;
    }
    size_t a = parse_number(sides, (size_t)(cross - sides), ARCHITECTURE_KERNEL_MAX);
    size_t b = parse_number(cross + 1, (size_t)(word + length - cross - 1),
                            ARCHITECTURE_KERNEL_MAX);
    if (a == SIZE_MAX || a != b || a % 2 == 0) {
        return wrong;
    }
    *kernel = a;
    return NULL;
}

static bool word_is(const char *word, size_t length, const char *expected)
{
    return strlen(expected) == length && memcmp(word, expected, length) == 0;
}

/* "conv", "conv3x3", but not "convv" */
static bool is_conv(const char *word, size_t length)
{
    return length >= 4 && memcmp(word, "conv", 4) == 0 &&
           (length == 4 || (word[4] >= '0' && word[4] <= '9'));
}

static bool is_step(const char *word, size_t length)
{
    return is_conv(word, length) || word_is(word, length, "pool") ||
           word_is(word, length, "dense") || word_is(word, length, "rep");
}

/* Returns what is wrong with the text, or NULL. */
static const char *parse_step(struct architecture_step *step, const char *text)
{
    size_t length = strcspn(text, ":");
    const char *number = text[length] == ':' ? text + length + 1 : NULL;
    *step = (struct architecture_step){.kind = ARCHITECTURE_DENSE};
    if (text[0] == '\0') {
        return "nothing stands between two commas there";
    }
    if (!is_step(text, length)) {
        return "no such step; there are conv:N, conv3x3:N, pool, dense:N and, last, "
               "rep:N";
    }
    if (word_is(text, length, "pool")) {
        step->kind = ARCHITECTURE_POOL;
        return number == NULL ? NULL : "a pool is always of 2 x 2: write pool alone";
    }
    if (is_conv(text, length)) {
        step->kind = ARCHITECTURE_CONV;
        const char *wrong = parse_kernel(&step->kernel, text, length);
        if (wrong != NULL) {
            return wrong;
        }
    }
    if (number == NULL) {
        return "its width is missing, as in conv:16, dense:128 or rep:64";
    }
    step->width = parse_number(number, strlen(number), ARCHITECTURE_WIDTH_MAX);
    bool fits = step->width > 0 && step->width != SIZE_MAX;
    return fits ? NULL : "a width is a whole number from 1 to 65536";
}

/* What a step may not follow, or NULL. */
static const char *order_fault(const struct architecture *architecture, size_t at)
{
    bool dense = at > 0 && architecture->encoder[at - 1].kind == ARCHITECTURE_DENSE;
    if (dense && architecture->encoder[at].kind != ARCHITECTURE_DENSE) {
        return "comes after a dense step, where there is no image any more; put convs "
               "and pools first";
    }
    return NULL;
}

/* Copies the step that begins at `text` without blanks; cut where it is too long to be
 * one. Returns where it ends: at a comma or the end. */
static const char *take_step(char step[static STEP_TEXT], const char *text)
{
    size_t length = 0;
    for (; *text != '\0' && *text != ','; text++) {
        bool blank = strchr(" \t\r\n", *text) != NULL;
        if (!blank && length < STEP_TEXT - 1) {
            step[length++] = *text;
        }
    }
    step[length] = '\0';
    return text;
}

static int parse_list(struct architecture *out, const char *text,
                      struct deepsad_error *error)
{
    struct architecture parsed = {0};
    bool last = false; /* rep has been met */
    for (bool more = true; more;) {
        char step[STEP_TEXT] = "";
        size_t at = parsed.encoder_count;
        text = take_step(step, text);
        more = *text == ',';
        text += more;
        if (last) {
            return step_error(error, at + 1, step, "rep:N must be the last step");
        }
        if (at == ARCHITECTURE_STEPS_MAX) {
            return error_set(error, DEEPSAD_INVALID, "network: more than %d steps",
                             ARCHITECTURE_STEPS_MAX);
        }
        parsed.encoder_count++;
        const char *fault = parse_step(&parsed.encoder[at], step);
        fault = fault != NULL ? fault : order_fault(&parsed, at);
        if (fault != NULL) {
            return step_error(error, at + 1, step, fault);
        }
        last = word_is(step, strcspn(step, ":"), "rep");
    }
    if (!last) {
        return error_set(error, DEEPSAD_INVALID,
                         "network: the last step must be rep:N, the size of the "
                         "representation, as in " EXAMPLE);
    }
    *out = parsed;
    return DEEPSAD_OK;
}

static int no_such_network(const char *name, struct deepsad_error *error)
{
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < PRESETS; i++) {
        nearest_try(&nearest, presets[i].name);
    }
    return error_set(error, DEEPSAD_INVALID,
                     "network: \"%s\": no such network%s%s%s; there are mnist-lenet, "
                     "fashion-mnist-lenet, cifar-10-lenet, and lists of steps such "
                     "as " EXAMPLE,
                     name, nearest.best != NULL ? " (did you mean " : "",
                     nearest.best != NULL ? nearest.best : "",
                     nearest.best != NULL ? "?)" : "");
}

int architecture_parse(struct architecture *out, const char *text,
                       struct deepsad_error *error)
{
    char first[STEP_TEXT] = "";
    bool list = *take_step(first, text) == ',';
    for (size_t i = 0; i < PRESETS && !list; i++) {
        if (strcmp(first, presets[i].name) == 0) {
            *out = presets[i];
            return DEEPSAD_OK;
        }
    }
    if (first[0] == '\0' && !list) {
        return error_set(error, DEEPSAD_INVALID,
                         "network: no steps; write a list such as " EXAMPLE);
    }
    size_t word = strcspn(first, ":");
    bool name = !list && first[word] == '\0' && !is_step(first, word);
    return name ? no_such_network(first, error) : parse_list(out, text, error);
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
    return order_fault(architecture, at);
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
        return error_set(error, DEEPSAD_INVALID,
                         "network: step 1, %s: the rows of %zu features are no images; "
                         "name the shape of the images, or use dense steps alone",
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
                     "steps such as " EXAMPLE,
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
    out[0] = (struct architecture_step)DENSE(image_size(in));
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
