/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints as functions of (app, request, reply): a model, and no socket. */
#include "../testing.h"

#include <stdlib.h>
#include <unistd.h>

#include "api/health.h"
#include "api/keep.h"
#include "api/models.h"
#include "api/routes.h"
#include "api/score.h"
#include "store/store.h"

enum { ROWS = 400, FEATURES = 3 };

struct fixture {
    char folder[32];
    struct app app;
    struct request request;
    struct reply reply;
    void *worker;
};

static void train(const char *directory)
{
    struct deepsad_dataset data = {.rows = ROWS, .features = FEATURES};
    struct deepsad_train_options options = {.seed = 1, .threads = 1};
    struct deepsad_error error = {0};
    struct deepsad_recipe *recipe;
    struct deepsad_model *model;
    unsigned version;
    data.x = calloc(ROWS * FEATURES, sizeof *data.x);
    data.labels = calloc(ROWS, 1);
    for (size_t i = 0; i < ROWS * FEATURES; i++) {
        data.x[i] = (float)((i * 7919 + i * i % 31) % 101);
    }
    assert_int_equal(deepsad_recipe_new(&recipe, "default", &error), DEEPSAD_OK);
    assert_int_equal(deepsad_train(&model, &data, recipe, &options, &error), DEEPSAD_OK);
    assert_int_equal(deepsad_model_save_version(model, directory, &version, &error),
                     DEEPSAD_OK);
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char path[64];
    strcpy(fixture->folder, "/tmp/deepsad-score-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(path, sizeof path, "%s/m", fixture->folder);
    train(path);
    struct registry_options options = {.directory = fixture->folder,
                                       .versions_loaded = 1};
    struct app *app = &fixture->app;
    assert_int_equal(registry_open(&app->registry, &options, NULL), DEEPSAD_OK);
    assert_int_equal(metrics_new(&app->metrics, routes, route_count, NULL), DEEPSAD_OK);
    atomic_store(&app->max_rows, 100);
    atomic_store(&app->max_decoded, 1 << 20);
    fixture->worker = app_worker_new(app);
    assert_non_null(fixture->worker);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    static const char *const parts[] = {"/m/1/model.safetensors", "/m/1", "/m/model.yaml",
                                        "/m", ""};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s%s", fixture->folder, parts[i]);
        if (unlink(path) != 0) {
            rmdir(path);
        }
    }
    app_worker_free(&fixture->app, fixture->worker);
    registry_close(fixture->app.registry);
    metrics_free(fixture->app.metrics);
    reply_done(&fixture->reply);
    free(fixture);
    return 0;
}

/* The whole way of a request through its route; the reply's body as JSON. */
static json_t *send(struct fixture *fixture, enum http_method method, const char *path,
                    const char *body)
{
    struct router router = {routes, route_count, 0};
    struct request *request = &fixture->request;
    *request = (struct request){.method = method,
                                .path = path,
                                .body_type = BODY_JSON,
                                .worker = fixture->worker};
    reply_clear(&fixture->reply);
    const struct route *route = router_find(&router, request, &fixture->reply);
    assert_non_null(route);
    if (route->begin == NULL || route->begin(&fixture->app, request, &fixture->reply)) {
        if (route->body != NULL) {
            route->body(&fixture->app, request, body, strlen(body));
        }
        route->handle(&fixture->app, request, &fixture->reply);
    }
    if (route->end != NULL) {
        route->end(&fixture->app, request);
    }
    return json_loadb(fixture->reply.body.data, fixture->reply.body.length, 0, NULL);
}

static void rows_are_scored_in_their_order(void **state)
{
    struct fixture *fixture = *state;
    json_t *json =
        send(fixture, HTTP_POST, "/v1/models/m/score",
             "{\"samples\":[[50,50,50],[5e8,-5e8,5e8]],\"ids\":[\"a\",\"b\"]}");
    assert_int_equal(fixture->reply.status, 200);
    const json_t *results = json_object_get(json, "results");
    const json_t *first = json_array_get(results, 0),
                 *second = json_array_get(results, 1);
    assert_int_equal(json_array_size(results), 2);
    assert_string_equal(json_string_value(json_object_get(first, "id")), "a");
    assert_string_equal(json_string_value(json_object_get(second, "id")), "b");
    assert_true(json_number_value(json_object_get(first, "score")) <
                json_number_value(json_object_get(second, "score")));
    json_decref(json);
}

