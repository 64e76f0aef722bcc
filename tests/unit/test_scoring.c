/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are scored while they arrive: what is held of them, and what is not. A
 * model of many features, so that few rows are many bytes. */
#include "../folder.h"
#include "../sample_data.h"

#include "api/routes.h"
#include "api/score.h"
#include "api/scoring.h"
#include "store/store.h"

enum {
    FEATURES = 1024,
    ROW_BYTES = FEATURES * 4,
    MANY = SCORING_HELD_MAX / ROW_BYTES + 600, /* rows, more than are held */
};

struct fixture {
    void *folder;
    struct app app;
    struct worker *worker;
    struct request request;
    struct reply reply;
};

static void write_model(const char *directory)
{
    struct deepsad_dataset data = sample_data(120, 0, 4, FEATURES);
    struct deepsad_recipe *recipe = sample_recipe("reference");
    struct deepsad_error error = {0};
    unsigned version;
    sample_set(recipe, "pretrain_epochs", "0");
    sample_set(recipe, "epochs", "1");
    sample_set(recipe, "hidden", "8");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    if (deepsad_model_save_version(model, directory, &version, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char path[FOLDER_PATH];
    assert_int_equal(folder_setup(&fixture->folder), 0);
    write_model(folder_path(path, &fixture->folder, "w"));
    struct app *app = &fixture->app;
    struct registry_options options = {.directory = fixture->folder,
                                       .versions_loaded = 1};
    assert_int_equal(registry_open(&app->registry, &options, NULL), DEEPSAD_OK);
    assert_int_equal(metrics_new(&app->metrics, routes, route_count, NULL), DEEPSAD_OK);
    atomic_store(&app->max_rows, 100000);
    atomic_store(&app->max_decoded, (size_t)1 << 30);
    fixture->worker = app_worker_new(app);
    assert_non_null(fixture->worker);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    app_worker_free(&fixture->app, fixture->worker);
    registry_close(fixture->app.registry);
    metrics_free(fixture->app.metrics);
    reply_done(&fixture->reply);
    int status = folder_teardown(&fixture->folder);
    free(fixture);
    return status;
}

static void begin(struct scoring *scoring, struct fixture *fixture)
{
    fixture->request = (struct request){.method = HTTP_POST,
                                        .path = "/v1/models/w/score",
                                        .parameters = {{"w", 1}},
                                        .body_type = BODY_JSON,
                                        .worker = fixture->worker};
    reply_clear(&fixture->reply);
    assert_true(
        scoring_begin(scoring, &fixture->app, &fixture->request, &fixture->reply));
}

static float value_of(size_t row, size_t column)
{
    return (float)((row * 31 + column * 7) % 13) / 6.5F - 1;
}

/* One row more; scored as soon as it may be. */
static void add_row(struct scoring *scoring, struct fixture *fixture)
{
    struct rows *rows = &scoring->rows;
    assert_true(rows_begin_row(rows));
    for (size_t j = 0; j < FEATURES; j++) {
        rows->row[j] = value_of(rows->count, j);
    }
    rows->filled = FEATURES;
    assert_true(rows_end_row(rows));
    assert_true(scoring_advance(scoring, fixture->worker));
}

/* ---- Rows ---------------------------------------------------------------------------
 */

static void few_rows_stay_until_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct scoring scoring = {.app = NULL};
    begin(&scoring, fixture);
    for (size_t i = 0; i < SCORING_HELD_MAX / ROW_BYTES / 2; i++) {
        add_row(&scoring, fixture);
    }
    assert_true(scoring_finish(&scoring, fixture->worker));
    assert_true(scoring_has_rows(&scoring));
    assert_int_equal(scoring.scored, SCORING_HELD_MAX / ROW_BYTES / 2);
    assert_true(scoring.rows.x[0] == value_of(0, 0));
    scoring_end(&scoring);
    scoring_done(&scoring);
}

static void many_rows_are_given_up_and_memory_stays_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct scoring scoring = {.app = NULL};
    size_t most = 0;
    begin(&scoring, fixture);
    for (size_t i = 0; i < (size_t)8 * MANY; i++) {
        add_row(&scoring, fixture);
        most = scoring.rows.capacity > most ? scoring.rows.capacity : most;
    }
    assert_true(scoring_finish(&scoring, fixture->worker));
    assert_false(scoring_has_rows(&scoring));
    assert_int_equal(scoring.scored, (size_t)8 * MANY);
    /* of 52 MiB: what is held, as much again until the next block is full, doubled */
    assert_true(most * sizeof(float) <= 4 * (size_t)SCORING_HELD_MAX);
    scoring_end(&scoring);
    scoring_done(&scoring);
}

