/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of label requests as plain values, and cursors of their lists. */
#include "../testing.h"

#include "../fuzz/columns.h"
#include "api/body.h"
#include "api/cursor.h"
#include "api/label_rows.h"

static const struct label_limits limits = {.labels = 3, .text = 8, .bytes = 2 * 3 * 4};

static bool read_text(struct label_rows *rows, struct label_fault *fault,
                      const char *text)
{
    unsigned status;
    char detail[BODY_DETAIL_MAX];
    json_t *json = body_parse_text(text, strlen(text), &status, detail);
    assert_non_null(json);
    *fault = (struct label_fault){.status = 0};
    *rows = (struct label_rows){.count = 0};
    return label_rows_read(rows, json, &test_columns, &limits, fault);
}

static void labels_name_a_sample_or_bring_one(void **state)
{
    struct label_rows rows;
    struct label_fault fault;
    (void)state;
    assert_true(read_text(&rows, &fault,
                          "{\"labels\":[{\"sample_id\":\"t-1\",\"verdict\":\"anomalous\","
                          "\"analyst\":\"kim\",\"note\":null},"
                          "{\"verdict\":\"unsure\",\"features\":{\"x\":2.5}}]}"));
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.featured, 1);
    assert_string_equal(rows.rows[0].sample_id, "t-1");
    assert_string_equal(rows.rows[0].analyst, "kim");
    assert_null(rows.rows[0].note);
    assert_int_equal(rows.rows[0].verdict, STORE_ANOMALOUS);
    assert_true(isnan(rows.rows[1].x[0]) && isnan(rows.rows[1].x[2]));
    assert_near(rows.rows[1].x[1], 2.5, 0);
    label_rows_done(&rows);
}

static void rows_of_features_stand_behind_each_other(void **state)
{
    struct label_rows rows;
    struct label_fault fault;
    (void)state;
    assert_true(read_text(&rows, &fault,
                          "{\"labels\":[{\"features\":[1,2,3],\"verdict\":\"normal\"},"
                          "{\"sample_id\":\"a\",\"verdict\":\"normal\"},"
                          "{\"features\":[4,null,6],\"verdict\":\"normal\"}]}"));
    assert_ptr_equal(rows.rows[0].x, rows.x);
    assert_ptr_equal(rows.rows[2].x, rows.x + 3);
    assert_null(rows.rows[1].x);
    assert_near(rows.x[5], 6, 0);
    assert_true(isnan(rows.x[4]));
    label_rows_done(&rows);
}

static void faults_name_their_place(void **state)
{
    static const struct {
        const char *text;
        unsigned status;
        const char *pointer;
    } cases[] = {
        {"{\"labels\":[{\"features\":[1,2],\"verdict\":\"normal\"}]}", 422,
         "#/labels/0/features"},
        {"{\"labels\":[{\"features\":{\"a/b~\xc3\xb6\":\"1\"},\"verdict\":\"normal\"}]}",
         422, "#/labels/0/features/a~1b~0\xc3\xb6"},
        {"{\"labels\":[{\"sample_id\":\"a\",\"verdict\":\"no\"}]}", 422,
         "#/labels/0/verdict"},
        {"{\"labels\":[{\"sample_id\":\"a\",\"verdict\":\"normal\"},{}]}", 422,
         "#/labels/1/verdict"},
        {"{\"labels\":[{\"sample_id\":\"a\",\"verdict\":\"normal\",\"note\":"
         "\"123456789\"}]}",
         422, "#/labels/0/note"},
        {"{\"labels\":[1,2,3,4]}", 413, "#/labels"},
        {"{\"labels\":[{\"features\":{}},{\"features\":{}},{\"features\":{}}]}", 413,
         "#/labels"},
        {"[]", 422, "#"},
    };
    struct label_rows rows;
    struct label_fault fault;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(read_text(&rows, &fault, cases[i].text));
        assert_int_equal(fault.status, cases[i].status);
        assert_string_equal(fault.pointer, cases[i].pointer);
    }
}

static void a_pointer_is_cut_to_what_fits(void **state)
{
    struct label_rows rows;
    struct label_fault fault;
    char text[1200], name[1024];
    (void)state;
    memset(name, '~', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(text, sizeof text, "{\"labels\":[{\"features\":{\"%s\":1}}]}", name);
    assert_false(read_text(&rows, &fault, text));
    assert_in_range(strlen(fault.pointer), ROWS_POINTER_MAX - 6, ROWS_POINTER_MAX - 1);
    snprintf(text, sizeof text, "{\"labels\":[{\"%s\":1}]}", name);
    assert_false(read_text(&rows, &fault, text));
    assert_in_range(strlen(fault.pointer), ROWS_POINTER_MAX - 6, ROWS_POINTER_MAX - 1);
}

static void a_cursor_is_read_by_its_own_list_only(void **state)
{
    char cursor[CURSOR_SIZE], key[CURSOR_KEY_MAX + 1];
    (void)state;
    cursor_write(cursor, "labels of m", "12345");
    assert_true(cursor_read(key, "labels of m", cursor));
    assert_string_equal(key, "12345");
    assert_false(cursor_read(key, "labels of n", cursor));
    cursor[strlen(cursor) - 1] ^= 1;
    assert_false(cursor_read(key, "labels of m", cursor));
    assert_false(cursor_read(key, "labels of m", ""));
    assert_false(cursor_read(key, "labels of m", "12345678"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_name_a_sample_or_bring_one),
        cmocka_unit_test(rows_of_features_stand_behind_each_other),
        cmocka_unit_test(faults_name_their_place),
        cmocka_unit_test(a_pointer_is_cut_to_what_fits),
        cmocka_unit_test(a_cursor_is_read_by_its_own_list_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
