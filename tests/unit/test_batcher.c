/* SPDX-License-Identifier: Apache-2.0 */
/* Requests scored together: each gets its own scores, none is lost or forgotten. */
#include "../sample_data.h"

#include <pthread.h>
#include <stdatomic.h>

#include "api/batcher.h"
#include "api/routes.h"

enum { FEATURES = 6, ROWS = 64, CLIENTS = 8, ROUNDS = 150, MODELS = 20 };

struct fixture {
    struct deepsad_model *models[2];
    struct deepsad_dataset data; /* rows to be scored */
    float *scores[2];            /* theirs */
    float *p_values[2];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct deepsad_dataset training = sample_data(200, 10, 10, FEATURES);
    struct deepsad_recipe *recipe = sample_reference();
    fixture->data = sample_data(ROWS, 0, 0, FEATURES);
    for (size_t m = 0; m < 2; m++) {
        sample_set(recipe, "hidden", m == 0 ? "8,4" : "12,4");
        fixture->models[m] = sample_model(&training, recipe, 1);
        fixture->scores[m] = calloc(ROWS, sizeof(float));
        fixture->p_values[m] = calloc(ROWS, sizeof(float));
        sample_scores(fixture->models[m], fixture->scores[m], fixture->p_values[m],
                      &fixture->data);
    }
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&training);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    for (size_t m = 0; m < 2; m++) {
        deepsad_model_unref(fixture->models[m]);
        free(fixture->scores[m]);
        free(fixture->p_values[m]);
    }
    deepsad_dataset_clear(&fixture->data);
    free(fixture);
    return 0;
}

/* A request and who waits for it. */
struct client {
    struct executor_task task; /* first */
    struct catalog_entry entry;
    struct catalog_version version;
    struct scoring scoring;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t back; /* times it was given back */
};

static void give_back(struct executor_task *task, void *worker, bool cancelled)
{
    struct client *client = (struct client *)task;
    pthread_mutex_lock(&client->mutex);
    client->back += worker == NULL && !cancelled ? 1 : 1000;
    pthread_cond_signal(&client->changed);
    pthread_mutex_unlock(&client->mutex);
}

static void client_init(struct client *client, struct deepsad_model *model, double delay)
{
    *client = (struct client){.task = {.run = give_back}};
    client->entry.name = strdup("m");
    client->entry.alpha = 0.5;
    client->entry.policy.batching.delay = delay;
    client->entry.policy.batching.rows = 16;
    client->version.model = model;
    pthread_mutex_init(&client->mutex, NULL);
    pthread_cond_init(&client->changed, NULL);
}

static void client_done(struct client *client)
{
    scoring_done(&client->scoring);
    free(client->entry.name);
    pthread_cond_destroy(&client->changed);
    pthread_mutex_destroy(&client->mutex);
}

/* The next request: rows of the data from `first` on. */
static void fill(struct client *client, const struct fixture *fixture, size_t first,
                 size_t rows)
{
    struct scoring *scoring = &client->scoring;
    scoring->entry = &client->entry;
    scoring->version = &client->version;
    scoring->scored = scoring->anomalous = 0;
    scoring->sample = (struct inference_sample){.rows = 0};
    scoring->rows.columns.count = FEATURES;
    scoring->rows.count = rows;
    scoring->rows.x = realloc(scoring->rows.x, rows * FEATURES * sizeof(float));
    memcpy(scoring->rows.x, fixture->data.x + first * FEATURES,
           rows * FEATURES * sizeof(float));
    client->back = 0;
}

static void wait_until_back(struct client *client)
{
    pthread_mutex_lock(&client->mutex);
    while (client->back == 0) {
        pthread_cond_wait(&client->changed, &client->mutex);
    }
    pthread_mutex_unlock(&client->mutex);
}

static bool is_near(float value, float expected)
{
    return fabs((double)value - (double)expected) <= 1e-5 * fabs((double)expected) + 1e-7;
}

/* Whether it came back once, with the scores of its rows. */
static bool is_right(const struct client *client, const struct fixture *fixture, size_t m,
                     size_t first, size_t rows)
{
    const struct scoring *scoring = &client->scoring;
    size_t anomalous = 0;
    bool right = client->back == 1 && scoring->scored == rows;
    for (size_t i = 0; i < rows && right; i++) {
        right = is_near(scoring->scores[i], fixture->scores[m][first + i]) &&
                is_near(scoring->p_values[i], fixture->p_values[m][first + i]);
        anomalous += (double)scoring->p_values[i] <= client->entry.alpha;
    }
    return right && scoring->anomalous == anomalous;
}

