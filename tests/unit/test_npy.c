/* SPDX-License-Identifier: Apache-2.0 */
#include "data/npy.h"

#include "../files.h"

struct bytes {
    char data[1024];
    size_t size;
};

/* A file as numpy.save writes it: the header is padded to a multiple of 64 bytes. */
static struct bytes make_npy(int version, const char *header, const void *values,
                             size_t size)
{
    struct bytes out = {.size = 0};
    size_t prefix = version == 1 ? 10 : 12;
    size_t length = (prefix + strlen(header) + 1 + 63) / 64 * 64 - prefix;
    memcpy(out.data, "\x93NUMPY", 6);
    out.data[6] = (char)version;
    out.data[8] = (char)(length & 0xff);
    out.data[9] = (char)(length >> 8);
    memset(out.data + prefix, ' ', length);
    memcpy(out.data + prefix, header, strlen(header));
    out.data[prefix + length - 1] = '\n';
    out.size = prefix + length;
    if (size > 0) {
        memcpy(out.data + out.size, values, size);
        out.size += size;
    }
    return out;
}

static struct bytes make_plain(const char *type, const char *shape, const void *values,
                               size_t size)
{
    char header[128];
    snprintf(header, sizeof header,
             "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    return make_npy(1, header, values, size);
}

static int read_bytes(struct deepsad_dataset *out, const struct bytes *bytes,
                      const char *labels, struct deepsad_error *error)
{
    struct stream stream;
    const struct deepsad_read_options options = {.labels = labels};
    stream_open_memory(&stream, "t.npy", bytes->data, bytes->size);
    return npy_read(out, &stream, &options, error);
}

static void assert_reads(struct bytes bytes, size_t rows, size_t features,
                         const float *values)
{
    struct deepsad_dataset data = {0};
    struct deepsad_error error = {0};
    if (read_bytes(&data, &bytes, NULL, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(data.rows, rows);
    assert_int_equal(data.features, features);
    assert_memory_equal(data.x, values, rows * features * sizeof *values);
    deepsad_dataset_clear(&data);
}

static void assert_refused(struct bytes bytes, const char *message)
{
    struct deepsad_dataset data = {.rows = 77};
    struct deepsad_error error = {0};
    assert_int_equal(read_bytes(&data, &bytes, NULL, &error), DEEPSAD_INVALID);
    assert_error_says(error, message);
    assert_int_equal(data.rows, 77);
}

static void every_type_is_read(void **state)
{
    (void)state;
    const float expected[] = {1, 2, 3, -4};
    const float f4[] = {1, 2, 3, -4};
    const double f8[] = {1, 2, 3, -4};
    const int32_t i4[] = {1, 2, 3, -4};
    const int64_t i8[] = {1, 2, 3, -4};
    const int8_t i1[] = {1, 2, 3, -4};
    const uint8_t u1[] = {1, 2, 3, 255};
    assert_reads(make_plain("<f4", "(2, 2)", f4, sizeof f4), 2, 2, expected);
    assert_reads(make_plain("<f8", "(1, 4)", f8, sizeof f8), 1, 4, expected);
    assert_reads(make_plain("<i4", "(4, 1)", i4, sizeof i4), 4, 1, expected);
    assert_reads(make_plain("<i8", "(2, 2)", i8, sizeof i8), 2, 2, expected);
    assert_reads(make_plain("|i1", "(2, 2)", i1, sizeof i1), 2, 2, expected);
    assert_reads(make_plain("|u1", "(2, 2)", u1, sizeof u1), 2, 2,
                 (const float[]){1, 2, 3, 255});
}

static void every_version_and_way_to_write_the_header_is_read(void **state)
{
    (void)state;
    const float values[] = {1, 2};
    const char *headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }",
        "{'descr':'<f4','fortran_order':False,'shape':(2,1)}",
        "{ 'shape' : ( 2 , 1 , ) , \"descr\" : \"<f4\" , 'fortran_order' : False }"};
    for (size_t i = 0; i < 3; i++) {
        for (int version = 1; version <= 3; version++) {
            assert_reads(make_npy(version, headers[i], values, sizeof values), 2, 1,
                         values);
        }
    }
}

static void bytes_of_images_are_scaled_floats_are_not(void **state)
{
    (void)state;
    const uint8_t pixels[] = {0, 51, 102, 255, 0, 0, 0, 255};
    const float scaled[] = {0, 51 / 255.0f, 102 / 255.0f, 1, 0, 0, 0, 1};
    assert_reads(make_plain("|u1", "(2, 2, 2)", pixels, 8), 2, 4, scaled);
    assert_reads(make_plain("|u1", "(1, 2, 2, 2)", pixels, 8), 1, 8, scaled);
    const float floats[] = {0, 51, 102, 255};
    assert_reads(make_plain("<f4", "(1, 2, 2)", floats, 16), 1, 4, floats);
}

static void images_keep_their_shape(void **state)
{
    (void)state;
    const uint8_t pixels[12] = {0};
    struct deepsad_dataset data = {0};
    struct bytes bytes = make_plain("|u1", "(1, 2, 3, 2)", pixels, 12);
    assert_int_equal(read_bytes(&data, &bytes, NULL, NULL), DEEPSAD_OK);
    assert_true(data.channels == 2 && data.height == 3 && data.width == 2);
    deepsad_dataset_clear(&data);
    bytes = make_plain("|u1", "(2, 3, 2)", pixels, 12);
    assert_int_equal(read_bytes(&data, &bytes, NULL, NULL), DEEPSAD_OK);
    assert_true(data.channels == 1 && data.height == 3 && data.width == 2);
    deepsad_dataset_clear(&data);
    bytes = make_plain("|u1", "(2, 6)", pixels, 12);
    assert_int_equal(read_bytes(&data, &bytes, NULL, NULL), DEEPSAD_OK);
    assert_true(data.channels == 0 && data.height == 0 && data.width == 0);
    deepsad_dataset_clear(&data);
}

static void nan_is_missing_infinite_and_huge_values_are_refused(void **state)
{
    (void)state;
    const float values[] = {1, NAN};
    assert_reads(make_plain("<f4", "(1, 2)", values, 8), 1, 2, values);
    const float infinite[] = {1, 2, 3, -INFINITY};
    assert_refused(make_plain("<f4", "(2, 2)", infinite, 16),
                   "t.npy: the value -inf (row 1, column 1, from 0) is infinite");
    const double huge[] = {1, 1e39};
    assert_refused(make_plain("<f8", "(1, 2)", huge, 16),
                   "the value 1e+39 (row 0, column 1, from 0) is beyond the range");
}

static void other_types_and_orders_are_refused_with_the_way_out(void **state)
{
    (void)state;
    const float values[] = {1, 2};
    assert_refused(make_plain(">f4", "(1, 2)", values, 8),
                   "type >f4 (big-endian); f4, f8, i1, u1, i4 and i8, little-endian, are "
                   "read: save array.astype('<f4')");
    assert_refused(make_plain("<f2", "(1, 2)", values, 8), "values of type <f2;");
    assert_refused(make_plain("|O", "(1, 2)", values, 8), "values of type |O;");
    assert_refused(make_npy(1,
                            "{'descr': [('a', '<f4')], 'fortran_order': False, "
                            "'shape': (2,), }",
                            values, 8),
                   "a structured array");
    assert_refused(make_npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}",
                            values, 8),
                   "in Fortran order; save numpy.ascontiguousarray(array)");
}

