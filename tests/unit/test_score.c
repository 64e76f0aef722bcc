/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints as functions of (app, request, reply): a model, and no socket. */
#include "../testing.h"

#include <stdlib.h>
#include <unistd.h>

#include "api/health.h"
#include "api/models.h"
#include "api/routes.h"
#include "api/score.h"

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
    const struct scoring *kept = worker->idle;
    assert_non_null(kept);
    json_decref(send(fixture, HTTP_POST, "/v1/models/m/score", "{\"samples\":[[1,2]]}"));
    assert_int_equal(fixture->reply.status, 422);
    assert_ptr_equal(worker->idle, kept);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_scored_in_their_order),
        cmocka_unit_test(a_state_is_used_again_by_the_next_request),
        cmocka_unit_test(an_unknown_model_is_404_before_the_body),
        cmocka_unit_test(a_model_is_described_with_its_card),
        cmocka_unit_test(readiness_ends_with_the_drain),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