static void a_state_is_used_again_by_the_next_request(void **state)
{
    struct fixture *fixture = *state;
    struct worker *worker = fixture->worker;
    json_decref(
        send(fixture, HTTP_POST, "/v1/models/m/score", "{\"samples\":[[1,2,3]]}"));
    const struct idle *kept = worker->idle.first;
    assert_non_null(kept);
    json_decref(send(fixture, HTTP_POST, "/v1/models/m/score", "{\"samples\":[[1,2]]}"));
    assert_int_equal(fixture->reply.status, 422);
    assert_ptr_equal(worker->idle.first, kept);
}

static void an_unknown_model_is_404_before_the_body(void **state)
{
    struct fixture *fixture = *state;
    json_decref(send(fixture, HTTP_POST, "/v1/models/none/score", "{"));
    assert_int_equal(fixture->reply.status, 404);
    json_decref(send(fixture, HTTP_GET, "/v1/models/m/versions/9", ""));
    assert_int_equal(fixture->reply.status, 404);
}

static void a_model_is_described_with_its_card(void **state)
{
    struct fixture *fixture = *state;
    json_t *json = send(fixture, HTTP_GET, "/v1/models/m", "");
    assert_int_equal(fixture->reply.status, 200);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "live");
    assert_int_equal(json_array_size(json_object_get(json, "feature_names")), FEATURES);
    assert_true(json_is_object(json_object_get(json, "card")));
    json_decref(json);
}

/* ---- Explanations ---- */

static void features_are_explained_in_falling_order(void **state)
{
    struct fixture *fixture = *state;
    json_t *json = send(fixture, HTTP_POST, "/v1/models/m/score",
                        "{\"samples\":[[50,900,null],[80,90,70]],\"explain\":9}");
    assert_int_equal(fixture->reply.status, 200);
    for (size_t i = 0; i < 2; i++) {
        const json_t *result = json_array_get(json_object_get(json, "results"), i);
        const json_t *features = json_object_get(result, "explanation");
        double sum = json_number_value(json_object_get(result, "base")), before = 1e9;
        assert_int_equal(json_array_size(features), FEATURES);
        for (size_t j = 0; j < FEATURES; j++) {
            const json_t *part =
                json_object_get(json_array_get(features, j), "contribution");
            assert_true(fabs(json_number_value(part)) <= before);
            before = fabs(json_number_value(part));
            sum += json_number_value(part);
        }
        assert_near_floor(sum, json_number_value(json_object_get(result, "score")), 1e-5,
                          1);
    }
    json_decref(json);
}

static void a_missing_value_is_null_and_contributes_nothing(void **state)
{
    struct fixture *fixture = *state;
    json_t *json = send(fixture, HTTP_POST, "/v1/models/m/score",
                        "{\"samples\":[[50,900,null]],\"explain\":3}");
    const json_t *result = json_array_get(json_object_get(json, "results"), 0);
    const json_t *last = json_array_get(json_object_get(result, "explanation"), 2);
    const json_t *first = json_array_get(json_object_get(result, "explanation"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "feature")), "x1");
    assert_near(json_number_value(json_object_get(first, "value")), 900, 1e-9);
    assert_string_equal(json_string_value(json_object_get(last, "feature")), "x2");
    assert_true(json_is_null(json_object_get(last, "value")));
    assert_true(json_number_value(json_object_get(last, "contribution")) == 0);
    json_decref(json);
}

static void only_so_many_features_are_explained(void **state)
{
    struct fixture *fixture = *state;
    json_t *json = send(fixture, HTTP_POST, "/v1/models/m/score",
                        "{\"explain\":1,\"samples\":[[50,900,1]],\"ids\":[\"a\"]}");
    const json_t *result = json_array_get(json_object_get(json, "results"), 0);
    assert_int_equal(json_array_size(json_object_get(result, "explanation")), 1);
    assert_string_equal(json_string_value(json_object_get(result, "id")), "a");
    json_decref(json);
    json = send(fixture, HTTP_POST, "/v1/models/m/score",
                "{\"explain\":0,\"samples\":[[50,900,1]]}");
    result = json_array_get(json_object_get(json, "results"), 0);
    assert_null(json_object_get(result, "base"));
    json_decref(json);
}