static void other_shapes_are_refused(void **state)
{
    (void)state;
    const float values[] = {1, 2};
    assert_refused(make_plain("<f4", "(2,)", values, 8), "an array of 1 dimension; rows");
    assert_refused(make_plain("<f4", "()", values, 4), "an array of 0 dimensions");
    assert_refused(make_plain("<f4", "(1, 1, 1, 1, 2)", values, 8), "more than 4 dim");
    assert_refused(make_plain("<f4", "(0, 2)", values, 0), "the array is empty");
    assert_refused(make_plain("<f4", "(2, 0)", values, 0), "the array is empty");
    assert_refused(make_plain("<f4", "(4294967296, 4294967296)", values, 8),
                   "more values than memory can hold");
    assert_refused(make_plain("<f4", "(99999999999999999999, 1)", values, 8),
                   "malformed at shape");
    assert_refused(make_plain("<f4", "(1000000000, 1000)", values, 8),
                   "ends within its values");
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    const float values[] = {1, 2};
    struct bytes good = make_plain("<f4", "(1, 2)", values, 8);
    for (struct bytes cut = good; cut.size-- > 0;) {
        assert_refused(cut,
                       cut.size < 128 ? "ends within its header" : "within its values");
    }
    good.size++;
    assert_refused(good, "bytes follow behind the data");
    good.data[6] = 4;
    assert_refused(good, "not a .npy file of version 1 to 3");
    const char *headers[] = {"",
                             "x",
                             "{",
                             "{'descr'",
                             "{'descr': '<f4', 'shape': (1, 2)}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': 12}",
                             "{'descr': '<f4', 'fortran_order': No, 'shape': (1, 2)}",
                             "{'nonsense': '<f4'}",
                             "{'descr': '<f4"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct deepsad_dataset data;
        struct deepsad_error error = {0};
        struct bytes bytes = make_npy(1, headers[i], values, 8);
        assert_int_equal(read_bytes(&data, &bytes, NULL, &error), DEEPSAD_INVALID);
        assert_true(strstr(error.message, "malformed") ||
                    strstr(error.message, "structur"));
    }
}

