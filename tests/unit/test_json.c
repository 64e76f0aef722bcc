/* SPDX-License-Identifier: Apache-2.0 */
/* The same trees and the same faults as json_loadb(), however the text falls into pieces.
 * That memory may run out meanwhile is shown from outside (tests/faults/sweep.py). */
#include "base/json.h"

#include "../testing.h"

#include <stdlib.h>

#include "base/buffer.h"

static void assert_alike(const char *text, size_t length)
{
    json_error_t expected_fault = {0}, fault = {0};
    bool no_memory = false;
    json_t *expected = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                                  &expected_fault);
    json_t *json = json_parse_text(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                                   &fault, &no_memory);
    assert_false(json == NULL && no_memory);
    assert_true((json == NULL) == (expected == NULL));
    if (json == NULL) {
        assert_string_equal(fault.text, expected_fault.text);
        assert_int_equal(fault.line, expected_fault.line);
        assert_int_equal(fault.column, expected_fault.column);
        assert_int_equal(fault.position, expected_fault.position);
        assert_int_equal(json_error_code(&fault), json_error_code(&expected_fault));
    } else {
        assert_true(json_equal(json, expected));
    }
    json_decref(json);
    json_decref(expected);
}

static void any_text_is_read_alike(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[1, 2.5, -3e7, true, null, \"a\"]",
        "",
        " ",
        "{\"a\": 1, \"a\": 2}",
        "[1, 2",
        "{\"a\"",
        "nul",
        "-",
        "[1]x",
        "\n\n  {\"a\": NaN}",
        "\"\\u12\"",
        "[\"\xff\"]",
        "1e999",
        "[[[[]]]]",
        "\"no end",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_alike(texts[i], strlen(texts[i]));
    }
    assert_alike("1\0", 2);
}

/* Tokens longer than a piece, characters of several bytes across its border. */
static void long_tokens_are_read_alike(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 70; shift++) {
        struct buffer text = {0};
        buffer_printf(&text, "[%*s\"", (int)shift, "");
        for (size_t i = 0; i < 100; i++) {
            buffer_append_text(&text, "\u20ac\\u20ac\\\"x");
        }
        buffer_append_text(&text, "\", 0.");
        for (size_t i = 0; i < 300; i++) {
            buffer_append_text(&text, "7");
        }
        buffer_append_text(&text, "]");
        assert_alike(text.data, text.length);
        assert_alike(text.data, text.length - 1);
        buffer_done(&text);
    }
}

static void a_fault_names_its_place(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    json_t *json;
    assert_int_equal(json_parse(&json, "{\n1", 3, 0, "header", &error), DEEPSAD_CORRUPT);
    assert_error_says(error, "header, line 2, column 1: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_text_is_read_alike),
        cmocka_unit_test(long_tokens_are_read_alike),
        cmocka_unit_test(a_fault_names_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