static struct batcher *start(size_t threads)
{
    struct batcher *batcher = NULL;
    assert_int_equal(batcher_new(&batcher, NULL, NULL, threads, NULL), DEEPSAD_OK);
    return batcher;
}

static void what_comes_together_is_scored_together(void **state)
{
    const struct fixture *fixture = *state;
    static struct client clients[2];
    struct metrics *metrics = NULL;
    struct batcher *batcher = NULL;
    struct buffer text = {0};
    assert_int_equal(metrics_new(&metrics, routes, route_count, NULL), DEEPSAD_OK);
    assert_int_equal(batcher_new(&batcher, NULL, metrics, 1, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < 2; i++) {
        client_init(&clients[i], fixture->models[0], 1000);
        fill(&clients[i], fixture, 3 * i, 2);
    }
    while (!batcher_wants(batcher, &clients[0].scoring)) {
        /* it learns that nobody is there, and tries */
    }
    assert_true(batcher_take(batcher, &clients[0].scoring, &clients[0].task));
    assert_true(batcher_take(batcher, &clients[1].scoring, &clients[1].task));
    wait_until_back(&clients[0]);
    wait_until_back(&clients[1]);
    assert_true(is_right(&clients[0], fixture, 0, 0, 2));
    assert_true(is_right(&clients[1], fixture, 0, 3, 2));
    assert_true(clients[0].scoring.sample.infer_ns > 0);
    counter_render(metrics_set(metrics), &text);
    char *string = buffer_take_string(&text);
    assert_non_null(strstr(string, "deepsad_batches_total{model=\"m\"} 1\n"));
    assert_non_null(strstr(string, "deepsad_batched_requests_total{model=\"m\"} 2\n"));
    free(string);
    batcher_free(batcher);
    metrics_free(metrics);
    client_done(&clients[0]);
    client_done(&clients[1]);
}

static void who_comes_alone_is_scored_after_the_delay(void **state)
{
    const struct fixture *fixture = *state;
    struct batcher *batcher = start(2);
    struct client client;
    client_init(&client, fixture->models[0], 0.001);
    fill(&client, fixture, 5, 3);
    while (!batcher_wants(batcher, &client.scoring)) {
    }
    assert_true(batcher_take(batcher, &client.scoring, &client.task));
    wait_until_back(&client);
    assert_true(is_right(&client, fixture, 0, 5, 3));
    assert_true(client.scoring.sample.queue_ns >= 1000000);
    batcher_free(batcher);
    client_done(&client);
}

static void who_cannot_gain_does_not_wait(void **state)
{
    const struct fixture *fixture = *state;
    struct batcher *batcher = start(1);
    struct client client;
    client_init(&client, fixture->models[0], 0);
    fill(&client, fixture, 0, 1);
    assert_false(batcher_used(NULL, &client.scoring));
    assert_false(batcher_used(batcher, &client.scoring)); /* the policy says no */
    client.entry.policy.batching.delay = 1;
    assert_true(batcher_used(batcher, &client.scoring));
    for (size_t i = 0; i < 1000; i++) {
        fill(&client, fixture, 0, 16); /* a batch of its own */
        assert_false(batcher_wants(batcher, &client.scoring));
        fill(&client, fixture, 0, 2);
        client.scoring.scored = 1;
        assert_false(batcher_wants(batcher, &client.scoring));
    }
    batcher_free(batcher);
    client_done(&client);
}

static void stopping_scores_what_waits_and_takes_no_more(void **state)
{
    const struct fixture *fixture = *state;
    static struct client clients[5];
    struct batcher *batcher = start(2);
    for (size_t i = 0; i < 5; i++) {
        client_init(&clients[i], fixture->models[i % 2], 1000);
        fill(&clients[i], fixture, i, 1);
        while (i < 2 && !batcher_wants(batcher, &clients[i].scoring)) {
        }
    }
    assert_true(batcher_take(batcher, &clients[0].scoring, &clients[0].task));
    assert_true(batcher_take(batcher, &clients[1].scoring, &clients[1].task));
    batcher_stop(batcher);
    assert_true(is_right(&clients[0], fixture, 0, 0, 1));
    assert_true(is_right(&clients[1], fixture, 1, 1, 1));
    assert_false(batcher_wants(batcher, &clients[2].scoring));
    assert_false(batcher_take(batcher, &clients[2].scoring, &clients[2].task));
    assert_int_equal(clients[2].back, 0);
    batcher_free(batcher);
    batcher_free(NULL);
    for (size_t i = 0; i < 5; i++) {
        client_done(&clients[i]);
    }
}

/* ---- Many at once ---- */

struct caller {
    struct client client;
    struct batcher *batcher;
    const struct fixture *fixture;
    size_t number, wrong, waited;
    pthread_t id;
};

/* Now and then another model, as after a hot swap. */
static void *call(void *closure)
{
    struct caller *caller = closure;
    struct client *client = &caller->client;
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t m = (caller->number + i / 10) % 2, rows = 1 + (i + caller->number) % 5;
        size_t first = (7 * i + caller->number) % (ROWS - 5);
        client->version.model = caller->fixture->models[m];
        fill(client, caller->fixture, first, rows);
        if (batcher_wants(caller->batcher, &client->scoring) &&
            batcher_take(caller->batcher, &client->scoring, &client->task)) {
            wait_until_back(client);
            caller->waited++;
            caller->wrong += !is_right(client, caller->fixture, m, first, rows);
        }
    }
    return NULL;
}

