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

/* Decodes in pieces, and after each gives up all rows that are complete: out (rows, 3) is
 * what they were. */
static void decode_and_drop(float *out, struct rows *rows, const char *text, size_t piece)
{
    static struct json_rows json;
    struct rows_limits limits = {TEST_ROWS_MAX, 1 << 20};
    size_t size = strlen(text);
    assert_true(rows_reset(rows, &test_columns, &limits));
    json_rows_start(&json, rows);
    for (size_t at = 0; at < size; at += piece) {
        json_rows_feed(&json, text + at, size - at < piece ? size - at : piece);
        for (size_t i = 3 * rows->first; i < 3 * rows->count; i++) {
            out[i] = rows->x[i - 3 * rows->first];
        }
        rows_drop(rows, rows->count);
    }
    assert_true(json_rows_finish(&json));
}

static void rows_that_are_given_up_do_not_disturb_the_one_being_filled(void **state)
{
    static const char text[] = "{\"samples\":[[1,2,3],[4.5,null,6],{\"x\":8,\"hour\":7},"
                               "[10,11,12],[13,14,15]],\"ids\":[\"a\",\"b\",\"c\",\"d\","
                               "\"e\"]}";
    struct rows whole = {.x = NULL}, parts = {.x = NULL};
    (void)state;
    assert_true(decode_json(&whole, text));
    for (size_t piece = 1; piece < sizeof text; piece++) {
        float seen[15] = {0};
        decode_and_drop(seen, &parts, text, piece);
        assert_int_equal(parts.count, 5);
        assert_int_equal(parts.first, 5);
        assert_memory_equal(seen, whole.x, sizeof seen);
        assert_int_equal(parts.id_count, 5);
    }
    rows_done(&whole);
    rows_done(&parts);
}

static void rows_that_are_kept_move_to_the_start(void **state)
{
    struct rows rows = {.x = NULL};
    (void)state;
    assert_true(decode_json(&rows, "{\"samples\":[[1,2,3],[4,5,6],[7,8,9]]}"));
    rows_drop(&rows, 1);
    assert_true(rows.x[0] == 4 && rows.x[5] == 9);
    rows_drop(&rows, 1); /* again, for nothing */
    assert_true(rows.x[0] == 4 && rows.first == 1 && rows.count == 3);
    rows_drop(&rows, 2);
    assert_true(rows.x[0] == 7 && rows.x[2] == 9);
    rows_done(&rows);
}

static void rows_that_are_given_up_count_against_the_limits_and_in_faults(void **state)
{
    static struct json_rows json;
    struct rows rows = {.x = NULL};
    struct rows_limits limits = {.rows = 3, .bytes = 1 << 20};
    static const char first[] = "{\"samples\":[[1,2,3],[1,2,3],",
                      more[] = "[1,2,3],[1,2,3]]}";
    (void)state;
    assert_true(rows_reset(&rows, &test_columns, &limits));
    json_rows_start(&json, &rows);
    json_rows_feed(&json, first, sizeof first - 1);
    rows_drop(&rows, 2);
    json_rows_feed(&json, more, sizeof more - 1);
    assert_int_equal(rows.fault.status, 413);
    assert_string_equal(rows.fault.pointer, "#/samples/3");
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
        cmocka_unit_test(rows_that_are_given_up_do_not_disturb_the_one_being_filled),
        cmocka_unit_test(rows_that_are_kept_move_to_the_start),
        cmocka_unit_test(rows_that_are_given_up_count_against_the_limits_and_in_faults),
        cmocka_unit_test(csv_lines_are_counted_as_people_count_them),
        cmocka_unit_test(a_large_request_does_not_stay_resident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
