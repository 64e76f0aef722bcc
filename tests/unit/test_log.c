/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <jansson.h>

#include "base/log.h"

static const struct log_field fields[] = {
    LOG_TEXT("plain", "abc"),        LOG_TEXT("quoted", "a b\"\n\xff"),
    LOG_INTEGER("count", -3),        LOG_NUMBER("seconds", 0.25),
    LOG_NUMBER("none", (double)NAN), {.name = NULL},
};

static void format(struct buffer *line, enum log_format form)
{
    buffer_clear(line);
    log_format_line(line, form, LOG_LEVEL_WARNING, "it happened", fields);
    assert_int_equal(line->data[line->length - 1], '\n');
    assert_null(memchr(line->data, '\n', line->length - 1));
}

static void json_lines_are_json(void **state)
{
    struct buffer line = {0};
    (void)state;
    format(&line, LOG_FORMAT_JSON);
    json_t *json = json_loadb(line.data, line.length, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(json, "message")),
                        "it happened");
    assert_string_equal(json_string_value(json_object_get(json, "quoted")),
                        "a b\"\n\xEF\xBF\xBD");
    assert_int_equal(json_integer_value(json_object_get(json, "count")), -3);
    assert_near(json_real_value(json_object_get(json, "seconds")), 0.25, 0);
    assert_true(json_is_null(json_object_get(json, "none")));
    json_decref(json);
    buffer_done(&line);
}

static void text_lines_quote_what_could_be_mistaken(void **state)
{
    struct buffer line = {0};
    (void)state;
    format(&line, LOG_FORMAT_TEXT);
    buffer_append(&line, "", 1);
    assert_non_null(
        strstr(line.data, "Z warning: it happened plain=abc quoted=\"a b\\\""));
    assert_non_null(strstr(line.data, " count=-3 seconds=0.25 none=null\n"));
    buffer_done(&line);
}

static void journal_lines_start_with_the_priority(void **state)
{
    struct buffer line = {0};
    (void)state;
    format(&line, LOG_FORMAT_JOURNAL);
    assert_memory_equal(line.data, "<4>warning: it happened plain=abc", 33);
    buffer_done(&line);
}

static void levels_below_the_one_set_are_off(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_WARNING, LOG_FORMAT_JSON);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_true(log_enabled(LOG_LEVEL_WARNING));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(text_lines_quote_what_could_be_mistaken),
        cmocka_unit_test(journal_lines_start_with_the_priority),
        cmocka_unit_test(levels_below_the_one_set_are_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
