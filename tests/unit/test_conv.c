/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel that this machine can run, against the definition in double. */
#include "../testing.h"

#include <stdlib.h>

#include "nn/conv.h"
#include "nn/rng.h"

/* Of a convolution: all its operands and results, and the samples in the group. */
struct fixture {
    struct conv conv;
    size_t rows;
    float *x, *y, *dx, *dy; /* lanes */
    float *weight, *dweight, *packed, *scratch;
};

enum { GUARD = 16 };

static float *floats(size_t count)
{
    float *values =
        aligned_alloc(SIMD_ALIGN, simd_round_up(count + GUARD) * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < simd_round_up(count + GUARD); i++) {
        values[i] = 42;
    }
    return values;
}

static void fill(float *values, size_t count, struct rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = 2 * rng_float(rng) - 1;
    }
}

/* Lanes beyond the group's rows are 0. */
static float *images(struct image_shape shape, size_t rows, struct rng *rng)
{
    float *values = floats(image_size(shape) * LANES);
    fill(values, image_size(shape) * LANES, rng);
    for (size_t i = 0; i < image_size(shape) * LANES; i++) {
        values[i] = i % LANES < rows ? values[i] : 0;
    }
    return values;
}

static struct fixture make(struct conv conv, size_t rows)
{
    struct rng rng;
    rng_init(&rng, conv_weights(&conv), rows);
    struct fixture f = {.conv = conv, .rows = rows};
    f.x = images(conv.in, rows, &rng);
    f.dy = images(conv.out, rows, &rng);
    f.y = floats(image_size(conv.out) * LANES);
    f.dx = floats(image_size(conv.in) * LANES);
    f.weight = floats(conv_weights(&conv));
    fill(f.weight, conv_weights(&conv), &rng);
    f.dweight = floats(conv_weights(&conv));
    f.packed = floats(conv_packed_size(&conv));
    f.scratch = floats(conv_scratch(&conv));
    return f;
}

static void done(struct fixture *f)
{
    float *all[] = {f->x,      f->y,       f->dx,     f->dy,
                    f->weight, f->dweight, f->packed, f->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]);
    }
}

static struct conv conv_of(size_t inputs, size_t height, size_t width, size_t outputs,
                           size_t kernel, size_t padding, bool transposed)
{
    size_t rim = transposed ? kernel - 1 - padding : padding;
    return (struct conv){
        .in = {inputs, height, width},
        .out = {outputs, height + 2 * rim + 1 - kernel, width + 2 * rim + 1 - kernel},
        .kernel = kernel,
        .padding = padding,
        .transposed = transposed};
}

/* ---- The definition ---- */

/* As Conv2d, of a (A, h, w) and b (B, h + kernel - 1 - 2 padding, ...), weight (A, B,
 * kernel, kernel): the sum over all a[i][v][u] weight[i][j][p][q] b[j][v + p - padding][u
 * + q - padding]. Conv2d's dy is a, its x b; ConvTranspose2d's x is a, its dy b. Adds the
 * partial derivatives of the sum over all samples. */
struct definition {
    struct image_shape a_shape, b_shape;
    const float *a, *b;
    double *da, *db, *dweight; /* lanes, lanes, as weight */
};

static void add_products(const struct fixture *f, const struct definition *d, size_t at_a,
                         size_t at_b, size_t at_weight)
{
    for (size_t lane = 0; lane < f->rows; lane++) {
        double a = (double)d->a[at_a * LANES + lane];
        double b = (double)d->b[at_b * LANES + lane];
        double weight = (double)f->weight[at_weight];
        d->da[at_a * LANES + lane] += weight * b;
        d->db[at_b * LANES + lane] += weight * a;
        d->dweight[at_weight] += a * b;
    }
}