/* ---- Labels ---- */

static int read_with_labels(void **state, struct deepsad_dataset *out, const char *type,
                            const char *shape, const void *values, size_t size,
                            struct deepsad_error *error)
{
    const float x[] = {5, 6, 7};
    struct bytes data = make_plain("<f4", "(3, 1)", x, sizeof x);
    struct bytes labels = make_plain(type, shape, values, size);
    const char *path = files_write(state, "y.npy", labels.data, labels.size);
    ((struct files *)*state)->count = 0; /* the name is used again */
    int status = read_bytes(out, &data, path, error);
    unlink(path);
    return status;
}

static void labels_are_read_from_a_file_of_their_own(void **state)
{
    struct deepsad_dataset data = {0};
    const int64_t values[] = {1, 0, -1};
    const char *shapes[] = {"(3,)", "(3, 1)"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            read_with_labels(state, &data, "<i8", shapes[i], values, sizeof values, NULL),
            DEEPSAD_OK);
        assert_memory_equal(data.labels, ((signed char[]){1, 0, -1}), 3);
        deepsad_dataset_clear(&data);
    }
    const int8_t narrow[] = {-1, -1, 1};
    assert_int_equal(
        read_with_labels(state, &data, "|i1", "(3,)", narrow, sizeof narrow, NULL),
        DEEPSAD_OK);
    assert_memory_equal(data.labels, narrow, 3);
    deepsad_dataset_clear(&data);
}

static void assert_labels_refused(void **state, const char *shape, const float *values,
                                  size_t count, const char *message)
{
    struct deepsad_dataset data = {.rows = 77};
    struct deepsad_error error = {0};
    assert_int_equal(read_with_labels(state, &data, "<f4", shape, values,
                                      count * sizeof *values, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, message);
    assert_int_equal(data.rows, 77);
}

static void labels_that_do_not_fit_are_refused(void **state)
{
    assert_labels_refused(
        state, "(2,)", (const float[]){1, 1}, 2,
        "labels must be an array of shape (3), one for each row of t.npy");
    assert_labels_refused(state, "(1, 3)", (const float[]){1, 1, 1}, 3, "labels must be");
    assert_labels_refused(state, "(3,)", (const float[]){1, 2, 0}, 3,
                          "label 2 of row 1 (from 0); labels are 0 (unlabeled)");
    assert_labels_refused(state, "(3,)", (const float[]){1, 0, -0.5f}, 3, "label -0.5");
    assert_labels_refused(state, "(3,)", (const float[]){NAN, 0, 0}, 3, "label nan");
    assert_labels_refused(state, "(3,)", (const float[]){1, 0}, 2, "ends within its val");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(every_version_and_way_to_write_the_header_is_read),
        cmocka_unit_test(bytes_of_images_are_scaled_floats_are_not),
        cmocka_unit_test(images_keep_their_shape),
        cmocka_unit_test(nan_is_missing_infinite_and_huge_values_are_refused),
        cmocka_unit_test(other_types_and_orders_are_refused_with_the_way_out),
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(labels_are_read_from_a_file_of_their_own),
        cmocka_unit_test(labels_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
