/* SPDX-License-Identifier: Apache-2.0 */
/* JSON bodies: what is read, and where what is refused is said to be. */
#include "../testing.h"

#include "api/body.h"

static unsigned parse(const char *text, size_t length, char *detail)
{
    unsigned status = 0;
    json_t *json = body_parse_text(text, length, &status, detail);
    assert_int_equal(json == NULL, status != 0);
    json_decref(json);
    return status;
}

static void a_body_comes_in_parts(void **state)
{
    struct request request = {.path = "/"};
    struct reply reply = {0};
    (void)state;
    assert_true(body_begin(NULL, &request, &reply));
    assert_true(body_is_empty(&request));
    body_collect(NULL, &request, "{\"a\"", 4);
    body_collect(NULL, &request, ":[1, 12345678901234567890]}", 27);
    json_t *json = body_parse(&request, &reply);
    const json_t *list = json_object_get(json, "a");
    assert_near(json_real_value(json_array_get(list, 0)), 1, 0);
    assert_near(json_real_value(json_array_get(list, 1)), 12345678901234567890.0, 0);
    json_decref(json);
    body_end(NULL, &request);
    assert_null(request.state);
    body_end(NULL, &request);
}

static void malformed_bodies_are_400_with_line_and_column(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        const char *place;
    } cases[] = {
        {"", 0, "line 1, column 0: the body is empty"},
        {"{\"a\":1,}", 8, "line 1, column 8: "},
        {"{\"a\":\n1 2}", 10, "line 2, column 3: "},
        {"{\"a\":1,\"a\":2}", 13, "line 1, column 10: duplicate"},
        {"1\0", 2, "line 1, column 2: a NUL byte"},
        {"[\"\xff\"]", 5, "line 1, column "},
        {"[[[[[[[[[[[[[[[[[", 17, "line 1, column 17: nested deeper than 16"},
        {"{} {}", 5, "line 1, column 4: "},
    };
    char detail[BODY_DETAIL_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].text, cases[i].length, detail), 400);
        assert_memory_equal(detail, cases[i].place, strlen(cases[i].place));
    }
}

static void numbers_that_are_none_are_422(void **state)
{
    static const char *const texts[] = {"[1, NaN]", "[Infinity]", "[-Infinity]",
                                        "[1e999]", "{\"x\":nan}"};
    char detail[BODY_DETAIL_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(parse(texts[i], strlen(texts[i]), detail), 422);
        assert_memory_equal(detail, "line 1, column ", 15);
    }
}

static void brackets_in_strings_do_not_nest(void **state)
{
    static const char text[] = "[\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[\", []]";
    char detail[BODY_DETAIL_MAX];
    (void)state;
    assert_int_equal(parse(text, sizeof text - 1, detail), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_comes_in_parts),
        cmocka_unit_test(malformed_bodies_are_400_with_line_and_column),
        cmocka_unit_test(numbers_that_are_none_are_422),
        cmocka_unit_test(brackets_in_strings_do_not_nest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
