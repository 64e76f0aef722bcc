/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/architecture_parse.h"

#include <stdint.h>
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

/* ---- One step ---- */

enum { STEP_TEXT = 64 };

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

/* ---- Lists of steps ---- */

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
        fault = fault != NULL ? fault : architecture_order_fault(&parsed, at);
        if (fault != NULL) {
            return step_error(error, at + 1, step, fault);
        }
        last = word_is(step, strcspn(step, ":"), "rep");
    }
    if (!last) {
        return error_set(error, DEEPSAD_INVALID,
                         "network: the last step must be rep:N, the size of the "
                         "representation, as in " ARCHITECTURE_EXAMPLE);
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
                     "as " ARCHITECTURE_EXAMPLE,
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
                         "network: no steps; write a list such as " ARCHITECTURE_EXAMPLE);
    }
    size_t word = strcspn(first, ":");
    bool name = !list && first[word] == '\0' && !is_step(first, word);
    return name ? no_such_network(first, error) : parse_list(out, text, error);
}
