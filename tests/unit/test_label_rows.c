/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of label requests as plain values, and cursors of their lists. */
#include "../testing.h"

#include "../fuzz/columns.h"
#include "api/body.h"
#include "api/cursor.h"
#include "api/label_rows.h"

static bool read_text_as(struct label_rows *rows, struct label_fault *fault,
                         const struct rows_columns *columns, const char *text)
{
    unsigned status;
    char detail[BODY_DETAIL_MAX];
    json_t *json = body_parse_text(text, strlen(text), &status, detail);
    assert_non_null(json);
    *fault = (struct label_fault){.status = 0};
    *rows = (struct label_rows){.count = 0};
    struct label_limits own = {.labels = 3, .text = 8, .bytes = 2 * columns->count * 4};
    return label_rows_read(rows, json, columns, &own, fault);
}

static bool read_text(struct label_rows *rows, struct label_fault *fault,
                      const char *text)
{
    return read_text_as(rows, fault, &test_columns, text);
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

static void an_image_may_be_flat_or_an_array_of_its_dimensions(void **state)
{
    static const char *const forms[] = {"[0,1,2,3,4,5,6,7,8,9,10,11]",
                                        "[[[0,1],[2,3],[4,5]],[[6,7],[8,9],[10,11]]]"};
    struct label_rows rows;
    struct label_fault fault;
    char text[256];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(text, sizeof text,
                 "{\"labels\":[{\"features\":%s,\"verdict\":\"normal\"}]}", forms[i]);
        assert_true(read_text_as(&rows, &fault, &test_channels, text));
        for (size_t j = 0; j < 12; j++) {
            assert_near(rows.x[j], (double)j, 0);
        }
        label_rows_done(&rows);
    }
}

static void faults_within_an_image_name_their_place(void **state)
{
    static const struct {
        const char *features, *place, *detail;
    } cases[] = {
        {"[[1,2,3],[4,5]]", "/1", "features/1: 2 values, the model's images are 2 x 3"},
        {"[[1,2,3]]", "", "features: 1 lines"},
        {"[[[1,2,3],[4,5,6]],[]]", "", "features: 2 channels"},
        {"[[1,2,3],4]", "/1", "expected an array"},
        {"[[1,2,3],[4,5,[6]]]", "/1/2", "found an array"},
        {"[1,[2],3,4,5,6]", "/1", "found an array"},
        {"[[1,2,3],[4,1e39,6]]", "/1/1", "outside the range"},
        {"[[{},2,3],[4,5,6]]", "/0/0", "found an object"},
    };
    struct label_rows rows;
    struct label_fault fault;
    char text[256], pointer[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text,
                 "{\"labels\":[{\"features\":%s,\"verdict\":\"normal\"}]}",
                 cases[i].features);
        snprintf(pointer, sizeof pointer, "#/labels/0/features%s", cases[i].place);
        assert_false(read_text_as(&rows, &fault, &test_image, text));
        assert_string_equal(fault.pointer, pointer);
        assert_non_null(strstr(fault.detail, cases[i].detail));
    }
}

static void an_image_of_several_channels_is_no_plane(void **state)
{
    struct label_rows rows;
    struct label_fault fault;
    (void)state;
    assert_false(read_text_as(&rows, &fault, &test_channels,
                              "{\"labels\":[{\"features\":[[1,2],[3,4],[5,6]]}]}"));
    assert_string_equal(fault.pointer, "#/labels/0/features");
    assert_non_null(
        strstr(fault.detail, "(channels, height, width): send an array of 2 such"));
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
        cmocka_unit_test(an_image_may_be_flat_or_an_array_of_its_dimensions),
        cmocka_unit_test(faults_within_an_image_name_their_place),
        cmocka_unit_test(an_image_of_several_channels_is_no_plane),
        cmocka_unit_test(a_pointer_is_cut_to_what_fits),
        cmocka_unit_test(a_cursor_is_read_by_its_own_list_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
