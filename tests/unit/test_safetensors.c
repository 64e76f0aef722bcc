/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "../testing.h"

#include "model/safetensors.h"
#include "model/safetensors_writer.h"

/* A file with this header and `data_size` zero bytes of data. */
static struct buffer file_of(const char *header, size_t data_size)
{
    struct buffer file = {0};
    uint64_t length = strlen(header);
    char zeros[256] = {0};
    buffer_append(&file, &length, sizeof length);
    buffer_append(&file, header, length);
    buffer_append(&file, zeros, data_size);
    return file;
}

static void assert_refused(struct buffer file, int status, const char *part)
{
    struct safetensors *parsed = NULL;
    struct deepsad_error error = {0};
    assert_int_equal(safetensors_parse(&parsed, &file, &error), status);
    assert_error_says(error, part);
    assert_null(parsed);
}

static struct buffer written(void)
{
    static const float matrix[] = {1, 2, 3, 4, 5, 6}, vector[] = {-1.5F, 0};
    struct buffer file = {0};
    struct deepsad_error error = {0};
    struct safetensors_writer *writer = safetensors_writer_new();
    safetensors_writer_add(writer, "m", 2, 3, matrix);
    safetensors_writer_add(writer, "v", 2, 0, vector);
    safetensors_writer_metadata(writer, "note", "\"quoted\"");
    assert_int_equal(safetensors_writer_finish(writer, &file, &error), DEEPSAD_OK);
    safetensors_writer_free(writer);
    return file;
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    float m[6], v[2];
    struct safetensors *parsed;
    struct deepsad_error error = {0};
    struct buffer file = written();
    assert_int_equal(safetensors_parse(&parsed, &file, &error), DEEPSAD_OK);
    assert_int_equal(safetensors_count(parsed), 2);
    assert_int_equal(safetensors_copy(m, parsed, "m", 2, 3, &error), DEEPSAD_OK);
    assert_int_equal(safetensors_copy(v, parsed, "v", 2, 0, &error), DEEPSAD_OK);
    assert_true(m[5] == 6 && v[0] == -1.5F);
    assert_string_equal(safetensors_metadata(parsed, "note"), "\"quoted\"");
    assert_int_equal(safetensors_copy(m, parsed, "m", 3, 2, &error), DEEPSAD_CORRUPT);
    safetensors_free(parsed);
}

static void tensors_start_at_an_aligned_offset(void **state)
{
    (void)state;
    struct buffer file = written();
    uint64_t length;
    memcpy(&length, file.data, sizeof length);
    assert_int_equal((length + sizeof length) % 64, 0);
    buffer_done(&file);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct buffer whole = written();
    for (size_t size = 0; size < whole.length; size++) {
        struct buffer cut = {0};
        struct safetensors *parsed = NULL;
        buffer_append(&cut, whole.data, size);
        assert_int_equal(safetensors_parse(&parsed, &cut, NULL), DEEPSAD_CORRUPT);
    }
    buffer_done(&whole);
}

#define ENTRY(shape, offsets) \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void each_fault_has_its_own_message(void **state)
{
    (void)state;
    assert_refused(file_of("[]", 0), DEEPSAD_CORRUPT, "not a JSON object");
    assert_refused(file_of("{\"a\":1", 0), DEEPSAD_CORRUPT, "line 1");
    assert_refused(file_of("{\"a\":" ENTRY("[1]", "[0,4]") ",\"a\":1}", 4),
                   DEEPSAD_CORRUPT, "duplicate");
    assert_refused(file_of("{\"a\":[]}", 0), DEEPSAD_CORRUPT, "not an object of dtype");
    assert_refused(file_of("{\"a\":" ENTRY("[1]", "[0,8]") "}", 8), DEEPSAD_CORRUPT,
                   "needs 1 floats");
    assert_refused(file_of("{\"a\":" ENTRY("[2]", "[0,8]") "}", 4), DEEPSAD_CORRUPT,
                   "cut off");
    assert_refused(file_of("{\"a\":" ENTRY("[1]", "[4,8]") "}", 8), DEEPSAD_CORRUPT,
                   "hole");
    assert_refused(file_of("{\"a\":" ENTRY("[1]", "[0,4]") "}", 8), DEEPSAD_CORRUPT,
                   "belong to none");
    assert_refused(
        file_of("{\"a\":" ENTRY("[2]", "[0,8]") ",\"b\":" ENTRY("[1]", "[4,8]") "}", 8),
        DEEPSAD_CORRUPT, "overlaps");
    assert_refused(file_of("{\"a\":" ENTRY("[-1]", "[0,4]") "}", 4), DEEPSAD_CORRUPT,
                   "integers >= 0");
    assert_refused(file_of("{\"__metadata__\":{\"k\":1}}", 0), DEEPSAD_CORRUPT,
                   "not a string");
}

