/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "tool/card.h"
#include "tool/terminal.h"

static void assert_renders(const char *json, const char *text)
{
    json_t *object = json_loads(json, 0, NULL);
    assert_non_null(object);
    struct buffer out = {0};
    card_render(&out, object, 0);
    char *rendered = buffer_take_string(&out);
    assert_string_equal(rendered, text);
    free(rendered);
    json_decref(object);
}

static void test_values_are_aligned_behind_their_names(void **state)
{
    (void)state;
    assert_renders("{\"a\": 1, \"alpha_min\": 0.25, \"x\": \"y\"}", "a          1\n"
                                                                    "alpha min  0.25\n"
                                                                    "x          y\n");
}

static void test_each_kind_of_value_has_a_text(void **state)
{
    (void)state;
    assert_renders("{\"a\": true, \"b\": false, \"c\": null, \"d\": [], \"e\": {}}",
                   "a  yes\nb  no\nc  none\nd  none\ne  none\n");
    assert_renders("{\"a\": [1, [2, 3], \"x\"]}", "a  1, 2, 3, x\n");
}

static void test_objects_are_indented_blocks(void **state)
{
    (void)state;
    assert_renders("{\"long_name\": 1, \"data\": {\"rows\": 3, \"in\": {\"k\": 1}}}",
                   "long name  1\n"
                   "data\n"
                   "  rows  3\n"
                   "  in\n"
                   "    k  1\n");
    assert_renders("{\"parts\": [{\"k\": 1}, {\"k\": 2}]}",
                   "parts 1\n  k  1\nparts 2\n  k  2\n");
}

static void test_long_lists_are_cut(void **state)
{
    (void)state;
    assert_renders("{\"n\": [0,1,2,3,4,5,6,7,8,9,10,11,12,13]}",
                   "n  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ... (14 in all)\n");
}

static void test_counts_have_their_thousands_apart(void **state)
{
    (void)state;
    char out[TERMINAL_COUNT_SIZE];
    assert_string_equal(terminal_count(out, 0), "0");
    assert_string_equal(terminal_count(out, 999), "999");
    assert_string_equal(terminal_count(out, 1000), "1,000");
    assert_string_equal(terminal_count(out, 49097), "49,097");
    assert_string_equal(terminal_count(out, SIZE_MAX), "18,446,744,073,709,551,615");
}

static void test_numbers_that_json_lacks_are_null(void **state)
{
    (void)state;
    json_t *none = terminal_json_number((double)NAN);
    json_t *half = terminal_json_number(0.5);
    assert_true(json_is_null(none));
    assert_true(json_real_value(half) == 0.5);
    json_decref(none);
    json_decref(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_aligned_behind_their_names),
        cmocka_unit_test(test_each_kind_of_value_has_a_text),
        cmocka_unit_test(test_objects_are_indented_blocks),
        cmocka_unit_test(test_long_lists_are_cut),
        cmocka_unit_test(test_counts_have_their_thousands_apart),
        cmocka_unit_test(test_numbers_that_json_lacks_are_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
