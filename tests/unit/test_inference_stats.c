/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of scoring requests, from several threads, and more versions than are told
 * apart.
 */
#include "api/inference_stats.h"

#include "../testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/app.h"
#include "api/routes.h"

enum { THREADS = 4, REQUESTS = 2000 };

struct fixture {
    char folder[32];
    struct app app;
    struct request request;
    struct reply reply;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char path[64];
    strcpy(fixture->folder, "/tmp/deepsad-stats-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(path, sizeof path, "%s/m", fixture->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/m/1", fixture->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/m/1/model.safetensors", fixture->folder);
    close(
        open(path, O_CREAT | O_WRONLY, 0600)); /* a version, if one that does not load */
    struct registry_options options = {.directory = fixture->folder,
                                       .versions_loaded = 1};
    assert_int_equal(registry_open(&fixture->app.registry, &options, NULL), DEEPSAD_OK);
    assert_int_equal(inference_stats_new(&fixture->app.inference_stats, NULL),
                     DEEPSAD_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    static const char *const parts[] = {"/m/1/model.safetensors", "/m/1", "/m", ""};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s%s", fixture->folder, parts[i]);
        if (unlink(path) != 0) {
            rmdir(path);
        }
    }
    registry_close(fixture->app.registry);
    inference_stats_free(fixture->app.inference_stats);
    reply_done(&fixture->reply);
    free(fixture);
    return 0;
}

/* The statistics of version 1 of m; the caller owns it. */
static json_t *read_stats(struct fixture *fixture)
{
    reply_clear(&fixture->reply);
    fixture->request = (struct request){.parameters = {{"m", 1}, {"1", 1}}};
    handle_stats(&fixture->app, &fixture->request, &fixture->reply);
    assert_int_equal(fixture->reply.status, 200);
    json_t *all =
        json_loadb(fixture->reply.body.data, fixture->reply.body.length, 0, NULL);
    json_t *one = json_incref(json_array_get(json_object_get(all, "model_stats"), 0));
    json_decref(all);
    return one;
}

static json_int_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void *record(void *closure)
{
    struct fixture *fixture = closure;
    struct inference_series *cached = NULL;
    for (size_t i = 0; i < REQUESTS; i++) {
        struct inference_sample sample = {.rows = 1 + i % 3,
                                          .input_ns = 2,
                                          .infer_ns = 3,
                                          .total_ns = 10,
                                          .success = i % 10 != 0};
        unsigned version = i % 2 == 0 ? 1 : 2; /* the cached one changes each time */
        inference_stats_record(fixture->app.inference_stats, &cached, "m", version,
                               &sample);
    }
    return NULL;
}

static void threads_count_together(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, record, fixture);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    json_t *one = read_stats(fixture);
    const json_t *times = json_object_get(one, "inference_stats");
    json_int_t good = THREADS * REQUESTS * 4 / 10, bad = THREADS * REQUESTS / 10;
    assert_int_equal(number(json_object_get(times, "success"), "count"), good);
    assert_int_equal(number(json_object_get(times, "success"), "ns"), 10 * good);
    assert_int_equal(number(json_object_get(times, "fail"), "count"), bad);
    assert_int_equal(number(one, "execution_count"), good);
    assert_int_equal(json_array_size(json_object_get(one, "batch_stats")), 3);
    json_decref(one);
}

static void sizes_beyond_the_limit_are_in_the_sums_only(void **state)
{
    struct fixture *fixture = *state;
    struct inference_series *cached = NULL;
    json_int_t rows = 0;
    for (size_t i = 1; i <= INFERENCE_STATS_BATCHES_MAX + 20; i++) {
        struct inference_sample sample = {.rows = i, .success = true};
        inference_stats_record(fixture->app.inference_stats, &cached, "m", 1, &sample);
        rows += (json_int_t)i;
    }
    json_t *one = read_stats(fixture);
    assert_int_equal(number(one, "inference_count"), rows);
    assert_int_equal(json_array_size(json_object_get(one, "batch_stats")),
                     INFERENCE_STATS_BATCHES_MAX);
    json_decref(one);
}

static void versions_beyond_the_limit_take_the_place_of_others(void **state)
{
    struct fixture *fixture = *state;
    struct inference_series *cached = NULL, *first = NULL;
    struct inference_sample sample = {.rows = 1, .success = true};
    for (unsigned i = 1; i <= INFERENCE_STATS_SERIES_MAX + 10; i++) {
        inference_stats_record(fixture->app.inference_stats, i == 1 ? &first : &cached,
                               "m", i, &sample);
    }
    inference_stats_record(fixture->app.inference_stats, &first, "m", 1, &sample);
    json_t *one = read_stats(fixture);
    json_int_t count = number(one, "inference_count");
    assert_true(count == 1 || count == 2); /* forgotten meanwhile, or not */
    json_decref(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads_count_together, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_beyond_the_limit_are_in_the_sums_only,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            versions_beyond_the_limit_take_the_place_of_others, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
