/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "nn/architecture_parse.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct image_shape mnist = {1, 28, 28};
static const struct image_shape cifar = {3, 32, 32};

static struct architecture parse(const char *text)
{
    struct architecture form;
    struct deepsad_error error = {0};
    if (architecture_parse(&form, text, &error) != DEEPSAD_OK) {
        fail_msg("\"%s\": %s", text, error.message);
    }
    return form;
}

static void assert_printed(const char *text, const char *expected)
{
    struct architecture form = parse(text);
    struct buffer buffer = {0};
    architecture_print(&buffer, &form);
    char *printed = buffer_take_string(&buffer);
    assert_string_equal(printed, expected);
    free(printed);
}

static void assert_refused(const char *text, const char *part)
{
    struct architecture form = {.encoder_count = 77};
    struct deepsad_error error = {0};
    assert_int_equal(architecture_parse(&form, text, &error), DEEPSAD_INVALID);
    assert_error_says(error, part);
    assert_int_equal(form.encoder_count, 77);
}

static void assert_misfit(const char *text, struct image_shape input, const char *part)
{
    struct architecture form = parse(text);
    struct deepsad_error error = {0};
    assert_int_equal(architecture_check(&form, input, &error), DEEPSAD_INVALID);
    assert_error_says(error, part);
}

static void assert_shape(struct image_shape actual, struct image_shape expected)
{
    assert_int_equal(actual.channels, expected.channels);
    assert_int_equal(actual.height, expected.height);
    assert_int_equal(actual.width, expected.width);
}

static void assert_steps(const struct architecture_step *actual, size_t count,
                         const struct architecture_step *expected, size_t expected_count)
{
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(actual[i].kind, expected[i].kind);
        assert_int_equal(actual[i].width, expected[i].width);
        assert_int_equal(actual[i].kernel, expected[i].kernel);
        assert_int_equal(actual[i].padding, expected[i].padding);
        assert_shape(actual[i].image, expected[i].image);
    }
}

static void assert_decoder(const char *text, struct image_shape input,
                           const struct architecture_step *expected, size_t count)
{
    struct architecture form = parse(text);
    struct architecture_step steps[2 * ARCHITECTURE_STEPS_MAX];
    assert_int_equal(architecture_check(&form, input, NULL), DEEPSAD_OK);
    assert_steps(steps, architecture_decoder(steps, &form, input), expected, count);
    struct image_shape image = {architecture_outputs(&form), 1, 1};
    for (size_t i = 0; i < count; i++) {
        image = architecture_step_image(&steps[i], image);
    }
    assert_int_equal(image_size(image), image_size(input));
}

#define CONV(channels, kernel_)                                             \
    {                                                                       \
        .kind = ARCHITECTURE_CONV, .width = (channels), .kernel = (kernel_) \
    }
