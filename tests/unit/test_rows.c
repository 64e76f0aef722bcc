/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders of scoring requests, without a model and without a socket. */
#include "../testing.h"

#include "../fuzz/columns.h"

static bool decode_json(struct rows *rows, const char *text)
{
    return test_decode(rows, false, text, strlen(text), strlen(text) + 1);
}

static void arrays_and_objects_become_the_same_rows(void **state)
{
    struct rows rows = {.x = NULL};
    (void)state;
    assert_true(decode_json(&rows, "{\"samples\":[[1,null,-2.5],"
                                   "{\"a/b~\xc3\xb6\":-2.5,\"hour\":1}]}"));
    assert_int_equal(rows.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_near(rows.x[3 * i], 1, 0);
        assert_true(isnan(rows.x[3 * i + 1]));
        assert_near(rows.x[3 * i + 2], -2.5, 0);
    }
    rows_done(&rows);
}

static void pieces_of_any_size_give_the_same_rows(void **state)
{
    static const char text[] = "{ \"ids\" : [ \"\\u0061-1\", \"b\" ],\n \"samples\": "
                               "[ [1.25, 2e-3, null], {\"\\u0078\": 12345678.5} ] }";
    struct rows whole = {.x = NULL}, parts = {.x = NULL};
    (void)state;
    assert_true(decode_json(&whole, text));
    for (size_t piece = 1; piece < sizeof text; piece++) {
        assert_true(test_decode(&parts, false, text, sizeof text - 1, piece));
        assert_int_equal(parts.count, 2);
        assert_memory_equal(parts.x, whole.x, 6 * sizeof(float));
        assert_memory_equal(parts.id_text.data, "a-1b", 4);
    }
    rows_done(&whole);
    rows_done(&parts);
}

static void names_are_matched_whole(void **state)
{
    struct rows rows = {.x = NULL};
    (void)state;
    assert_false(decode_json(&rows, "{\"samples\":[{\"hou\":1}]}"));
    assert_int_equal(rows.fault.status, 422);
    assert_string_equal(rows.fault.pointer, "#/samples/0/hou");
    static const char nul[] = "hour\0\0\0,x\n1,2\n";
    assert_false(test_decode(&rows, true, nul, sizeof nul - 1, sizeof nul));
    assert_non_null(strstr(rows.fault.detail, "not one of the model's features"));
    rows_done(&rows);
}

static void pointers_are_escaped(void **state)
{
    struct rows rows = {.x = NULL};
    (void)state;
    assert_false(decode_json(&rows, "{\"samples\":[{\"a/b~\xc3\xb6\":\"1\"}]}"));
    assert_string_equal(rows.fault.pointer, "#/samples/0/a~1b~0%C3%B6");
    rows_done(&rows);
}

static void faults_of_syntax_name_line_and_column(void **state)
{
    static const struct {
        const char *text, *place;
    } cases[] = {
        {"", "line 1, column 1: the body is empty"},
        {"{\"samples\":\n[[1,2\n,]]}", "line 3, column 2"},
        {"{\"samples\":[[1,2,3]]", "line 1, column 21: the JSON text ends early"},
        {"{\"samples\":[[1,2,3]]}}", "line 1, column 22"},
        {"{\"ids\":[\"\\x\"]}", "line 1, column 10: no such escape"},
        {"{\"ids\":[\"\t\"]}", "line 1, column 10: a control character"},
        {"{\"samples\":[[tru]]}", "line 1, column 14: not a JSON value"},
    };
    struct rows rows = {.x = NULL};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(decode_json(&rows, cases[i].text));
        assert_int_equal(rows.fault.status, 400);
        assert_non_null(strstr(rows.fault.detail, cases[i].place));
    }
    rows_done(&rows);
}

static void a_token_longer_than_the_limit_is_refused(void **state)
{
    enum { LENGTH = 2 * JSON_TOKEN_MAX };
    static char text[LENGTH + 64];
    struct rows rows = {.x = NULL};
    (void)state;
    for (int number = 0; number < 2; number++) {
        size_t used = (size_t)sprintf(text, "{\"samples\":[[%s", number ? "1" : "\"1");
        memset(text + used, '0', LENGTH);
        strcpy(text + used + LENGTH, number ? ",2,3]]}" : "\",2,3]]}");
        for (size_t piece = 100; piece < 3 * LENGTH; piece *= 30) {
            assert_false(test_decode(&rows, false, text, strlen(text), piece));
            assert_int_equal(rows.fault.status, 400);
            assert_non_null(strstr(rows.fault.detail, "longer than 4096 bytes"));
        }
    }
    rows_done(&rows);
}

static void rows_beyond_the_limits_are_refused_without_memory(void **state)
{
    static char text[64 * 1024];
    struct rows rows = {.x = NULL};
    (void)state;
    size_t used = (size_t)sprintf(text, "{\"samples\":[{}");
    while (used + 8 < sizeof text) {
        used += (size_t)sprintf(text + used, ",{}");
    }
    strcpy(text + used, "]}");
    assert_false(decode_json(&rows, text));
    assert_int_equal(rows.fault.status, 413);
    assert_string_equal(rows.fault.pointer, "#/samples/40");
    assert_true(rows.capacity <= 1024);
    rows_done(&rows);
}

static void ids_are_checked_once_all_are_there(void **state)
{
    struct rows rows = {.x = NULL};
    (void)state;
    assert_false(decode_json(&rows, "{\"ids\":[],\"samples\":[[1,2,3]]}"));
    assert_string_equal(rows.fault.detail, "0 ids for 1 rows");
    assert_false(decode_json(&rows, "{\"ids\":[\"a\",\"b\",\"a\"],"
                                    "\"samples\":[[1,2,3],[1,2,3],[1,2,3]]}"));
    assert_string_equal(rows.fault.pointer, "#/ids/2");
    assert_true(decode_json(&rows, "{\"samples\":[[1,2,3]]}"));
    assert_false(rows.has_ids);
    rows_done(&rows);
}

static void csv_lines_are_counted_as_people_count_them(void **state)
{
    static const char text[] = "hour,x\r\n1,2\r\n\r\n3,four\r\n";
    struct rows rows = {.x = NULL};
    (void)state;
    for (size_t piece = 1; piece < sizeof text; piece++) {
        assert_false(test_decode(&rows, true, text, sizeof text - 1, piece));
        assert_non_null(strstr(rows.fault.detail, "line 4, cell 2 (x): \"four\""));
        assert_string_equal(rows.fault.pointer, "#/samples/1/x");
    }
    rows_done(&rows);
}

static void a_large_request_does_not_stay_resident(void **state)
{
    struct rows rows = {.x = NULL};
    (void)state;
    assert_true(decode_json(&rows, "{\"samples\":[[1,2,3]]}"));
    rows_trim(&rows, 1 << 20);
    assert_non_null(rows.x);
    rows_trim(&rows, 16);
    assert_null(rows.x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_and_objects_become_the_same_rows),
        cmocka_unit_test(pieces_of_any_size_give_the_same_rows),
        cmocka_unit_test(names_are_matched_whole),
        cmocka_unit_test(pointers_are_escaped),
        cmocka_unit_test(faults_of_syntax_name_line_and_column),
        cmocka_unit_test(a_token_longer_than_the_limit_is_refused),
        cmocka_unit_test(rows_beyond_the_limits_are_refused_without_memory),
        cmocka_unit_test(ids_are_checked_once_all_are_there),
        cmocka_unit_test(csv_lines_are_counted_as_people_count_them),
        cmocka_unit_test(a_large_request_does_not_stay_resident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
