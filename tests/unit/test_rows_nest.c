/* SPDX-License-Identifier: Apache-2.0 */
/* Images as arrays of arrays: the same rows as flat ones, or a fault that says where. */
#include "api/rows_nest.h"

#include "../testing.h"

#include "../fuzz/columns.h"
#include "nn/rng.h"

static bool decode(struct rows *rows, const struct rows_columns *columns,
                   const char *text)
{
    return test_decode_as(rows, columns, false, text, strlen(text), strlen(text) + 1);
}

static void an_image_may_be_flat_or_an_array_of_its_dimensions(void **state)
{
    struct rows rows = {.x = NULL};
    (void)state;
    assert_true(decode(&rows, &test_image,
                       "{\"samples\":[[1,2,3,4,null,6],[[1,2,3],[4,null,6]],"
                       "[ [[1, 2,3],\n[4,null,6]] ], {\"hour\":1,\"x\":2,"
                       "\"a/b~\\u00f6\":3,\"p3\":4,\"p5\":6}]}"));
    assert_int_equal(rows.count, 4);
    for (size_t i = 0; i < 24; i++) {
        assert_true(i % 6 == 4 ? isnan(rows.x[i]) : rows.x[i] == 1 + (float)(i % 6));
    }
    rows_done(&rows);
}

static void channels_come_first(void **state)
{
    struct rows rows = {.x = NULL};
    (void)state;
    assert_true(decode(&rows, &test_channels,
                       "{\"samples\":[[[[0,1],[2,3],[4,5]],[[6,7],[8,9],[10,11]]]]}"));
    for (size_t i = 0; i < 12; i++) {
        assert_true(rows.x[i] == (float)i);
    }
    rows_done(&rows);
}

struct wrong {
    const char *sample, *pointer, *detail;
};

static void assert_refused(const struct rows_columns *columns, const struct wrong *wrong)
{
    struct rows rows = {.x = NULL};
    char text[256];
    int size = snprintf(text, sizeof text, "{\"samples\":[{},%s]}", wrong->sample);
    for (size_t piece = 1; piece <= (size_t)size; piece += 7) {
        assert_false(test_decode_as(&rows, columns, false, text, (size_t)size, piece));
        assert_string_equal(rows.fault.pointer, wrong->pointer);
        if (strstr(rows.fault.detail, wrong->detail) == NULL) {
            fail_msg("\"%s\" is not in \"%s\"", wrong->detail, rows.fault.detail);
        }
        assert_int_equal(rows.fault.status, 422);
    }
    rows_done(&rows);
}

