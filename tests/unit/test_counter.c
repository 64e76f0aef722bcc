/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/counter.h"

enum { TOTAL, GAUGE, SECONDS, FAMILIES, THREADS = 4, ROUNDS = 20000 };

static const struct counter_family families[FAMILIES] = {
    [TOTAL] = {"t_total", COUNTER_TOTAL, {"a", "b"}, "Things."},
    [GAUGE] = {"g_bytes", COUNTER_GAUGE, {NULL}, "Size."},
    [SECONDS] = {"s_seconds", COUNTER_HISTOGRAM, {"a"}, "Time."},
};

static struct counter_set *new_set(void)
{
    struct counter_set *set = NULL;
    assert_int_equal(counter_set_new(&set, families, FAMILIES, NULL), DEEPSAD_OK);
    return set;
}

static struct counter *series(struct counter_set *set, size_t family, const char *a,
                              const char *b)
{
    const char *values[] = {a, b};
    return counter_series(set, family, values);
}

static char *render(struct counter_set *set)
{
    struct buffer text = {0};
    counter_render(set, &text);
    return buffer_take_string(&text);
}

static void a_series_is_found_again_by_its_labels(void **state)
{
    struct counter_set *set = new_set();
    (void)state;
    struct counter *one = series(set, TOTAL, "x", "y");
    assert_ptr_equal(series(set, TOTAL, "x", "y"), one);
    assert_ptr_not_equal(series(set, TOTAL, "x", "z"), one);
    counter_add(one, 2);
    counter_add(one, 3);
    assert_near(counter_value(one), 5, 0);
    counter_set_free(set);
}

static void the_text_is_as_prometheus_wants_it(void **state)
{
    struct counter_set *set = new_set();
    (void)state;
    counter_add(series(set, TOTAL, "a\"\\\n", "y"), 7);
    counter_set_value(series(set, GAUGE, NULL, NULL), 12345678901.0);
    char *text = render(set);
    assert_string_equal(text, "# HELP t_total Things.\n# TYPE t_total counter\n"
                              "t_total{a=\"a\\\"\\\\\\n\",b=\"y\"} 7\n"
                              "# HELP g_bytes Size.\n# TYPE g_bytes gauge\n"
                              "g_bytes 12345678901\n");
    free(text);
    counter_set_free(set);
}

static void buckets_are_cumulative_and_end_at_the_count(void **state)
{
    struct counter_set *set = new_set();
    (void)state;
    struct counter *one = series(set, SECONDS, "x", NULL);
    counter_observe(one, 0.0);
    counter_observe(one, 0.002);
    counter_observe(one, 100.0);
    char *text = render(set);
    assert_non_null(strstr(text, "s_seconds_bucket{a=\"x\",le=\"2.5e-05\"} 1\n"));
    assert_non_null(strstr(text, "s_seconds_bucket{a=\"x\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr(text, "s_seconds_bucket{a=\"x\",le=\"0.0025\"} 2\n"));
    assert_non_null(strstr(text, "s_seconds_bucket{a=\"x\",le=\"10\"} 2\n"));
    assert_non_null(strstr(text, "s_seconds_bucket{a=\"x\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "s_seconds_sum{a=\"x\"} 100.002\n"));
    assert_non_null(strstr(text, "s_seconds_count{a=\"x\"} 3\n"));
    free(text);
    counter_set_free(set);
}

static void *count_up(void *closure)
{
    for (int i = 0; i < ROUNDS; i++) {
        counter_add(series(closure, TOTAL, i % 2 ? "odd" : "even", "y"), 1);
    }
    return NULL;
}

static void threads_lose_no_event(void **state)
{
    struct counter_set *set = new_set();
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, set), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_near(counter_value(series(set, TOTAL, "odd", "y")), THREADS * ROUNDS / 2, 0);
    assert_near(counter_value(series(set, TOTAL, "even", "y")), THREADS * ROUNDS / 2, 0);
    counter_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_is_found_again_by_its_labels),
        cmocka_unit_test(the_text_is_as_prometheus_wants_it),
        cmocka_unit_test(buckets_are_cumulative_and_end_at_the_count),
        cmocka_unit_test(threads_lose_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
