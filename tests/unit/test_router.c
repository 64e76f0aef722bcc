/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "http/router.h"

static void answer(void *app, struct request *request, struct reply *reply)
{
    (void)app;
    (void)request;
    reply->status = 200;
}

static const struct route table[] = {
    {.methods = HTTP_GET | HTTP_POST, .pattern = "/a/{one}", .handle = answer},
    {.methods = HTTP_DELETE, .pattern = "/a/{one}", .handle = answer},
    {.methods = HTTP_GET, .pattern = "/a/{one}/b/{two}", .handle = answer},
    {.methods = HTTP_GET, .pattern = "/h", .flags = ROUTE_OPERATIONS, .handle = answer},
};

static const struct route *find(enum http_method method, const char *path, unsigned flags,
                                struct request *request, struct reply *reply)
{
    struct router router = {table, sizeof table / sizeof table[0], flags};
    *request = (struct request){.method = method, .path = path};
    reply_clear(reply);
    return router_find(&router, request, reply);
}

static void parameters_are_the_segments(void **state)
{
    struct request request;
    struct reply reply = {0};
    (void)state;
    assert_ptr_equal(find(HTTP_GET, "/a/x-1/b/22", 0, &request, &reply), &table[2]);
    assert_int_equal(request.parameters[0].length, 3);
    assert_memory_equal(request.parameters[0].data, "x-1", 3);
    assert_memory_equal(request.parameters[1].data, "22", 2);
    assert_int_equal(request.parameters[1].length, 2);
    assert_null(request.parameters[2].data);
    reply_done(&reply);
}

static void head_is_served_as_get(void **state)
{
    struct request request;
    struct reply reply = {0};
    (void)state;
    assert_ptr_equal(find(HTTP_HEAD, "/a/x", 0, &request, &reply), &table[0]);
    reply_done(&reply);
}

static void unknown_paths_are_404(void **state)
{
    static const char *const paths[] = {"/",      "/a",       "/a/",       "/a/x/",
                                        "/a/x/b", "/a//b/22", "/a/x/b/2/", "a/x"};
    struct request request;
    struct reply reply = {0};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_null(find(HTTP_GET, paths[i], 0, &request, &reply));
        assert_int_equal(reply.status, 404);
    }
    reply_done(&reply);
}

static void a_wrong_method_names_those_of_all_routes_of_the_path(void **state)
{
    struct request request;
    struct reply reply = {0};
    (void)state;
    assert_null(find(HTTP_PUT, "/a/x", 0, &request, &reply));
    assert_int_equal(reply.status, 405);
    assert_string_equal(reply.allow, "GET, HEAD, POST, DELETE");
    reply_done(&reply);
}

static void only_routes_with_the_flags_are_served(void **state)
{
    struct request request;
    struct reply reply = {0};
    (void)state;
    assert_null(find(HTTP_GET, "/a/x", ROUTE_OPERATIONS, &request, &reply));
    assert_int_equal(reply.status, 404);
    assert_ptr_equal(find(HTTP_GET, "/h", ROUTE_OPERATIONS, &request, &reply), &table[3]);
    reply_done(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_the_segments),
        cmocka_unit_test(head_is_served_as_get),
        cmocka_unit_test(unknown_paths_are_404),
        cmocka_unit_test(a_wrong_method_names_those_of_all_routes_of_the_path),
        cmocka_unit_test(only_routes_with_the_flags_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
