/* SPDX-License-Identifier: Apache-2.0 */
/* The one body of errors, and what a head of a request is refused for. */
#include "../testing.h"

#include "http/head.h"

static json_t *parse(const struct reply *reply)
{
    json_t *json = json_loadb(reply->body.data, reply->body.length, 0, NULL);
    assert_non_null(json);
    return json;
}

static const char *text_of(const json_t *json, const char *member)
{
    return json_string_value(json_object_get(json, member));
}

static void a_problem_has_all_members(void **state)
{
    struct request request = {.path = "/v1/models"};
    struct reply reply = {0};
    (void)state;
    reply_problem_at(&request, &reply, 422, "row 3: wrong", "#/samples/3");
    json_t *json = parse(&reply);
    assert_string_equal(reply.content_type, "application/problem+json");
    assert_string_equal(text_of(json, "type"), "about:blank");
    assert_string_equal(text_of(json, "title"), "Unprocessable Content");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 422);
    assert_string_equal(text_of(json, "detail"), "row 3: wrong");
    assert_string_equal(text_of(json, "error"), "row 3: wrong");
    const json_t *first = json_array_get(json_object_get(json, "errors"), 0);
    assert_string_equal(text_of(first, "pointer"), "#/samples/3");
    json_decref(json);
    reply_done(&reply);
}

static void version_2_reads_application_json(void **state)
{
    struct request request = {.path = "/v2/models/x"};
    struct reply reply = {0};
    (void)state;
    reply_problem(&request, &reply, 404, "no %s", "x");
    assert_string_equal(reply.content_type, "application/json");
    request.path = "/v22";
    reply_problem(&request, &reply, 404, "no x");
    assert_string_equal(reply.content_type, "application/problem+json");
    reply_done(&reply);
}

static void what_a_client_sent_cannot_break_the_body(void **state)
{
    struct request request = {.path = "/"};
    struct reply reply = {0};
    (void)state;
    reply_problem(&request, &reply, 404, "nothing at %s", "/\"\xff\x01\\");
    json_t *json = parse(&reply);
    assert_string_equal(text_of(json, "detail"), "nothing at /\"\xEF\xBF\xBD\x01\\");
    json_decref(json);
    reply_done(&reply);
}

static bool head_passes(const char *const fields[][2], struct request *request,
                        struct reply *reply)
{
    struct head head = {.hosts = 0};
    *request = (struct request){.path = "/"};
    reply_clear(reply);
    for (size_t i = 0; fields[i][0] != NULL; i++) {
        head_add(&head, request, fields[i][0], strlen(fields[i][0]), fields[i][1],
                 strlen(fields[i][1]));
    }
    return head_check(&head, request, true, reply);
}

static void a_plain_head_passes(void **state)
{
    static const char *const fields[][2] = {{"host", "x"},
                                            {"CONTENT-LENGTH", "12"},
                                            {"Content-Type", "text/csv; header=present"},
                                            {NULL, NULL}};
    struct request request;
    struct reply reply = {0};
    (void)state;
    assert_true(head_passes(fields, &request, &reply));
    assert_int_equal(request.content_length, 12);
    assert_int_equal(request.body_type, BODY_CSV);
    reply_done(&reply);
}

static void the_kind_of_a_body_is_read_without_case_and_parameters(void **state)
{
    static const struct {
        const char *text;
        enum body_type type;
    } cases[] = {{"application/x-npy", BODY_NPY},
                 {"Application/X-NPY; version=1", BODY_NPY},
                 {"application/JSON", BODY_JSON},
                 {"text/csv; charset=utf-8", BODY_CSV},
                 {"text/csv; charset=latin1", BODY_OTHER},
                 {"application/x-npyz", BODY_OTHER}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(http_body_type_parse(cases[i].text, strlen(cases[i].text)),
                         cases[i].type);
    }
}

static void ambiguous_heads_are_refused_and_closed(void **state)
{
    static const char *const cases[][4][2] = {
        {{"Host", "x"}, {"Host", "x"}, {NULL, NULL}},
        {{"Accept", "x"}, {NULL, NULL}},
        {{"Host", "x"}, {"Content-Length", "1"}, {"content-length", "1"}, {NULL, NULL}},
        {{"Host", "x"}, {"Content-Length", "0x1"}, {NULL, NULL}},
        {{"Host", "x"}, {"Content-Length", ""}, {NULL, NULL}},
        {{"Host", "x"}, {"Content-Length", "9999999999999999999"}, {NULL, NULL}},
        {{"Host", "x"}, {"Transfer-Encoding", "gzip, chunked"}, {NULL, NULL}},
        {{"Host", "x"},
         {"Transfer-Encoding", "chunked"},
         {"Content-Length", "1"},
         {NULL}},
    };
    struct request request;
    struct reply reply = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(head_passes(cases[i], &request, &reply));
        assert_int_equal(reply.status, 400);
        assert_true(reply.close);
    }
    reply_done(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_has_all_members),
        cmocka_unit_test(version_2_reads_application_json),
        cmocka_unit_test(what_a_client_sent_cannot_break_the_body),
        cmocka_unit_test(a_plain_head_passes),
        cmocka_unit_test(the_kind_of_a_body_is_read_without_case_and_parameters),
        cmocka_unit_test(ambiguous_heads_are_refused_and_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