static void an_answer_explains_only_so_many_rows(void **state)
{
    struct fixture *fixture = *state;
    struct buffer body = {0};
    atomic_store(&fixture->app.max_rows, 20000);
    buffer_append_text(&body, "{\"explain\":1,\"samples\":[[1,2,3]");
    for (size_t i = 0; i < 10000; i++) {
        buffer_append_text(&body, ",[1,2,3]");
    }
    buffer_append_text(&body, "]}");
    char *text = buffer_take_string(&body);
    json_t *json = send(fixture, HTTP_POST, "/v1/models/m/score", text);
    assert_int_equal(fixture->reply.status, 413);
    assert_non_null(strstr(json_string_value(json_object_get(json, "detail")), "10000"));
    json_decref(json);
    free(text);
    atomic_store(&fixture->app.max_rows, 100);
}

/* ---- Keeping ---- */

/* A store that notes what it is given last. */
struct noting_store {
    struct store store;
    bool full;
    size_t calls;
    struct store_keep keep;
    char model[65];
    char ids[4][STORE_ID_MAX + 1];
    float x[4 * FEATURES], scores[4], p_values[4];
};

static bool note(struct store *store, const struct store_keep *keep)
{
    struct noting_store *noting = (struct noting_store *)store;
    noting->calls++;
    noting->keep = *keep;
    snprintf(noting->model, sizeof noting->model, "%s", keep->model);
    for (size_t i = 0; i < keep->count && i < 4; i++) {
        snprintf(noting->ids[i], sizeof noting->ids[i], "%s", keep->ids[i]);
        memcpy(noting->x + i * FEATURES, keep->x + i * FEATURES,
               FEATURES * sizeof(float));
        noting->scores[i] = keep->scores[i];
        noting->p_values[i] = keep->p_values[i];
    }
    return !noting->full;
}

static const struct store_ops noting_ops = {.keep = note};

/* Scores with this store in place. */
static json_t *send_with_store(struct fixture *fixture, struct noting_store *store,
                               const char *body)
{
    store->store.ops = &noting_ops;
    fixture->app.store = &store->store;
    json_t *json = send(fixture, HTTP_POST, "/v1/models/m/score", body);
    fixture->app.store = NULL;
    assert_int_equal(fixture->reply.status, 200);
    return json;
}

static const char keep_two[] = "{\"samples\":[[1,null,3],[40,50,60]],\"keep\":true}";

static void kept_rows_are_those_of_the_answer(void **state)
{
    struct fixture *fixture = *state;
    struct noting_store store = {.full = false};
    json_t *json = send_with_store(fixture, &store, keep_two);
    assert_true(json_is_true(json_object_get(json, "kept")));
    assert_int_equal(store.keep.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *result = json_array_get(json_object_get(json, "results"), i);
        assert_string_equal(json_string_value(json_object_get(result, "id")),
                            store.ids[i]);
        assert_near(store.scores[i], json_number_value(json_object_get(result, "score")),
                    1e-6);
        assert_near(store.p_values[i],
                    json_number_value(json_object_get(result, "p_value")), 1e-6);
    }
    json_decref(json);
}

static void kept_rows_say_what_scored_them(void **state)
{
    struct fixture *fixture = *state;
    struct noting_store store = {.full = false};
    json_decref(send_with_store(fixture, &store, keep_two));
    assert_string_equal(store.model, "m");
    assert_int_equal(store.keep.version, 1);
    assert_int_equal(store.keep.features, FEATURES);
    assert_true(store.keep.scored_at_ms > INT64_C(1500000000000));
    assert_true(store.x[0] == 1 && isnan(store.x[1]) && store.x[5] == 60);
}

static void ids_of_the_request_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct noting_store store = {.full = false};
    json_decref(send_with_store(fixture, &store,
                                "{\"samples\":[[1,2,3],[4,5,6]],\"keep\":true,"
                                "\"ids\":[\"a\",\"t:2\"],\"explain\":1}"));
    assert_string_equal(store.ids[0], "a");
    assert_string_equal(store.ids[1], "t:2");
}