static void a_wrong_shape_is_named_where_it_is(void **state)
{
    static const struct wrong cases[] = {
        {"[[1,2,3],[4,5]]", "#/samples/1/1",
         "samples/1/1: 2 values, the model's images are 2 x 3"},
        {"[[1,2,3,4],[5,6]]", "#/samples/1/0", "more than 3 values"},
        {"[[1,2,3]]", "#/samples/1", "samples/1: 1 lines"},
        {"[[1,2,3],[4,5,6],[7,8,9]]", "#/samples/1", "more than 2 lines"},
        {"[[[1,2,3],[4,5,6]],[[1,2,3],[4,5,6]]]", "#/samples/1", "more than 1 channels"},
        {"[[[1,2,3],[4]]]", "#/samples/1/0/1", "1 values"},
        {"[[[1,2,3]]]", "#/samples/1/0", "1 lines"},
        {"[[]]", "#/samples/1/0", "0 values"},
        {"[[1,2,3],[]]", "#/samples/1/1", "0 values"},
        {"[]", "#/samples/1", "0 values, the model has 6 features, as images of 2 x 3"},
        {"[1,2,3]", "#/samples/1", "3 values, the model has 6 features"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(&test_image, &cases[i]);
    }
}

static void what_is_no_array_of_numbers_is_named_where_it_is(void **state)
{
    static const struct wrong cases[] = {
        {"[[1,2,3],4]", "#/samples/1/1", "expected an array"},
        {"[1,[2,3]]", "#/samples/1/1", "expected a number or null, found an array"},
        {"[[1,[2],3]]", "#/samples/1/0/1", "expected a number or null, found an array"},
        {"[[1,2,3],[[4,5,6]]]", "#/samples/1/1/0", "found an array"},
        {"[[[[1]]]]", "#/samples/1/0/0/0", "found an array"},
        {"[[1,2,3],{}]", "#/samples/1/1", "expected an array, as before it"},
        {"[{}]", "#/samples/1/0", "expected a number or null, found an object"},
        {"[[1,2,{}]]", "#/samples/1/0/2", "found an object"},
        {"[[1,2,\"3\"]]", "#/samples/1/0/2", "found a string"},
        {"[[1,2,3],[4,5,1e39]]", "#/samples/1/1/2", "range of a float"},
        {"[[[1,2,3],[4,NaN]]]", "#/samples/1/0/1/1", "NaN and Infinity"},
        {"{\"x\":[1]}", "#/samples/1/x", "found an array"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(&test_image, &cases[i]);
    }
}

static void channels_are_counted(void **state)
{
    static const struct wrong cases[] = {
        {"[[1,2],[3,4],[5,6]]", "#/samples/1",
         "2 x 3 x 2 (channels, height, width): send an array of 2 such arrays"},
        {"[[]]", "#/samples/1", "send an array of 2 such arrays"},
        {"[[[1,2],[3,4],[5,6]]]", "#/samples/1", "samples/1: 1 channels"},
        {"[[[1,2],[3,4],[5,6]],[[1,2],[3,4]]]", "#/samples/1/1", "2 lines"},
        {"[[[1,2],[3,4],[5,6]],[]]", "#/samples/1/1", "0 lines"},
        {"[[[1,2],[3,4],[5,6]],[[1,2],[3,4],[5]]]", "#/samples/1/1/2", "1 values"},
        {"[[[1,2],[3,4],[5,6]],[[1,2],[3,true]]]", "#/samples/1/1/1/1", "a boolean"},
        {"[[[1,2],[3,4],[5,6]],7]", "#/samples/1/1", "expected an array"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(&test_channels, &cases[i]);
    }
}

static void rows_that_are_no_images_have_no_arrays_in_them(void **state)
{
    const struct wrong one = {"[[1,2,3]]", "#/samples/1/0",
                              "expected a number or null, found an array"};
    (void)state;
    assert_refused(&test_columns, &one);
}

static void what_is_not_json_is_so_within_an_image_too(void **state)
{
    static const char *const cases[] = {"[[1,2,3],]",         "[[1,2,3][4,5,6]]",
                                        "[[1,2,3,],[4,5,6]]", "[,[1,2,3]]",
                                        "[[1,2,3],[4,5,6]}",  "[[1,2,3]:[4,5,6]]"};
    struct rows rows = {.x = NULL};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"samples\":[%s]}", cases[i]);
        assert_false(decode(&rows, &test_image, text));
        assert_int_equal(rows.fault.status, 400);
    }
    rows_done(&rows);
}

/* ---- Long texts, which take the hot path ------------------------------------------- */

enum { BODY_MAX = 1 << 17, IMAGES_MAX = 5 };

struct body {
    char text[BODY_MAX];
    size_t size;
};

/* Brackets and commas around `image` of one row that is sent with so many dimensions. */
static void write_image(struct body *body, const struct rows_columns *columns,
                        unsigned dimensions, const char *space, const float *values)
{
    size_t line = dimensions == 1 ? columns->count : columns->width;
    size_t plane = dimensions == 3 ? columns->width * columns->height : columns->count;
    char *at = body->text + body->size;
    at += sprintf(at, "%.*s", (int)dimensions - 1, "[[");
    for (size_t i = 0; i < columns->count; i++) {
        at += sprintf(at, "%s%s%.7g", i % line == 0 ? "[" : "",
                      i % line == 0 ? "" : space, (double)values[i]);
        bool last = i + 1 == columns->count;
        at += sprintf(at, "%s", (i + 1) % line == 0 ? "]" : "");
        at += sprintf(at, "%s",
                      dimensions == 3 && (i + 1) % plane == 0 ? (last ? "" : "],[") : "");
        bool bare = dimensions == 3 && (i + 1) % plane == 0;
        at += sprintf(at, "%s", last || bare ? "" : ",");
    }
    at += sprintf(at, "%.*s", (int)dimensions - 1, "]]");
    body->size = (size_t)(at - body->text);
}

/* `dimensions`: of all images, 0 = of each by chance. */
static void write_body(struct body *body, const struct rows_columns *columns,
                       unsigned dimensions, size_t images, const char *space,
                       struct rng *rng)
{
    float values[3 * 256];
    body->size = (size_t)sprintf(body->text, "{\"samples\":[");
    for (size_t i = 0; i < images; i++) {
        for (size_t j = 0; j < columns->count; j++) {
            float value = rng_float(rng);
            values[j] = rng_below(rng, 3) == 0 ? 0 : value;
        }
        unsigned least = columns->channels == 1 ? 2 : 3;
        unsigned chosen = dimensions > 0           ? dimensions
                          : rng_below(rng, 2) == 0 ? 1
                                                   : least;
        body->size += (size_t)sprintf(body->text + body->size, "%s", i > 0 ? "," : "");
        write_image(body, columns, chosen, space, values);
    }
    body->size += (size_t)sprintf(body->text + body->size, "]}");
}

static struct rows_columns image_of(size_t channels, size_t height, size_t width)
{
    static const size_t none = 0;
    return (struct rows_columns){.count = channels * height * width,
                                 .closure = &none,
                                 .name = test_name,
                                 .index = test_index,
                                 .channels = channels,
                                 .height = height,
                                 .width = width};
}

static const size_t shapes[][3] = {{1, 16, 16}, {1, 12, 20}, {3, 16, 16}, {2, 1, 100},
                                   {1, 100, 1}, {3, 3, 3},   {1, 1, 256}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void nested_images_are_the_rows_that_flat_ones_are(void **state)
{
    static struct body flat, nested;
    struct rows want = {.x = NULL}, got = {.x = NULL};
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        const size_t *shape = shapes[round % SHAPES];
        struct rows_columns columns = image_of(shape[0], shape[1], shape[2]);
        const char *space = round % 2 == 0 ? "" : " ";
        size_t images = 1 + round % IMAGES_MAX;
        struct rng rng, same;
        rng_init(&rng, round, 0);
        rng_init(&same, round, 0);
        write_body(&flat, &columns, 1, images, space, &rng);
        write_body(&nested, &columns, shape[0] > 1 || round % 3 == 0 ? 3 : 2, images,
                   space, &same);
        assert_true(
            test_decode_as(&want, &columns, false, flat.text, flat.size, BODY_MAX));
        assert_true(test_decode_as(&got, &columns, false, nested.text, nested.size,
                                   round % 4 == 0 ? 50 + round : BODY_MAX));
        assert_int_equal(got.count, images);
        assert_memory_equal(got.x, want.x, images * columns.count * sizeof(float));
    }
    rows_done(&want);
    rows_done(&got);
}

static void damage(struct body *body, struct rng *rng)
{
    static const char bytes[] = ",.-][ e0\"\n{}n1/\x80";
    for (size_t left = rng_below(rng, 4); left > 0; left--) {
        size_t at = rng_below(rng, body->size);
        if (rng_below(rng, 2) == 0) { /* where shapes are decided */
            const char *bracket = strpbrk(body->text + at, "[],");
            at = bracket == NULL ? at : (size_t)(bracket - body->text);
        }
        body->text[at] = bytes[rng_below(rng, sizeof bytes - 1)];
    }
}

static void one_piece_gives_what_small_pieces_give(void **state)
{
    static struct body body;
    struct rows whole = {.x = NULL}, parts = {.x = NULL};
    size_t good = 0;
    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        const size_t *shape = shapes[round % SHAPES];
        struct rows_columns columns = image_of(shape[0], shape[1], shape[2]);
        struct rng rng;
        rng_init(&rng, 1, round);
        write_body(&body, &columns, 0, 1 + round % 3, round % 2 == 0 ? "" : " ", &rng);
        damage(&body, &rng);
        bool fine =
            test_decode_as(&whole, &columns, false, body.text, body.size, BODY_MAX);
        assert_int_equal(
            test_decode_as(&parts, &columns, false, body.text, body.size, 61), fine);
        assert_int_equal(whole.fault.status, parts.fault.status);
        assert_string_equal(whole.fault.detail, parts.fault.detail);
        assert_string_equal(whole.fault.pointer, parts.fault.pointer);
        assert_int_equal(whole.count, parts.count);
        assert_memory_equal(whole.x, parts.x,
                            columns.count * whole.count * sizeof(float));
        good += fine;
    }
    assert_true(good > 700 && good < 2500);
    rows_done(&whole);
    rows_done(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_may_be_flat_or_an_array_of_its_dimensions),
        cmocka_unit_test(channels_come_first),
        cmocka_unit_test(a_wrong_shape_is_named_where_it_is),
        cmocka_unit_test(what_is_no_array_of_numbers_is_named_where_it_is),
        cmocka_unit_test(channels_are_counted),
        cmocka_unit_test(rows_that_are_no_images_have_no_arrays_in_them),
        cmocka_unit_test(what_is_not_json_is_so_within_an_image_too),
        cmocka_unit_test(nested_images_are_the_rows_that_flat_ones_are),
        cmocka_unit_test(one_piece_gives_what_small_pieces_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