#define DECONV(channels, kernel_, padding_)                                    \
    {                                                                          \
        .kind = ARCHITECTURE_DECONV, .width = (channels), .kernel = (kernel_), \
        .padding = (padding_)                                                  \
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
#define UPSAMPLE(height_, width_)                                          \
    {                                                                      \
        .kind = ARCHITECTURE_UPSAMPLE, .image = { 0, (height_), (width_) } \
    }
#define ACTIVATE                      \
    {                                 \
        .kind = ARCHITECTURE_ACTIVATE \
    }

/* ---- Texts ---- */

static void a_list_of_steps_is_read(void **state)
{
    (void)state;
    const struct architecture_step expected[] = {CONV(16, 5), POOL, CONV(32, 3),
                                                 DENSE(128), DENSE(64)};
    struct architecture form = parse("conv:16,pool,conv3x3:32,dense:128,rep:64");
    assert_null(form.name);
    assert_int_equal(form.decoder_count, 0);
    assert_steps(form.encoder, form.encoder_count, expected, COUNT(expected));
    assert_int_equal(architecture_outputs(&form), 64);
}

static void blanks_change_nothing(void **state)
{
    (void)state;
    assert_printed(" conv : 16 ,\tpool, conv 3x3: 32\n,rep:64 ",
                   "conv:16,pool,conv3x3:32,rep:64");
    assert_printed(" mnist-lenet ", "mnist-lenet");
}

static void what_is_printed_reads_back(void **state)
{
    (void)state;
    assert_printed("conv5x5:16,conv15x15:1,conv1x1:3,pool,dense:65536,rep:1",
                   "conv:16,conv15x15:1,conv1x1:3,pool,dense:65536,rep:1");
    assert_printed("rep:8", "rep:8");
    assert_printed("fashion-mnist-lenet", "fashion-mnist-lenet");
    assert_printed("cifar-10-lenet", "cifar-10-lenet");
}

static void dense_widths_are_an_architecture(void **state)
{
    (void)state;
    struct architecture form;
    architecture_dense(&form, (size_t[]){32, 16, 8}, 3);
    struct buffer buffer = {0};
    architecture_print(&buffer, &form);
    char *printed = buffer_take_string(&buffer);
    assert_string_equal(printed, "dense:32,dense:16,rep:8");
    free(printed);
}

static void a_step_that_is_none_is_named(void **state)
{
    (void)state;
    assert_refused("conv:16,pool,convv:16,rep:4",
                   "network: step 3, \"convv:16\": no such step; there are conv:N, "
                   "conv3x3:N, pool, dense:N and, last, rep:N");
    assert_refused("conv:16,,rep:4", "step 2, \"\": nothing stands between");
    assert_refused("conv:16,rep:4,", "step 3");
    assert_refused("Conv:16,rep:4", "step 1, \"Conv:16\": no such step");
    assert_refused("dense,rep:4", "step 1, \"dense\": its width is missing");
    assert_refused("pool:2,rep:4", "write pool alone");
    assert_refused("relu:2", "no such step");
}

static void a_width_is_a_plain_number(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "dense:0,rep:4",   "dense:65537,rep:4", "dense:-1,rep:4",
        "dense:,rep:4",    "dense:1.5,rep:4",   "dense:0x10,rep:4",
        "dense:1:2,rep:4", "conv:0,rep:4",      "conv:0000000001,rep:4"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_refused(texts[i], "a width is a whole number from 1 to 65536");
    }
}

static void a_kernel_is_an_odd_square(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "conv4x4:1,rep:4", "conv3x5:1,rep:4", "conv17x17:1,rep:4", "conv3:1,rep:4",
        "conv3x:1,rep:4",  "conv0x0:1,rep:4", "conv3x3x3:1,rep:4"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_refused(texts[i], "kernels are squares with an odd side up to 15");
    }
}

static void the_order_of_the_steps_is_checked(void **state)
{
    (void)state;
    assert_refused("conv:16,pool", "the last step must be rep:N");
    assert_refused("pool", "the last step must be rep:N");
    assert_refused("dense:16,conv:4,rep:2",
                   "step 2, \"conv:4\": comes after a dense step");
    assert_refused("dense:16,pool,rep:2", "step 2, \"pool\": comes after a dense step");
    assert_refused("rep:16,dense:4", "step 2, \"dense:4\": rep:N must be the last step");
    assert_refused("rep:16,rep:4", "rep:N must be the last step");
}

static void a_list_may_have_24_steps(void **state)
{
    (void)state;
    char text[400] = "";
    for (size_t i = 0; i < 23; i++) {
        strcat(text, "conv:8,");
    }
    strcat(text, "rep:4");
    assert_int_equal(parse(text).encoder_count, 24);
    memmove(text + 5, text, strlen(text) + 1);
    memcpy(text, "pool,", 5);
    assert_refused(text, "network: more than 24 steps");
}

static void an_unknown_name_gets_the_nearest_and_all_names(void **state)
{
    (void)state;
    assert_refused("mnist-lennet", "\"mnist-lennet\": no such network (did you mean "
                                   "mnist-lenet?); there are mnist-lenet, "
                                   "fashion-mnist-lenet, cifar-10-lenet, and lists");
    assert_refused("resnet", "\"resnet\": no such network; there are");
    assert_refused("", "network: no steps; write a list such as conv:16");
    assert_refused("  ", "network: no steps");
}

