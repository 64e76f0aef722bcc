/* SPDX-License-Identifier: Apache-2.0 */
/* NPY bodies of scoring requests. */
#include "api/npy_rows.h"

#include <stdint.h>

#include "../testing.h"

#include "../fuzz/columns.h"

struct bytes {
    char data[2048];
    size_t size;
};

/* As numpy.save writes it. */
static struct bytes make_npy(const char *type, const char *shape, const void *values,
                             size_t size)
{
    enum { START = 128, PREFIX = 10 };
    struct bytes out = {.size = START + size};
    memcpy(out.data, "\x93NUMPY\x01\x00\x76\x00", PREFIX);
    int used =
        snprintf(out.data + PREFIX, START - PREFIX,
                 "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    memset(out.data + PREFIX + used, ' ', (size_t)(START - PREFIX - used));
    out.data[START - 1] = '\n';
    memcpy(out.data + START, values, size);
    return out;
}

static void assert_decodes(const struct rows_columns *columns, struct bytes body,
                           size_t rows, const float *values)
{
    struct rows out = {.x = NULL};
    for (size_t piece = 1; piece < 300; piece += 97) {
        assert_true(test_decode_npy(&out, columns, body.data, body.size, piece));
        assert_int_equal(out.count, rows);
        for (size_t i = 0; i < rows * columns->count; i++) {
            assert_true(isnan(values[i]) ? isnan(out.x[i])
                                         : fabsf(out.x[i] - values[i]) < 1e-6F);
        }
    }
    rows_done(&out);
}

static void assert_refused(const struct rows_columns *columns, struct bytes body,
                           unsigned status, const char *detail)
{
    struct rows out = {.x = NULL};
    assert_false(test_decode_npy(&out, columns, body.data, body.size, 100));
    assert_int_equal(out.fault.status, status);
    if (strstr(out.fault.detail, detail) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", detail, out.fault.detail);
    }
    rows_done(&out);
}

static void rows_of_numbers_are_rows(void **state)
{
    const float values[] = {1, NAN, 3, -4, 5, 6};
    const double doubles[] = {1, (double)NAN, 3, -4, 5, 6};
    const int32_t integers[] = {1, 2, 3, -4, 5, 6};
    const float whole[] = {1, 2, 3, -4, 5, 6};
    (void)state;
    assert_decodes(&test_columns, make_npy("<f4", "(2, 3)", values, sizeof values), 2,
                   values);
    assert_decodes(&test_columns, make_npy("<f8", "(2, 3)", doubles, sizeof doubles), 2,
                   values);
    assert_decodes(&test_columns, make_npy("<i4", "(2, 3)", integers, sizeof integers), 2,
                   whole);
}

static void bytes_of_images_are_pixels_and_bytes_of_rows_are_not(void **state)
{
    const unsigned char bytes[] = {0, 51, 255, 102, 153, 204};
    const float pixels[] = {0, 0.2F, 1, 0.4F, 0.6F, 0.8F};
    const float numbers[] = {0, 51, 255, 102, 153, 204};
    (void)state;
    assert_decodes(&test_image, make_npy("|u1", "(1, 2, 3)", bytes, 6), 1, pixels);
    assert_decodes(&test_image, make_npy("|u1", "(1, 1, 2, 3)", bytes, 6), 1, pixels);
    assert_decodes(&test_image, make_npy("|u1", "(1, 6)", bytes, 6), 1, numbers);
}

static void channels_come_first(void **state)
{
    float values[24];
    (void)state;
    for (size_t i = 0; i < 24; i++) {
        values[i] = (float)i;
    }
    assert_decodes(&test_channels, make_npy("<f4", "(2, 2, 3, 2)", values, sizeof values),
                   2, values);
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
    static const float zeros[24];
    (void)state;
    assert_refused(&test_columns, make_npy("<f4", "(2, 4)", zeros, 32), 422,
                   "the array's shape is (2, 4); a row for each sample is expected, and "
                   "the model has 3 features");
    assert_refused(&test_columns, make_npy("<f4", "(3,)", zeros, 12), 422, "(3,)");
    assert_refused(&test_columns, make_npy("<f4", "()", zeros, 4), 422, "shape is ()");
    assert_refused(&test_image, make_npy("<f4", "(1, 3, 2)", zeros, 24), 422,
                   "as images of 2 x 3");
    assert_refused(&test_image, make_npy("<f4", "(1, 2, 1, 3)", zeros, 24), 422,
                   "(1, 2, 1, 3)");
    assert_refused(&test_channels, make_npy("<f4", "(1, 3, 4)", zeros, 48), 422,
                   "as images of 2 x 3 x 2");
    assert_refused(&test_channels, make_npy("<f4", "(1, 3, 2, 2)", zeros, 48), 422,
                   "channels come first: array.transpose(0, 3, 1, 2)");
    assert_refused(&test_columns, make_npy("<f4", "(0, 3)", zeros, 0), 422, "no rows");
}

static void limits_are_held_before_memory_is_taken(void **state)
{
    static const char zeros[TEST_ROWS_MAX * 3 + 3];
    struct rows_columns wide = test_columns;
    (void)state;
    assert_refused(&test_columns, make_npy("|i1", "(41, 3)", zeros, 41 * 3), 413,
                   "limit of 40 (limits.rows)");
    assert_refused(&test_columns, make_npy("<f8", "(99999999999, 3)", zeros, 8), 413,
                   "limits.rows");
    wide.count = 1000;
    assert_refused(&wide, make_npy("|i1", "(1, 999)", zeros, 1), 422, "1000 features");
}

static void what_is_no_array_is_malformed(void **state)
{
    static const float values[3];
    struct bytes body = make_npy("<f4", "(1, 3)", values, sizeof values);
    struct bytes none = {.size = 0};
    (void)state;
    assert_refused(&test_columns, none, 400, "the body: ends within its header");
    body.size -= 1;
    assert_refused(&test_columns, body, 400, "announces 12 bytes of values, but 11 came");
    body.size += 2;
    assert_refused(&test_columns, body, 400, "but 13 came");
    body.data[1] = 'X';
    assert_refused(&test_columns, body, 400, "the body: not a .npy file");
    assert_refused(&test_columns, make_npy(">f4", "(1, 3)", values, 12), 400,
                   "big-endian");
}

static void values_beyond_floats_are_named(void **state)
{
    const float infinite[] = {1, 2, 3, 4, INFINITY, 6};
    const double large[] = {1, 2, 1e39};
    (void)state;
    assert_refused(&test_columns, make_npy("<f4", "(2, 3)", infinite, 24), 422,
                   "the body: the value inf (row 1, column 1, from 0) is infinite");
    assert_refused(&test_columns, make_npy("<f8", "(1, 3)", large, 24), 422,
                   "beyond the range of a float");
}

static void a_large_body_does_not_stay_resident(void **state)
{
    struct rows rows = {.x = NULL};
    struct npy_rows npy = {.rows = NULL};
    static const char zeros[4096];
    struct rows_limits limits = {.rows = 1, .bytes = 12};
    (void)state;
    rows_reset(&rows, &test_columns, &limits);
    npy_rows_start(&npy, &rows);
    npy_rows_feed(&npy, zeros, sizeof zeros);
    npy_rows_trim(&npy, 1 << 20);
    assert_non_null(npy.body.data);
    npy_rows_trim(&npy, 1024);
    assert_null(npy.body.data);
    rows_done(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_numbers_are_rows),
        cmocka_unit_test(bytes_of_images_are_pixels_and_bytes_of_rows_are_not),
        cmocka_unit_test(channels_come_first),
        cmocka_unit_test(shapes_that_do_not_fit_are_refused),
        cmocka_unit_test(limits_are_held_before_memory_is_taken),
        cmocka_unit_test(what_is_no_array_is_malformed),
        cmocka_unit_test(values_beyond_floats_are_named),
        cmocka_unit_test(a_large_body_does_not_stay_resident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