static void add_planes(const struct fixture *f, const struct definition *d, size_t i,
                       size_t j)
{
    const struct image_shape *b = &d->b_shape;
    const size_t kernel = f->conv.kernel;
    const size_t pixels = d->a_shape.height * d->a_shape.width;
    for (size_t at = 0; at < pixels * kernel * kernel; at++) {
        size_t pixel = at / (kernel * kernel);
        size_t place = at % (kernel * kernel);
        size_t v = pixel / d->a_shape.width + place / kernel - f->conv.padding;
        size_t u = pixel % d->a_shape.width + place % kernel - f->conv.padding;
        if (v < b->height && u < b->width) { /* wraps below 0 */
            add_products(f, d, i * pixels + pixel, (j * b->height + v) * b->width + u,
                         (i * b->channels + j) * kernel * kernel + place);
        }
    }
}

static double *zeros(size_t count)
{
    double *values = calloc(count, sizeof *values);
    assert_non_null(values);
    return values;
}

static void assert_all(const float *actual, const double *expected, size_t count,
                       size_t terms)
{
    for (size_t i = 0; i < count; i++) {
        assert_near_floor(actual[i], expected[i], 1e-6, 1 + (double)terms / 10);
    }
    assert_true(actual[count] == 42); /* nothing is written behind */
}

static void check_results(const struct fixture *f)
{
    const struct conv *conv = &f->conv;
    struct definition d = {
        .a_shape = conv->transposed ? conv->in : conv->out,
        .b_shape = conv->transposed ? conv->out : conv->in,
        .a = conv->transposed ? f->x : f->dy,
        .b = conv->transposed ? f->dy : f->x,
        .da = zeros(image_size(conv->in) * LANES + image_size(conv->out) * LANES),
        .db = zeros(image_size(conv->in) * LANES + image_size(conv->out) * LANES),
        .dweight = zeros(conv_weights(conv))};
    for (size_t i = 0; i < d.a_shape.channels; i++) {
        for (size_t j = 0; j < d.b_shape.channels; j++) {
            add_planes(f, &d, i, j);
        }
    }
    size_t area = conv->kernel * conv->kernel;
    assert_all(f->y, conv->transposed ? d.db : d.da, image_size(conv->out) * LANES,
               conv->in.channels * area);
    assert_all(f->dx, conv->transposed ? d.da : d.db, image_size(conv->in) * LANES,
               conv->out.channels * area);
    assert_all(f->dweight, d.dweight, conv_weights(conv),
               d.a_shape.height * d.a_shape.width * f->rows);
    free(d.da);
    free(d.db);
    free(d.dweight);
}

/* ---- Tests ---- */

static void run(struct fixture *f, enum simd_level level)
{
    conv_pack_forward(&f->conv, f->packed, f->weight);
    conv_forward_level(&f->conv, f->y, f->x, f->packed, f->scratch, level);
    conv_pack_backward(&f->conv, f->packed, f->weight);
    conv_backward_level(&f->conv, f->dx, f->dy, f->packed, f->scratch, level);
    conv_backward_weights_level(&f->conv, f->dweight, f->dy, f->x, f->scratch, level);
    assert_true(f->scratch[conv_scratch(&f->conv)] == 42);
    assert_true(f->packed[conv_packed_size(&f->conv)] == 42);
}

static void check(struct conv conv, size_t rows)
{
    for (int level = SIMD_BASELINE; level <= (int)simd_level(); level++) {
        struct fixture f = make(conv, rows);
        run(&f, (enum simd_level)level);
        check_results(&f);
        done(&f);
    }
}

static void check_both(size_t inputs, size_t height, size_t width, size_t outputs,
                       size_t kernel, size_t padding)
{
    if (height + 2 * padding >= kernel && width + 2 * padding >= kernel) {
        check(conv_of(inputs, height, width, outputs, kernel, padding, false), 16);
    }
    if (height + kernel > 1 + 2 * padding && width + kernel > 1 + 2 * padding) {
        check(conv_of(inputs, height, width, outputs, kernel, padding, true), 16);
    }
}

static void every_kernel_size_and_padding_is_as_defined(void **state)
{
    (void)state;
    for (size_t kernel = 1; kernel <= 7; kernel += 2) {
        for (size_t padding = 0; padding < kernel; padding++) {
            check_both(2, 6, 5, 3, kernel, padding);
            check_both(1, 3, 7, 2, kernel, padding);
        }
    }
    check_both(1, 8, 9, 2, 9, 4);
    check_both(2, 11, 12, 1, 11, 5);
    check_both(1, 15, 16, 2, 15, 7);
}

