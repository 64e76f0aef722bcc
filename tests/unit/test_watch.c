/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "../stores.h"
#include "base/clock.h"
#include "learn/watch.h"

static const double debounce = 0.25, far = 1e12;

/* ---- A store that counts as many changes as it is told ----------------------------- */

struct counting {
    struct store store;
    size_t changes; /* after seq 0; after seq n, n fewer */
    size_t samples, asked;
    bool broken;
};

static int count_changes(struct store *store, size_t *count, const char *model,
                         int64_t after, struct deepsad_error *error)
{
    struct counting *counting = (struct counting *)store;
    (void)model;
    counting->asked++;
    if (counting->broken) {
        return error_set(error, DEEPSAD_IO, "disk full");
    }
    *count = counting->changes > (size_t)after ? counting->changes - (size_t)after : 0;
    return DEEPSAD_OK;
}

static int count_samples(struct store *store, struct store_counts *out, const char *model,
                         struct deepsad_error *error)
{
    (void)model;
    (void)error;
    *out = (struct store_counts){.samples = ((struct counting *)store)->samples};
    return DEEPSAD_OK;
}

static const struct store_ops counting_ops = {.changes = count_changes,
                                              .counts = count_samples};

static struct counting counting_of(size_t changes)
{
    return (struct counting){.store = {&counting_ops}, .changes = changes};
}

/* ---- Obstacles --------------------------------------------------------------------- */

static char many_rows[] = "{\"reservoir\": {\"rows\": 500}}", no_rows[] = "{}";
/* A model of that name in "/" can be written. */
static char name[] = "tmp";

static struct catalog_entry entry_of(struct catalog_version *version, char *card)
{
    *version = (struct catalog_version){.number = 3, .card = card};
    return (struct catalog_entry){
        .name = name,
        .policy = {.retraining = {.mode = POLICY_AUTO, .min_labels = 10}},
        .version_count = 1,
        .versions = version,
    };
}