static void texts_of_any_length_are_refused_in_peace(void **state)
{
    (void)state;
    char text[3000];
    memset(text, 'c', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_refused(text, "no such network");
    memcpy(text, "dense:1", 7);
    memset(text + 7, '0', sizeof text - 8);
    assert_refused(text, "a width is a whole number");
    memset(text, ',', sizeof text - 1);
    assert_refused(text, "step 1, \"\"");
}

/* ---- Shapes ---- */

static void steps_change_the_shape_as_they_say(void **state)
{
    (void)state;
    const struct architecture_step conv = CONV(8, 5), pool = POOL,
                                   deconv = DECONV(4, 5, 3);
    const struct architecture_step up = UPSAMPLE(15, 28), dense = DENSE(9);
    const struct architecture_step view = VIEW(2, 4, 4), activate = ACTIVATE;
    assert_shape(architecture_step_image(&conv, mnist), (struct image_shape){8, 28, 28});
    assert_shape(architecture_step_image(&pool, (struct image_shape){8, 7, 6}),
                 (struct image_shape){8, 3, 3});
    assert_shape(architecture_step_image(&deconv, (struct image_shape){8, 16, 16}),
                 (struct image_shape){4, 14, 14});
    assert_shape(architecture_step_image(&up, (struct image_shape){8, 7, 14}),
                 (struct image_shape){8, 15, 28});
    assert_shape(architecture_step_image(&dense, mnist), (struct image_shape){9, 1, 1});
    assert_shape(architecture_step_image(&view, (struct image_shape){32, 1, 1}),
                 (struct image_shape){2, 4, 4});
    assert_shape(architecture_step_image(&activate, mnist), mnist);
}

static void a_misfit_names_the_step_and_the_shape_it_meets(void **state)
{
    (void)state;
    assert_misfit("conv:8,pool,pool,pool,rep:2", (struct image_shape){1, 5, 4},
                  "network: step 4, pool: the image is 1 x 1 there");
    assert_misfit("pool,rep:2", (struct image_shape){1, 1, 9},
                  "network: step 1, pool: the image is 1 x 9 there");
    assert_misfit("conv3x3:8,rep:2", (struct image_shape){784, 1, 1},
                  "network: step 1, conv3x3:8: the rows of 784 features are no images");
    assert_misfit("pool,rep:2", (struct image_shape){784, 1, 1},
                  "step 1, pool: the rows of 784 features are no images");
}

static void shapes_that_overflow_are_refused(void **state)
{
    (void)state;
    const struct image_shape wide = {1, (size_t)1 << 28, (size_t)1 << 25};
    assert_misfit("dense:65536,rep:2", wide,
                  "step 1, dense:65536: the image is 268435456 x 33554432 there: the "
                  "network is too large");
    assert_misfit("conv:65536,rep:2", wide, "step 1, conv:65536");
    assert_misfit("rep:2", (struct image_shape){3, SIZE_MAX / 2, 4}, "no rows are 3 x");
    assert_misfit("rep:2", (struct image_shape){3, 0, 4}, "no rows are 3 x 0 x 4");
}

static void an_architecture_made_by_hand_is_checked_too(void **state)
{
    (void)state;
    const struct architecture bad[] = {
        {.encoder_count = 0},
        {.encoder_count = ARCHITECTURE_STEPS_MAX + 1},
        {.encoder_count = 1, .encoder = {CONV(4, 5)}},
        {.encoder_count = 2, .encoder = {CONV(4, 4), DENSE(2)}},
        {.encoder_count = 2, .encoder = {CONV(4, 17), DENSE(2)}},
        {.encoder_count = 2, .encoder = {VIEW(1, 28, 28), DENSE(2)}},
        {.encoder_count = 3, .encoder = {DENSE(4), CONV(4, 5), DENSE(2)}},
        {.encoder_count = 2, .encoder = {DENSE(0), DENSE(2)}},
        {.encoder_count = 2, .encoder = {DENSE(65537), DENSE(2)}},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct deepsad_error error = {0};
        assert_int_equal(architecture_check(&bad[i], mnist, &error), DEEPSAD_INVALID);
        assert_error_says(error, "network: ");
    }
}

static void the_papers_networks_are_for_their_images_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"mnist-lenet", "fashion-mnist-lenet",
                                        "cifar-10-lenet"};
    const struct image_shape inputs[] = {mnist, mnist, cifar};
    for (size_t i = 0; i < 3; i++) {
        struct architecture form = parse(names[i]);
        assert_int_equal(architecture_check(&form, inputs[i], NULL), DEEPSAD_OK);
    }
    assert_misfit("mnist-lenet", cifar,
                  "network: mnist-lenet is made for images of 1 x 28 x 28 (channels, "
                  "height, width), not of 3 x 32 x 32; for others write a list");
    assert_misfit("cifar-10-lenet", mnist, "images of 3 x 32 x 32");
    assert_misfit("fashion-mnist-lenet", (struct image_shape){784, 1, 1}, "no images");
}