static void given_up_rows_have_the_scores_of_rows_that_are_held(void **state)
{
    struct fixture *fixture = *state;
    struct scoring held = {.app = NULL}, given_up = {.app = NULL};
    begin(&held, fixture);
    begin(&given_up, fixture);
    held.wants_rows = true;
    for (size_t i = 0; i < MANY; i++) {
        add_row(&held, fixture);
        add_row(&given_up, fixture);
    }
    assert_true(scoring_finish(&held, fixture->worker));
    assert_true(scoring_finish(&given_up, fixture->worker));
    assert_true(scoring_has_rows(&held) && !scoring_has_rows(&given_up));
    assert_memory_equal(held.scores, given_up.scores, MANY * sizeof(float));
    assert_memory_equal(held.p_values, given_up.p_values, MANY * sizeof(float));
    assert_int_equal(held.anomalous, given_up.anomalous);
    assert_true(held.rows.x[(size_t)(MANY - 1) * FEATURES] == value_of(MANY - 1, 0));
    scoring_end(&held);
    scoring_end(&given_up);
    scoring_done(&held);
    scoring_done(&given_up);
}

static void scores_made_elsewhere_count_as_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct scoring own = {.app = NULL}, given = {.app = NULL};
    begin(&own, fixture);
    begin(&given, fixture);
    for (size_t i = 0; i < 5; i++) {
        add_row(&own, fixture);
        add_row(&given, fixture);
    }
    assert_true(scoring_finish(&own, fixture->worker));
    assert_ptr_equal(scoring_unscored(&given), given.rows.x);
    assert_true(scoring_put(&given, own.scores, own.p_values, 5));
    assert_true(scoring_finish(&given, fixture->worker)); /* nothing is left */
    assert_memory_equal(own.scores, given.scores, 5 * sizeof(float));
    assert_memory_equal(own.p_values, given.p_values, 5 * sizeof(float));
    assert_int_equal(given.scored, 5);
    assert_int_equal(given.anomalous, own.anomalous);
    scoring_end(&own);
    scoring_end(&given);
    scoring_done(&own);
    scoring_done(&given);
}

static void a_large_request_leaves_little_to_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct scoring scoring = {.app = NULL};
    begin(&scoring, fixture);
    scoring.wants_rows = true;
    for (size_t i = 0; i < (size_t)2 * MANY; i++) {
        add_row(&scoring, fixture);
    }
    scoring_end(&scoring);
    assert_true(scoring.rows.capacity * sizeof(float) <= SCORING_HELD_MAX);
    scoring_done(&scoring);
}

/* ---- Options that need rows ---------------------------------------------------------
 */

/* So many rows, with the options before them and after them; sent in pieces. */
static char *body(const char *before, size_t rows, const char *after)
{
    struct buffer out = {0};
    buffer_printf(&out, "{%s\"samples\":[", before);
    for (size_t i = 0; i < rows; i++) {
        buffer_append_text(&out, i > 0 ? ",[" : "[");
        for (size_t j = 0; j < FEATURES; j++) {
            buffer_append(&out, j > 0 ? ",1" : "1", j > 0 ? 2 : 1);
        }
        buffer_append_text(&out, "]");
    }
    buffer_printf(&out, "]%s}", after);
    return buffer_take_string(&out);
}

