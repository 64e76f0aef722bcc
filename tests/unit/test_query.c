/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a query: decoding, and what is refused. */
#include "../testing.h"

#include "http/query.h"

static const char *const names[] = {"limit", "analyst", NULL};

/* As the library splits it: at & and the first =. */
static void set_arguments(struct request *request, const char *text)
{
    *request = (struct request){.path = "/"};
    while (*text != '\0' && request->argument_count < REQUEST_ARGUMENTS_MAX) {
        size_t length = strcspn(text, "&"), name = strcspn(text, "=&");
        size_t skipped = name < length ? name + 1 : name;
        size_t i = request->argument_count++;
        request->arguments[i].name = (struct http_text){text, name};
        request->arguments[i].value =
            (struct http_text){text + skipped, length - skipped};
        text += length + (text[length] == '&');
    }
    request->arguments_excess = *text != '\0';
}

/* The status of the refusal, 0 = none. */
static unsigned read_query(struct query *query, const char *text)
{
    struct request request;
    struct reply reply = {0};
    set_arguments(&request, text);
    bool fine = query_read(query, &request, names, &reply);
    unsigned status = reply.status;
    assert_int_equal(fine, status == 0);
    reply_done(&reply);
    return status;
}

static void values_are_decoded(void **state)
{
    struct query query;
    (void)state;
    assert_int_equal(read_query(&query, "analyst=k%C3%B6+x%2B%3d&limit"), 0);
    assert_string_equal(query_text(&query, "analyst"), "k\xC3\xB6 x+=");
    assert_string_equal(query_text(&query, "limit"), "");
    query_done(&query);
    assert_int_equal(read_query(&query, ""), 0);
    assert_null(query_text(&query, "analyst"));
    query_done(&query);
}

static void broken_encodings_are_400(void **state)
{
    static const char *const broken[] = {"analyst=%",   "analyst=%4",     "analyst=%zz",
                                         "analyst=%00", "analyst=%ff",    "%=1",
                                         "limit%00=1",  "analyst=%C3%28", "analyst=\xff"};
    struct query query;
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(read_query(&query, broken[i]), 400);
    }
}

static void unknown_doubled_and_too_many_parameters_are_422(void **state)
{
    struct query query;
    (void)state;
    assert_int_equal(read_query(&query, "limits=1"), 422);
    assert_int_equal(read_query(&query, "limit=1&limit=2"), 422);
    assert_int_equal(read_query(&query, "=1"), 422);
    assert_int_equal(read_query(&query, "a&b&c&d&e&f&g&h&i"), 422);
}

static void a_refusal_names_the_parameters_there_are(void **state)
{
    struct request request;
    struct reply reply = {0};
    struct query query;
    (void)state;
    set_arguments(&request, "page=1");
    assert_false(query_read(&query, &request, names, &reply));
    assert_non_null(memmem(reply.body.data, reply.body.length, "limit, analyst", 14));
    reply_clear(&reply);
    assert_false(query_none(&request, &reply));
    assert_int_equal(reply.status, 422);
    reply_done(&reply);
}

static void counts_are_whole_numbers_within_the_limit(void **state)
{
    static const char *const wrong[] = {"limit=0",          "limit=-1", "limit=101",
                                        "limit=",           "limit=1x", "limit=1.0",
                                        "limit=99999999999"};
    struct request request = {.path = "/"};
    struct reply reply = {0};
    struct query query;
    size_t value = 7;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(read_query(&query, wrong[i]), 0);
        assert_false(query_count(&value, &query, "limit", 100, &request, &reply));
        assert_int_equal(reply.status, 422);
        query_done(&query);
    }
    assert_int_equal(value, 7);
    assert_int_equal(read_query(&query, "limit=100"), 0);
    assert_true(query_count(&value, &query, "limit", 100, &request, &reply));
    assert_int_equal(value, 100);
    query_done(&query);
    reply_done(&reply);
}

static void choices_are_found_by_name(void **state)
{
    static const char *const choices[] = {"top", "random", NULL};
    struct request request = {.path = "/"};
    struct reply reply = {0};
    struct query query;
    size_t value = 7;
    (void)state;
    assert_int_equal(read_query(&query, "analyst=random"), 0);
    assert_true(query_choice(&value, &query, "analyst", choices, &request, &reply));
    assert_int_equal(value, 1);
    assert_true(query_choice(&value, &query, "limit", choices, &request, &reply));
    assert_int_equal(value, 1);
    query_done(&query);
    assert_int_equal(read_query(&query, "analyst=Top"), 0);
    assert_false(query_choice(&value, &query, "analyst", choices, &request, &reply));
    assert_int_equal(reply.status, 422);
    query_done(&query);
    reply_done(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_decoded),
        cmocka_unit_test(broken_encodings_are_400),
        cmocka_unit_test(unknown_doubled_and_too_many_parameters_are_422),
        cmocka_unit_test(a_refusal_names_the_parameters_there_are),
        cmocka_unit_test(counts_are_whole_numbers_within_the_limit),
        cmocka_unit_test(choices_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
