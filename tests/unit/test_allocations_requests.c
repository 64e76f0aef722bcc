/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies and queries of requests when memory runs out: a fault that is ours (500), never
 * one that blames the client. */
#include "../allocations.h"
#include "../fuzz/columns.h"
#include "../fuzz/infer.h"

#include "api/body.h"
#include "api/label_rows.h"
#include "api/options.h"
#include "http/query.h"

static int status_of(unsigned status, const char *detail, struct deepsad_error *error)
{
    switch (status) {
    case 0:
        return DEEPSAD_OK;
    case 500:
        return error_set(error, DEEPSAD_NO_MEMORY, "%s", detail);
    default:
        return error_set(error, DEEPSAD_INVALID, "%u %s", status, detail);
    }
}

static struct rows_limits limits_of(const struct rows_columns *columns)
{
    return (struct rows_limits){.rows = TEST_ROWS_MAX,
                                .bytes = TEST_ROWS_MAX * columns->count * 4};
}

static int finish(struct rows *rows, bool fine, struct deepsad_error *error)
{
    int status = status_of(rows->fault.status, rows->fault.detail, error);
    assert_true(fine == (status == DEEPSAD_OK));
    rows_done(rows);
    return status;
}

static int read_json_rows(void *closure, struct deepsad_error *error)
{
    static const char text[] = "{\"samples\": [{\"hour\": 1, \"x\": null}, [1, 2, 3]], "
                               "\"ids\": [\"a\", \"b\\u0041\"]}";
    static struct json_rows json;
    struct rows rows = {.x = NULL};
    struct rows_limits limits = limits_of(&test_columns);
    (void)closure;
    rows_reset(&rows, &test_columns, &limits);
    json_rows_start(&json, &rows);
    json_rows_feed(&json, text, 60);
    json_rows_feed(&json, text + 60, sizeof text - 61);
    return finish(&rows, json_rows_finish(&json), error);
}

static void json_rows_end_in_500(void **state)
{
    (void)state;
    allocations_fail_each(read_json_rows, NULL, 4, 500);
}

static int read_csv_rows(void *closure, struct deepsad_error *error)
{
    static const char text[] = "x,hour,\"a/b~\xc3\xb6\"\n1,2,3\n4,,\"6\"\n";
    struct csv_rows lines = {.rows = NULL};
    struct rows rows = {.x = NULL};
    struct rows_limits limits = limits_of(&test_columns);
    (void)closure;
    rows_reset(&rows, &test_columns, &limits);
    csv_rows_start(&lines, &rows);
    csv_rows_feed(&lines, text, 9);
    csv_rows_feed(&lines, text + 9, sizeof text - 10);
    bool fine = csv_rows_finish(&lines);
    csv_rows_done(&lines);
    return finish(&rows, fine, error);
}

static void csv_rows_end_in_500(void **state)
{
    (void)state;
    allocations_fail_each(read_csv_rows, NULL, 3, 500);
}

static int read_npy_rows(void *closure, struct deepsad_error *error)
{
    char file[128 + 24] = "\x93NUMPY\x01\x00\x76\x00"
                          "{'descr': '<f4', 'fortran_order': False, "
                          "'shape': (2, 3), }";
    struct npy_rows npy = {.rows = NULL};
    struct rows rows = {.x = NULL};
    struct rows_limits limits = limits_of(&test_columns);
    (void)closure;
    memset(file + 10 + strlen(file + 10), ' ', 117 - strlen(file + 10));
    file[127] = '\n';
    rows_reset(&rows, &test_columns, &limits);
    npy_rows_start(&npy, &rows);
    npy_rows_feed(&npy, file, 50);
    npy_rows_feed(&npy, file + 50, sizeof file - 50);
    bool fine = npy_rows_finish(&npy);
    npy_rows_done(&npy);
    return finish(&rows, fine, error);
}

static void npy_rows_end_in_500(void **state)
{
    (void)state;
    allocations_fail_each(read_npy_rows, NULL, 2, 500);
}