/* ---- Decoders ---- */

static void the_papers_decoders_are_those_of_its_code(void **state)
{
    (void)state;
    const struct architecture_step of_mnist[] = {
        VIEW(2, 4, 4),    ACTIVATE,        UPSAMPLE(8, 8),   DECONV(4, 5, 2),
        UPSAMPLE(16, 16), DECONV(8, 5, 3), UPSAMPLE(28, 28), DECONV(1, 5, 2)};
    const struct architecture_step of_fashion[] = {
        DENSE(128),       VIEW(8, 4, 4),    UPSAMPLE(8, 8),   DECONV(32, 5, 2),
        UPSAMPLE(16, 16), DECONV(16, 5, 3), UPSAMPLE(28, 28), DECONV(1, 5, 2)};
    const struct architecture_step of_cifar[] = {
        VIEW(8, 4, 4),    ACTIVATE,         DECONV(128, 5, 2),
        UPSAMPLE(8, 8),   DECONV(64, 5, 2), UPSAMPLE(16, 16),
        DECONV(32, 5, 2), UPSAMPLE(32, 32), DECONV(3, 5, 2)};
    assert_decoder("mnist-lenet", mnist, of_mnist, COUNT(of_mnist));
    assert_decoder("fashion-mnist-lenet", mnist, of_fashion, COUNT(of_fashion));
    assert_decoder("cifar-10-lenet", cifar, of_cifar, COUNT(of_cifar));
    assert_true(parse("cifar-10-lenet").xavier_decoder);
    assert_false(parse("mnist-lenet").xavier_decoder);
}

static void the_mirror_leads_back_over_odd_sides_and_all_kernels(void **state)
{
    (void)state;
    const struct architecture_step expected[] = {
        DENSE(20),       DENSE(8 * 3 * 2), VIEW(8, 3, 2),  UPSAMPLE(6, 5),
        DECONV(4, 3, 1), UPSAMPLE(13, 11), DECONV(3, 7, 3)};
    assert_decoder("conv7x7:4,pool,conv3x3:8,pool,dense:20,rep:6",
                   (struct image_shape){3, 13, 11}, expected, COUNT(expected));
}

static void the_mirror_of_dense_steps_has_no_images(void **state)
{
    (void)state;
    const struct architecture_step expected[] = {DENSE(16), DENSE(32), DENSE(784)};
    assert_decoder("dense:32,dense:16,rep:8", (struct image_shape){784, 1, 1}, expected,
                   COUNT(expected));
    assert_decoder("dense:32,dense:16,rep:8", mnist, expected, COUNT(expected));
}

static void an_encoder_may_begin_with_a_pool(void **state)
{
    (void)state;
    const struct architecture_step expected[] = {DENSE(14 * 14), VIEW(1, 14, 14),
                                                 UPSAMPLE(28, 28)};
    assert_decoder("pool,rep:8", mnist, expected, COUNT(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_steps_is_read),
        cmocka_unit_test(blanks_change_nothing),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(dense_widths_are_an_architecture),
        cmocka_unit_test(a_step_that_is_none_is_named),
        cmocka_unit_test(a_width_is_a_plain_number),
        cmocka_unit_test(a_kernel_is_an_odd_square),
        cmocka_unit_test(the_order_of_the_steps_is_checked),
        cmocka_unit_test(a_list_may_have_24_steps),
        cmocka_unit_test(an_unknown_name_gets_the_nearest_and_all_names),
        cmocka_unit_test(texts_of_any_length_are_refused_in_peace),
        cmocka_unit_test(steps_change_the_shape_as_they_say),
        cmocka_unit_test(a_misfit_names_the_step_and_the_shape_it_meets),
        cmocka_unit_test(shapes_that_overflow_are_refused),
        cmocka_unit_test(an_architecture_made_by_hand_is_checked_too),
        cmocka_unit_test(the_papers_networks_are_for_their_images_alone),
        cmocka_unit_test(the_papers_decoders_are_those_of_its_code),
        cmocka_unit_test(the_mirror_leads_back_over_odd_sides_and_all_kernels),
        cmocka_unit_test(the_mirror_of_dense_steps_has_no_images),
        cmocka_unit_test(an_encoder_may_begin_with_a_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
