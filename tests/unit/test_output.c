/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/output.h"

#include "../testing.h"

#include "data/npy.h"

static void an_array_is_read_again_by_the_reader(void **state)
{
    const float values[] = {1, -2.5F, 3e-9F, 4, 5, 6};
    struct buffer out = {0};
    struct stream stream;
    struct deepsad_dataset data = {0};
    const struct deepsad_read_options options = {0};
    (void)state;
    output_append_npy(&out, 2, 3);
    assert_int_equal(out.length, 128);
    buffer_append(&out, values, sizeof values);
    stream_open_memory(&stream, "o.npy", out.data, out.length);
    assert_int_equal(npy_read(&data, &stream, &options, NULL), DEEPSAD_OK);
    assert_int_equal(data.rows, 2);
    assert_memory_equal(data.x, values, sizeof values);
    deepsad_dataset_clear(&data);
    buffer_done(&out);
}

static void the_header_has_room_for_any_shape(void **state)
{
    struct buffer out = {0};
    (void)state;
    output_append_npy(&out, SIZE_MAX, SIZE_MAX);
    assert_int_equal(out.length, 128);
    assert_int_equal(out.data[127], '\n');
    assert_int_equal(out.data[126], ' ');
    buffer_done(&out);
}

static void paths_end_in_one_of_two_extensions(void **state)
{
    (void)state;
    assert_true(output_check("a.csv") && !output_is_npy("a.csv"));
    assert_true(output_check("a.npy") && output_is_npy("a.npy"));
    assert_false(output_check(".npy"));
    assert_false(output_check("a.npy.gz"));
}

static void numbers_have_the_fewest_digits(void **state)
{
    struct buffer out = {0};
    (void)state;
    output_append_float(&out, 0.1F);
    assert_int_equal(out.length, 3);
    assert_memory_equal(out.data, "0.1", 3);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_is_read_again_by_the_reader),
        cmocka_unit_test(the_header_has_room_for_any_shape),
        cmocka_unit_test(paths_end_in_one_of_two_extensions),
        cmocka_unit_test(numbers_have_the_fewest_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