static void assert_obstacle(const struct catalog_entry *entry, size_t samples,
                            const char *part)
{
    char out[WATCH_OBSTACLE];
    struct counting counting = counting_of(0);
    counting.samples = samples;
    watch_obstacle(out, entry, &counting.store, "/");
    if (part == NULL ? out[0] != '\0' : strstr(out, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", out, part == NULL ? "" : part);
    }
}

static void a_directory_that_cannot_be_written_is_an_obstacle(void **state)
{
    (void)state;
    struct catalog_version version;
    char card[] = "{\"reservoir\":{\"rows\":500}}", out[WATCH_OBSTACLE];
    struct catalog_entry entry = entry_of(&version, card);
    struct counting counting = counting_of(0);
    watch_obstacle(out, &entry, &counting.store, "/nonexistent");
    assert_non_null(strstr(out, "cannot be written"));
}

static void a_model_without_rows_to_train_on_says_what_to_do(void **state)
{
    (void)state;
    struct catalog_version version;
    struct catalog_entry entry = entry_of(&version, no_rows);
    assert_obstacle(&entry, 99, "version 3 keeps no rows");
    assert_obstacle(&entry, 100, NULL);
    entry = entry_of(&version, many_rows);
    assert_obstacle(&entry, 0, NULL);
}

static void a_model_that_is_not_to_be_retrained_says_so(void **state)
{
    (void)state;
    struct catalog_version version;
    struct catalog_entry entry = entry_of(&version, many_rows);
    entry.policy.retraining.mode = POLICY_NEVER;
    assert_obstacle(&entry, 500, "retraining.mode is never");
    entry.version_count = 0;
    assert_obstacle(&entry, 500, "no version");
}

/* ---- Triggers ---------------------------------------------------------------------- */

/* What is due of a model that wants 10 labels, or is retrained after `interval` seconds.
 */
static const char *due(struct watch *watch, struct counting *counting, double interval,
                       bool poll, double *at)
{
    struct catalog_version version;
    struct catalog_entry entry = entry_of(&version, many_rows);
    entry.policy.retraining.interval = interval;
    *at = far;
    return watch_due(watch, &entry, &counting->store, debounce, poll, at);
}

/* Labels came between `first` and `last` seconds ago. */
static struct watch noticed(double first, double last)
{
    double now = clock_monotonic();
    return (struct watch){.noticed_first = now - first, .noticed_last = now - last};
}

static void enough_labels_are_due_once_they_are_quiet(void **state)
{
    (void)state;
    double at;
    struct counting counting = counting_of(10);
    struct watch watch = noticed(1, 1);
    assert_string_equal(due(&watch, &counting, 0, false, &at), "labels");
    assert_true(watch.noticed_first == 0 && watch.noticed_last == 0);
    watch = noticed(0, 0);
    assert_null(due(&watch, &counting, 0, true, &at));
    assert_near(at, watch.noticed_last + debounce, 1e-9);
    assert_true(watch.noticed_last > 0);
    assert_int_equal(counting.asked, 1); /* not before they are quiet */
}

static void too_few_labels_are_not_due(void **state)
{
    (void)state;
    double at;
    struct counting counting = counting_of(9);
    struct watch watch = noticed(1, 1);
    assert_null(due(&watch, &counting, 0, false, &at));
    assert_true(watch.noticed_last == 0 && at == far);
}

static void a_stream_of_labels_does_not_put_a_job_off_for_ever(void **state)
{
    (void)state;
    double at;
    struct counting counting = counting_of(10);
    struct watch watch = noticed(11 * debounce, 0);
    assert_string_equal(due(&watch, &counting, 0, false, &at), "labels");
    watch = noticed(5 * debounce, 0);
    assert_null(due(&watch, &counting, 0, false, &at));
}

static void labels_of_another_process_are_found_by_polling(void **state)
{
    (void)state;
    double at;
    struct counting counting = counting_of(10);
    struct watch watch = {.seen_seq = 0};
    assert_null(due(&watch, &counting, 0, false, &at));
    assert_int_equal(counting.asked, 0);
    assert_string_equal(due(&watch, &counting, 0, true, &at), "labels");
}

static void the_interval_is_due_without_labels(void **state)
{
    (void)state;
    double at;
    struct counting counting = counting_of(0);
    struct watch watch = {.last_run = clock_monotonic() - 100};
    assert_string_equal(due(&watch, &counting, 60, false, &at), "interval");
    assert_true(at == far); /* whatever is in its way, the worker does not spin */
    assert_null(due(&watch, &counting, 200, false, &at));
    assert_near(at, watch.last_run + 200, 1e-9);
    assert_null(due(&watch, &counting, 0, false, &at));
    assert_true(at == far);
}

static void a_store_that_cannot_be_read_is_asked_again(void **state)
{
    (void)state;
    double at;
    struct counting counting = counting_of(10);
    struct watch watch = noticed(1, 1);
    counting.broken = true;
    assert_null(due(&watch, &counting, 0, false, &at));
    assert_true(watch.noticed_last > 0);
    counting.broken = false;
    assert_string_equal(due(&watch, &counting, 0, false, &at), "labels");
}

/* ---- After a job ------------------------------------------------------------------- */

static void labels_that_a_job_has_seen_are_not_due_again(void **state)
{
    (void)state;
    double at;
    struct counting counting = counting_of(19);
    struct watch watch = {.seen_seq = 0};
    watch_ran(&watch, "j1", 10);
    assert_string_equal(watch.last_job, "j1");
    assert_true(watch.last_finished_at_ms > 0);
    assert_null(due(&watch, &counting, 0, true, &at));
    counting.changes++;
    assert_string_equal(due(&watch, &counting, 0, true, &at), "labels");
    watch_ran(&watch, "j2", 5); /* never back */
    assert_int_equal(watch.seen_seq, 10);
}

static void what_failed_waits_for_more_labels_or_a_pause(void **state)
{
    (void)state;
    double at;
    struct counting counting = counting_of(12);
    struct watch watch = {.seen_seq = 0};
    watch_failed(&watch, "j1", 12);
    assert_null(due(&watch, &counting, 0, true, &at));
    counting.changes = 22;
    assert_string_equal(due(&watch, &counting, 0, true, &at), "labels");
    counting.changes = 12;
    watch.retry_at = clock_monotonic() - 1;
    assert_string_equal(due(&watch, &counting, 0, true, &at), "labels");
}

static void pauses_double_up_to_an_hour_until_a_job_runs_through(void **state)
{
    (void)state;
    struct watch watch = {.seen_seq = 0};
    double pause = 10;
    for (int i = 0; i < 40; i++) {
        watch_failed(&watch, "j", 1);
        assert_near(watch.retry_at - clock_monotonic(), fmin(pause, 3600), 0.1);
        pause *= 2;
    }
    watch_ran(&watch, "j", 1);
    assert_true(watch.failures == 0 && watch.retry_at == 0);
}

/* ---- After a start ----------------------------------------------------------------- */

static void put_job(struct store *store, const char *id, const char *job_state,
                    int64_t seq, int64_t finished_ms)
{
    struct store_job job = {
        .model = "m", .journal_seq = seq, .finished_at_ms = finished_ms};
    snprintf(job.id, sizeof job.id, "%s", id);
    snprintf(job.state, sizeof job.state, "%s", job_state);
    assert_int_equal(store_job_put(store, &job, NULL), DEEPSAD_OK);
}

static void after_a_start_the_jobs_tell_what_was_seen(void **state)
{
    struct store *store = store_must_open(state);
    struct watch watch;
    int64_t now = clock_realtime_ms();
    put_job(store, "j1", "promoted", 5, now - 9000);
    put_job(store, "j2", "rejected", 7, now - 8000);
    put_job(store, "j3", "waiting", 8, now - 7000);
    put_job(store, "j4", "failed", 20, now - 6000);
    put_job(store, "j5", "cancelled", 21, now - 60000);
    assert_int_equal(watch_load(&watch, store, "m", NULL), DEEPSAD_OK);
    assert_int_equal(watch.seen_seq, 8);
    assert_string_equal(watch.last_job, "j4");
    assert_near(clock_monotonic() - watch.last_run, 6, 0.2);
    store_close(store);
}

static void a_model_without_jobs_starts_from_nothing(void **state)
{
    struct store *store = store_must_open(state);
    struct watch watch;
    put_job(store, "j1", "promoted", 5, 1000);
    assert_int_equal(watch_load(&watch, store, "other", NULL), DEEPSAD_OK);
    assert_string_equal(watch.model, "other");
    assert_true(watch.seen_seq == 0 && watch.last_run == 0 && watch.last_job[0] == '\0');
    store_close(store);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_that_cannot_be_written_is_an_obstacle),
        cmocka_unit_test(a_model_without_rows_to_train_on_says_what_to_do),
        cmocka_unit_test(a_model_that_is_not_to_be_retrained_says_so),
        cmocka_unit_test(enough_labels_are_due_once_they_are_quiet),
        cmocka_unit_test(too_few_labels_are_not_due),
        cmocka_unit_test(a_stream_of_labels_does_not_put_a_job_off_for_ever),
        cmocka_unit_test(labels_of_another_process_are_found_by_polling),
        cmocka_unit_test(the_interval_is_due_without_labels),
        cmocka_unit_test(a_store_that_cannot_be_read_is_asked_again),
        cmocka_unit_test(labels_that_a_job_has_seen_are_not_due_again),
        cmocka_unit_test(what_failed_waits_for_more_labels_or_a_pause),
        cmocka_unit_test(pauses_double_up_to_an_hour_until_a_job_runs_through),
        WITH_FOLDER(after_a_start_the_jobs_tell_what_was_seen),
        WITH_FOLDER(a_model_without_jobs_starts_from_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