static void a_full_queue_is_told_and_no_error(void **state)
{
    struct fixture *fixture = *state;
    struct noting_store store = {.full = true};
    json_t *json = send_with_store(fixture, &store, keep_two);
    assert_true(json_is_false(json_object_get(json, "kept")));
    assert_int_equal(store.calls, 1);
    json_decref(json);
}

static void nothing_is_kept_unless_asked(void **state)
{
    struct fixture *fixture = *state;
    struct noting_store store = {.full = false};
    json_t *json = send_with_store(fixture, &store, "{\"samples\":[[1,2,3]]}");
    assert_null(json_object_get(json, "kept"));
    assert_int_equal(store.calls, 0);
    json_decref(json);
}

static void without_a_store_nothing_is_kept(void **state)
{
    struct fixture *fixture = *state;
    json_t *json = send(fixture, HTTP_POST, "/v1/models/m/score", keep_two);
    assert_int_equal(fixture->reply.status, 200);
    assert_true(json_is_false(json_object_get(json, "kept")));
    json_decref(json);
}

static void the_policy_decides_what_is_kept(void **state)
{
    (void)state;
    struct policy policy = {.capture = POLICY_CAPTURE_REQUESTED};
    assert_true(keep_wanted(&policy, true));
    assert_false(keep_wanted(&policy, false));
    policy.capture = POLICY_CAPTURE_ALL;
    assert_true(keep_wanted(&policy, false));
    policy.capture = POLICY_CAPTURE_NONE;
    assert_false(keep_wanted(&policy, true));
}

static void readiness_ends_with_the_drain(void **state)
{
    struct fixture *fixture = *state;
    json_decref(send(fixture, HTTP_GET, "/v2/health/ready", ""));
    assert_int_equal(fixture->reply.status, 200);
    atomic_store(&fixture->app.draining, true);
    json_decref(send(fixture, HTTP_GET, "/v2/health/ready", ""));
    assert_int_equal(fixture->reply.status, 503);
    assert_true(fixture->reply.retry_after > 0);
    atomic_store(&fixture->app.draining, false);
}

static void without_a_store_its_endpoints_are_503(void **state)
{
    static const struct {
        enum http_method method;
        const char *path;
    } routes_[] = {
        {HTTP_POST, "/v1/models/m/labels"},     {HTTP_GET, "/v1/models/m/labels"},
        {HTTP_DELETE, "/v1/models/m/labels/a"}, {HTTP_GET, "/v1/models/m/samples/a"},
        {HTTP_GET, "/v1/models/m/review"},      {HTTP_GET, "/v1/models/m/jobs"},
        {HTTP_POST, "/v1/models/m/retrain"},    {HTTP_GET, "/v1/jobs/a"},
        {HTTP_POST, "/v1/models/m/release"},    {HTTP_DELETE, "/v1/jobs/a"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof routes_ / sizeof routes_[0]; i++) {
        json_decref(send(fixture, routes_[i].method, routes_[i].path, "{}"));
        assert_int_equal(fixture->reply.status, 503);
        assert_true(fixture->reply.retry_after > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_scored_in_their_order),
        cmocka_unit_test(a_state_is_used_again_by_the_next_request),
        cmocka_unit_test(an_unknown_model_is_404_before_the_body),
        cmocka_unit_test(a_model_is_described_with_its_card),
        cmocka_unit_test(features_are_explained_in_falling_order),
        cmocka_unit_test(a_missing_value_is_null_and_contributes_nothing),
        cmocka_unit_test(only_so_many_features_are_explained),
        cmocka_unit_test(an_answer_explains_only_so_many_rows),
        cmocka_unit_test(kept_rows_are_those_of_the_answer),
        cmocka_unit_test(kept_rows_say_what_scored_them),
        cmocka_unit_test(ids_of_the_request_are_kept),
        cmocka_unit_test(a_full_queue_is_told_and_no_error),
        cmocka_unit_test(nothing_is_kept_unless_asked),
        cmocka_unit_test(without_a_store_nothing_is_kept),
        cmocka_unit_test(the_policy_decides_what_is_kept),
        cmocka_unit_test(readiness_ends_with_the_drain),
        cmocka_unit_test(without_a_store_its_endpoints_are_503),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