static void run_callers(const struct fixture *fixture, size_t threads, double delay)
{
    static struct caller callers[CLIENTS];
    struct batcher *batcher = start(threads);
    size_t waited = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct caller *caller = &callers[i];
        *caller = (struct caller){.batcher = batcher, .fixture = fixture, .number = i};
        client_init(&caller->client, fixture->models[0], delay);
        assert_int_equal(pthread_create(&caller->id, NULL, call, caller), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(callers[i].id, NULL);
        assert_int_equal(callers[i].wrong, 0);
        waited += callers[i].waited;
    }
    assert_true(waited > 0);
    batcher_free(batcher);
    for (size_t i = 0; i < CLIENTS; i++) {
        client_done(&callers[i].client);
    }
}

static void each_request_of_many_at_once_gets_its_own_scores(void **state)
{
    for (size_t threads = 1; threads <= 4; threads += 3) {
        run_callers(*state, threads, 0.0002);
        run_callers(*state, threads, 0.002);
    }
}

/* More models at once than there are lanes: the others are not taken. */
static void models_beyond_those_that_may_wait_are_scored_directly(void **state)
{
    const struct fixture *fixture = *state;
    static struct client clients[MODELS];
    struct batcher *batcher = start(1);
    struct deepsad_model *unread[MODELS]; /* no batch is due before the end */
    size_t taken = 0;
    for (size_t i = 0; i < MODELS; i++) {
        struct deepsad_recipe *recipe = sample_reference();
        sample_set(recipe, "hidden", "4");
        unread[i] = sample_model(&fixture->data, recipe, 1);
        deepsad_recipe_free(recipe);
        client_init(&clients[i], unread[i], 1000);
        fill(&clients[i], fixture, 0, 1);
        for (size_t tries = 0;
             tries < 100 && !batcher_wants(batcher, &clients[i].scoring); tries++) {
        }
        taken += batcher_take(batcher, &clients[i].scoring, &clients[i].task);
    }
    assert_in_range(taken, 2, MODELS - 1);
    batcher_free(batcher); /* scores them */
    for (size_t i = 0; i < MODELS; i++) {
        assert_int_equal(clients[i].back, i < taken ? 1 : 0);
        client_done(&clients[i]);
        deepsad_model_unref(unread[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_together_is_scored_together),
        cmocka_unit_test(who_comes_alone_is_scored_after_the_delay),
        cmocka_unit_test(who_cannot_gain_does_not_wait),
        cmocka_unit_test(stopping_scores_what_waits_and_takes_no_more),
        cmocka_unit_test(each_request_of_many_at_once_gets_its_own_scores),
        cmocka_unit_test(models_beyond_those_that_may_wait_are_scored_directly),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
