/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel that this machine can run, against a naive loop in double. */
#include "../testing.h"

#include <stdlib.h>

#include "nn/packed_conv.h"
#include "nn/rng.h"

struct fixture {
    struct packed_conv conv;
    float *frame, *y;
};

static float *floats(size_t count)
{
    float *block = aligned_alloc(64, (count + 15) / 16 * 64);
    assert_non_null(block);
    memset(block, 0xff, (count + 15) / 16 * 64); /* NaN */
    return block;
}

/* A random image in its frame of 0, and NaN behind. */
static void fill_frame(struct fixture *f, struct rng *rng)
{
    const struct image_shape in = f->conv.in;
    const struct packed_layout frame = packed_conv_frame(&f->conv);
    memset(f->frame, 0, in.channels * frame.plane * sizeof *f->frame);
    float *pixels = f->frame + packed_conv_origin(&f->conv);
    for (size_t i = 0; i < image_size(in); i++) {
        size_t u = i % in.width, v = i / in.width % in.height;
        pixels[i / (in.width * in.height) * frame.plane + v * frame.pitch + u] =
            2 * rng_float(rng) - 1;
    }
}

static struct fixture make(struct packed_conv shape)
{
    struct fixture f;
    struct rng rng;
    rng_init(&rng, shape.in.width, shape.out.channels);
    shape.out.height = shape.in.height + 2 * shape.padding + 1 - shape.kernel;
    shape.out.width = shape.in.width + 2 * shape.padding + 1 - shape.kernel;
    assert_int_equal(packed_conv_init(&f.conv, &shape, NULL), DEEPSAD_OK);
    for (size_t o = 0; o < shape.out.channels; o++) {
        f.conv.bias[o] = rng_float(&rng) - 0.5F;
        for (size_t t = 0; t < f.conv.taps; t++) {
            f.conv.weight[packed_conv_index(&f.conv, o, t)] = rng_float(&rng) - 0.5F;
        }
    }
    f.frame = floats(packed_conv_frame_size(&f.conv));
    f.y = floats(packed_conv_output_size(&f.conv));
    fill_frame(&f, &rng);
    return f;
}

static void done(struct fixture *f)
{
    packed_conv_done(&f->conv);
    free(f->frame);
    free(f->y);
}

static double naive(const struct fixture *f, size_t o, size_t v, size_t u)
{
    const struct packed_layout frame = packed_conv_frame(&f->conv);
    const size_t k = f->conv.kernel;
    double sum = (double)f->conv.bias[o];
    for (size_t t = 0; t < f->conv.taps; t++) {
        size_t i = t / (k * k), p = t / k % k, q = t % k;
        sum += (double)f->conv.weight[packed_conv_index(&f->conv, o, t)] *
               (double)f->frame[i * frame.plane + (v + p) * frame.pitch + u + q];
    }
    switch (f->conv.activation) {
    case PACKED_LEAKY_RELU:
        return sum > 0 ? sum : 0.01 * sum;
    case PACKED_SIGMOID:
        return 1 / (1 + exp(-sum));
    case PACKED_LINEAR:
        break;
    }
    return sum;
}

static void check_pixels(const struct fixture *f)
{
    const struct image_shape out = f->conv.out;
    const struct packed_layout layout = packed_conv_output(&f->conv);
    for (size_t i = 0; i < image_size(out); i += 1 + image_size(out) / 500) {
        size_t u = i % out.width, v = i / out.width % out.height;
        size_t o = i / (out.width * out.height);
        assert_near_floor(f->y[o * layout.plane + v * layout.pitch + u],
                          naive(f, o, v, u), 1e-5, 1);
    }
}

static void check_shape(struct image_shape in, size_t outputs, size_t kernel,
                        size_t padding, enum packed_activation activation)
{
    struct fixture f = make((struct packed_conv){.in = in,
                                                 .out = {outputs, 0, 0},
                                                 .kernel = kernel,
                                                 .padding = padding,
                                                 .activation = activation});
    for (int level = SIMD_BASELINE; level <= (int)simd_level(); level++) {
        packed_conv_forward_level(&f.conv, f.y, f.frame, (enum simd_level)level);
        check_pixels(&f);
    }
    done(&f);
}

static void every_kernel_agrees_with_a_naive_loop(void **state)
{
    (void)state;
    const size_t outputs[] = {1, 2, 3, 4, 7, 8, 16, 21};
    for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++) {
        check_shape((struct image_shape){1, 28, 28}, outputs[o], 5, 2, PACKED_LEAKY_RELU);
        check_shape((struct image_shape){6, 14, 14}, outputs[o], 5, 2, PACKED_LINEAR);
        check_shape((struct image_shape){3, 7, 7}, outputs[o], 3, 1, PACKED_SIGMOID);
    }
}

static void images_may_have_any_sides(void **state)
{
    (void)state;
    for (size_t side = 1; side <= 35; side++) {
        check_shape((struct image_shape){2, side, 36 - side}, 11, 3, 1, PACKED_LINEAR);
        check_shape((struct image_shape){1, 36 - side, side}, 2, 1, 0, PACKED_LEAKY_RELU);
    }
}

static void padding_may_grow_and_shrink_images(void **state)
{
    (void)state;
    for (size_t padding = 0; padding < 5; padding++) {
        check_shape((struct image_shape){3, 6, 9}, 5, 5, padding, PACKED_LEAKY_RELU);
    }
}

/* Each output is one chain of multiply-adds, in whichever tile or lane. */
static void a_pixel_has_the_same_bits_wherever_it_lies(void **state)
{
    (void)state;
    struct fixture f =
        make((struct packed_conv){.in = {4, 20, 24}, .out = {15, 0, 0}, .kernel = 3});
    for (size_t i = 0; i < packed_conv_frame_size(&f.conv); i++) {
        f.frame[i] = 0.3F + (float)(i / packed_conv_frame(&f.conv).plane);
    }
    for (int level = SIMD_BASELINE; level <= (int)simd_level(); level++) {
        const struct packed_layout layout = packed_conv_output(&f.conv);
        packed_conv_forward_level(&f.conv, f.y, f.frame, (enum simd_level)level);
        for (size_t o = 0; o < 15; o++) {
            for (size_t i = 0; i < 18 * 22; i++) {
                const float *pixel =
                    f.y + o * layout.plane + i / 22 * layout.pitch + i % 22;
                assert_memory_equal(pixel, f.y + o * layout.plane, sizeof *pixel);
            }
        }
    }
    done(&f);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct packed_conv conv = {0};
    struct packed_conv shape = {
        .in = {SIZE_MAX / 8, 1, 1}, .out = {100, 1, 1}, .kernel = 3};
    assert_int_equal(packed_conv_init(&conv, &shape, NULL), DEEPSAD_NO_MEMORY);
    shape = (struct packed_conv){.in = {1, 0, 1}, .out = {1, 1, 1}, .kernel = 3};
    assert_int_equal(packed_conv_init(&conv, &shape, NULL), DEEPSAD_INVALID);
    assert_null(conv.weight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_agrees_with_a_naive_loop),
        cmocka_unit_test(images_may_have_any_sides),
        cmocka_unit_test(padding_may_grow_and_shrink_images),
        cmocka_unit_test(a_pixel_has_the_same_bits_wherever_it_lies),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