static void shapes_that_overflow_are_refused(void **state)
{
    (void)state;
    assert_refused(file_of("{\"a\":" ENTRY("[4294967296,4294967296]", "[0,4]") "}", 4),
                   DEEPSAD_CORRUPT, "overflows");
    assert_refused(file_of("{\"a\":" ENTRY("[4611686018427387905]", "[0,4]") "}", 4),
                   DEEPSAD_CORRUPT, "needs");
}

static void other_types_are_unsupported_not_corrupt(void **state)
{
    (void)state;
    assert_refused(
        file_of("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4),
        DEEPSAD_UNSUPPORTED, "F16");
}

static void a_huge_header_length_is_refused_before_it_is_read(void **state)
{
    (void)state;
    struct buffer file = file_of("{}", 0);
    uint64_t huge = UINT64_MAX;
    memcpy(file.data, &huge, sizeof huge);
    assert_refused(file, DEEPSAD_CORRUPT, "limit");
}

static void a_value_that_is_not_finite_is_refused(void **state)
{
    (void)state;
    struct buffer file = file_of("{\"a\":" ENTRY("[2]", "[0,8]") "}", 8);
    float nan = NAN;
    memcpy(file.data + file.length - sizeof nan, &nan, sizeof nan);
    assert_refused(file, DEEPSAD_CORRUPT, "element 1 is NaN");
}

static void tensors_of_any_rank_are_written_and_read(void **state)
{
    (void)state;
    static const size_t shape[] = {2, 1, 3, 3}, other[] = {1, 2, 3, 3};
    float weights[18], read[18];
    for (size_t i = 0; i < 18; i++) {
        weights[i] = (float)i;
    }
    struct buffer file = {0};
    struct safetensors *parsed;
    struct deepsad_error error = {0};
    struct safetensors_writer *writer = safetensors_writer_new();
    safetensors_writer_add_shape(writer, "w", 4, shape, weights);
    safetensors_writer_borrow(writer, "b", 6, 3, weights);
    assert_int_equal(safetensors_writer_finish(writer, &file, &error), DEEPSAD_OK);
    safetensors_writer_free(writer);
    assert_int_equal(safetensors_parse(&parsed, &file, &error), DEEPSAD_OK);
    assert_int_equal(safetensors_copy_shape(read, parsed, "w", 4, shape, &error), 0);
    assert_memory_equal(read, weights, sizeof read);
    assert_int_equal(safetensors_copy_shape(read, parsed, "w", 4, other, &error),
                     DEEPSAD_CORRUPT);
    assert_error_says(error, "not the 1 x 2 x 3 x 3 that the manifest");
    assert_int_equal(safetensors_copy(read, parsed, "b", 6, 3, NULL), DEEPSAD_OK);
    safetensors_free(parsed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(tensors_start_at_an_aligned_offset),
        cmocka_unit_test(tensors_of_any_rank_are_written_and_read),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(each_fault_has_its_own_message),
        cmocka_unit_test(shapes_that_overflow_are_refused),
        cmocka_unit_test(other_types_are_unsupported_not_corrupt),
        cmocka_unit_test(a_huge_header_length_is_refused_before_it_is_read),
        cmocka_unit_test(a_value_that_is_not_finite_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