static int read_infer(void *closure, struct deepsad_error *error)
{
    static const char text[] =
        "{\"id\": \"1\", \"inputs\": [{\"name\": \"input\", \"datatype\": \"FP32\", "
        "\"shape\": [2, 3], \"data\": [1, 2, 3, 4, 5, 6]}]}";
    struct test_infer infer = {.scoring = {.wants_rows = true}};
    struct rows *rows = &infer.scoring.rows;
    struct rows_limits limits = limits_of(&test_columns);
    (void)closure;
    rows_reset(rows, &test_columns, &limits);
    infer_grammar_start(&infer.grammar, rows);
    json_reader_start(&infer.reader, &infer_grammar_ops, &infer.grammar.base);
    json_reader_feed(&infer.reader, text, sizeof text - 1);
    bool fine = json_reader_finish(&infer.reader) && infer_check_request(&infer.grammar);
    return finish(rows, fine, error);
}

static void inference_requests_end_in_500(void **state)
{
    (void)state;
    allocations_fail_each(read_infer, NULL, 2, 500);
}

static int read_labels(void *closure, struct deepsad_error *error)
{
    static const char text[] =
        "{\"labels\": [{\"sample_id\": \"s-1\", \"verdict\": \"anomalous\", \"analyst\": "
        "\"kim\"}, {\"features\": [1, 2, null], \"verdict\": \"normal\"}]}";
    unsigned status = 0;
    char detail[BODY_DETAIL_MAX] = "";
    struct label_rows rows = {.count = 0};
    struct label_fault fault = {.status = 0};
    struct label_limits limits = {.labels = 8, .text = 16, .bytes = 1000};
    (void)closure;
    json_t *json = body_parse_text(text, sizeof text - 1, &status, detail);
    if (json == NULL) {
        return status_of(status, detail, error);
    }
    if (!label_rows_read(&rows, json, &test_columns, &limits, &fault)) {
        return status_of(fault.status, fault.detail, error);
    }
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.rows[0].sample_id, "s-1");
    assert_string_equal(rows.rows[0].analyst, "kim");
    label_rows_done(&rows);
    return DEEPSAD_OK;
}

static void labels_end_in_500(void **state)
{
    (void)state;
    allocations_fail_each(read_labels, NULL, 10, 500);
}

static const struct option_member members[] = {
    {"hold", OPTION_BOOL}, {"analyst", OPTION_TEXT}, {NULL, 0}};

static int read_options(void *closure, struct deepsad_error *error)
{
    static const char text[] = "{\"hold\": true, \"analyst\": \"kim\\u00e9\"}";
    static struct app app = {.max_label_text = 64};
    struct request request = {.path = "/v1/models/m/retrain"};
    struct reply reply = {0};
    json_t *options = NULL;
    (void)closure;
    bool fine = body_begin(&app, &request, &reply);
    if (fine) {
        body_collect(&app, &request, text, sizeof text - 1);
        fine = options_read(&options, &app, members, &request, &reply);
    }
    int status = status_of(reply.status, "a reply", error);
    assert_true(fine == (status == DEEPSAD_OK));
    assert_true(!fine || strcmp(json_string_value(json_object_get(options, "analyst")),
                                "kim\xc3\xa9") == 0);
    json_decref(options);
    body_end(&app, &request);
    reply_done(&reply);
    return status;
}

static void small_bodies_end_in_500(void **state)
{
    (void)state;
    allocations_fail_each(read_options, NULL, 5, 500);
}

static int read_query(void *closure, struct deepsad_error *error)
{
    static const char *const names[] = {"limit", "analyst", NULL};
    struct request request = {.path = "/", .argument_count = 2};
    struct reply reply = {0};
    struct query query;
    (void)closure;
    request.arguments[0].name = (struct http_text){"limit", 5};
    request.arguments[0].value = (struct http_text){"20", 2};
    request.arguments[1].name = (struct http_text){"analyst", 7};
    request.arguments[1].value = (struct http_text){"k%20m", 5};
    if (query_read(&query, &request, names, &reply)) {
        assert_string_equal(query_text(&query, "analyst"), "k m");
        query_done(&query);
    }
    int status = status_of(reply.status, "a reply", error);
    reply_done(&reply);
    return status;
}

static void queries_end_in_500(void **state)
{
    (void)state;
    allocations_fail_each(read_query, NULL, 1, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_rows_end_in_500),
        cmocka_unit_test(csv_rows_end_in_500),
        cmocka_unit_test(npy_rows_end_in_500),
        cmocka_unit_test(inference_requests_end_in_500),
        cmocka_unit_test(labels_end_in_500),
        cmocka_unit_test(small_bodies_end_in_500),
        cmocka_unit_test(queries_end_in_500),
    };
    return cmocka_run_group_tests(tests, allocations_setup, NULL);
}