static json_t *post(struct fixture *fixture, char *text)
{
    struct scoring unused = {.app = NULL};
    begin(&unused, fixture); /* the request and the reply */
    scoring_end(&unused);
    scoring_done(&unused);
    struct request *request = &fixture->request;
    size_t size = strlen(text), piece = 1 << 16;
    assert_true(score_begin(&fixture->app, request, &fixture->reply));
    for (size_t at = 0; at < size; at += piece) {
        score_body(&fixture->app, request, text + at,
                   size - at < piece ? size - at : piece);
    }
    score_handle(&fixture->app, request, &fixture->reply);
    score_end(&fixture->app, request);
    free(text);
    return json_loadb(fixture->reply.body.data, fixture->reply.body.length, 0, NULL);
}

static void expect_refusal(struct fixture *fixture, char *text, const char *says)
{
    json_t *json = post(fixture, text);
    assert_int_equal(fixture->reply.status, 422);
    assert_non_null(strstr(json_string_value(json_object_get(json, "detail")), says));
    json_decref(json);
}

static void an_explanation_is_asked_for_before_many_rows(void **state)
{
    struct fixture *fixture = *state;
    expect_refusal(fixture, body("", MANY, ",\"explain\":1"),
                   "write \"explain\" before \"samples\"");
    json_t *json = post(fixture, body("\"explain\":1,", MANY, ""));
    assert_int_equal(fixture->reply.status, 200);
    const json_t *last =
        json_array_get(json_object_get(json, "results"), (size_t)MANY - 1);
    assert_int_equal(json_array_size(json_object_get(last, "explanation")), 1);
    json_decref(json);
    json_decref(post(fixture, body("", 3, ",\"explain\":1")));
    assert_int_equal(fixture->reply.status, 200);
}

/* A store that counts the rows it is given, with their last value. */
struct counting_store {
    struct store store;
    size_t rows;
    float last;
};

static bool count(struct store *store, const struct store_keep *keep)
{
    struct counting_store *counting = (struct counting_store *)store;
    counting->rows += keep->count;
    counting->last = keep->x[keep->count * keep->features - 1];
    return true;
}

static void rows_are_asked_to_be_kept_before_many_of_them(void **state)
{
    static const struct store_ops ops = {.keep = count};
    struct fixture *fixture = *state;
    struct counting_store store = {.store.ops = &ops};
    fixture->app.store = &store.store;
    expect_refusal(fixture, body("", MANY, ",\"keep\":true"),
                   "write \"keep\" before \"samples\"");
    assert_int_equal(store.rows, 0);
    json_decref(post(fixture, body("\"keep\":true,", MANY, "")));
    fixture->app.store = NULL;
    assert_int_equal(fixture->reply.status, 200);
    assert_int_equal(store.rows, MANY);
    assert_true(store.last == 1);
}

/* The catalog's policy, as if model.yaml said so. */
static void set_capture(struct fixture *fixture, const char *text)
{
    char path[FOLDER_PATH];
    struct registry_options options = {.directory = fixture->folder,
                                       .versions_loaded = 1};
    FILE *file = fopen(folder_path(path, &fixture->folder, "w/model.yaml"), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(registry_reload(fixture->app.registry, &options, NULL), DEEPSAD_OK);
}

static void a_policy_that_keeps_all_rows_holds_them_all(void **state)
{
    static const struct store_ops ops = {.keep = count};
    struct fixture *fixture = *state;
    struct counting_store store = {.store.ops = &ops};
    fixture->app.store = &store.store;
    set_capture(fixture, "capture: all\n");
    json_decref(post(fixture, body("", MANY, "")));
    set_capture(fixture, "capture: requested\n");
    fixture->app.store = NULL;
    assert_int_equal(fixture->reply.status, 200);
    assert_int_equal(store.rows, MANY);
    assert_true(store.last == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_rows_stay_until_the_end),
        cmocka_unit_test(many_rows_are_given_up_and_memory_stays_bounded),
        cmocka_unit_test(given_up_rows_have_the_scores_of_rows_that_are_held),
        cmocka_unit_test(scores_made_elsewhere_count_as_its_own),
        cmocka_unit_test(a_large_request_leaves_little_to_the_next),
        cmocka_unit_test(an_explanation_is_asked_for_before_many_rows),
        cmocka_unit_test(rows_are_asked_to_be_kept_before_many_of_them),
        cmocka_unit_test(a_policy_that_keeps_all_rows_holds_them_all),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