static void every_number_of_channels_is_as_defined(void **state)
{
    (void)state;
    for (size_t inputs = 1; inputs <= 6; inputs++) {
        for (size_t outputs = 1; outputs <= 9; outputs++) {
            check_both(inputs, 4, 5, outputs, 3, 1);
        }
    }
}

static void every_width_is_as_defined(void **state)
{
    (void)state;
    for (size_t width = 1; width <= 33; width++) {
        for (size_t outputs = 1; outputs <= 4; outputs++) {
            check_both(1, 2, width, outputs, 5, 2);
        }
    }
}

static void images_of_several_strips_are_as_defined(void **state)
{
    (void)state;
    check_both(1, 28, 28, 5, 5, 2);
    check_both(2, 40, 9, 3, 3, 1);
    check_both(1, 3, 200, 1, 5, 2);
}

static void the_papers_layers_are_as_defined(void **state)
{
    (void)state;
    check(conv_of(16, 14, 14, 32, 5, 2, false), 16);
    check(conv_of(32, 16, 16, 16, 5, 3, true), 16);
    check(conv_of(8, 4, 4, 128, 5, 2, true), 16);
    check(conv_of(8, 14, 14, 4, 5, 2, false), 16);
    check(conv_of(32, 32, 32, 3, 5, 2, true), 16);
}

static void lanes_beyond_the_rows_stay_zero_and_add_nothing(void **state)
{
    (void)state;
    for (size_t rows = 0; rows < LANES; rows += 3) {
        check(conv_of(2, 5, 6, 3, 3, 1, false), rows);
        check(conv_of(2, 5, 6, 3, 3, 0, true), rows);
    }
}

static void the_default_kernel_is_that_of_the_machine(void **state)
{
    (void)state;
    struct fixture f = make(conv_of(3, 9, 7, 5, 5, 2, false), 16);
    struct fixture g = make(f.conv, 16);
    run(&f, simd_level());
    conv_pack_forward(&g.conv, g.packed, g.weight);
    conv_forward(&g.conv, g.y, g.x, g.packed, g.scratch);
    conv_pack_backward(&g.conv, g.packed, g.weight);
    conv_backward(&g.conv, g.dx, g.dy, g.packed, g.scratch);
    conv_backward_weights(&g.conv, g.dweight, g.dy, g.x, g.scratch);
    assert_memory_equal(f.y, g.y, image_size(f.conv.out) * LANES * sizeof *f.y);
    assert_memory_equal(f.dx, g.dx, image_size(f.conv.in) * LANES * sizeof *f.dx);
    assert_memory_equal(f.dweight, g.dweight, conv_weights(&f.conv) * sizeof *f.dweight);
    done(&f);
    done(&g);
}

static void impossible_sizes_need_more_scratch_than_there_is(void **state)
{
    (void)state;
    struct conv conv = {
        .in = {SIZE_MAX / 64, 8, 8}, .out = {4, 8, 8}, .kernel = 5, .padding = 2};
    assert_true(conv_scratch(&conv) == SIZE_MAX);
    conv.in = (struct image_shape){1, SIZE_MAX / 2, 4};
    conv.out = (struct image_shape){1, SIZE_MAX / 2, 4};
    assert_true(conv_scratch(&conv) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_size_and_padding_is_as_defined),
        cmocka_unit_test(every_number_of_channels_is_as_defined),
        cmocka_unit_test(every_width_is_as_defined),
        cmocka_unit_test(images_of_several_strips_are_as_defined),
        cmocka_unit_test(the_papers_layers_are_as_defined),
        cmocka_unit_test(lanes_beyond_the_rows_stay_zero_and_add_nothing),
        cmocka_unit_test(the_default_kernel_is_that_of_the_machine),
        cmocka_unit_test(impossible_sizes_need_more_scratch_than_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
