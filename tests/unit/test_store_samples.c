/* SPDX-License-Identifier: Apache-2.0 */
/* Kept samples: reading, replacing, the bounded queue, retention. Jobs and versions. */
#include "../stores.h"

#include <time.h>

#include "base/clock.h"

static size_t keep_many(struct store *store, int first, int count, int64_t at_ms)
{
    size_t kept = 0;
    for (int i = first; i < first + count; i++) {
        char id[16];
        snprintf(id, sizeof id, "t-%d", i);
        kept += store_keep_one(store, id, (float)i, at_ms);
    }
    return kept;
}

static struct store_samples list_samples(struct store *store, enum store_select select,
                                         size_t limit)
{
    struct store_samples out = {0};
    assert_int_equal(
        store_samples_list(store, &out, "m", STORE_FEATURES, select, limit, NULL),
        DEEPSAD_OK);
    return out;
}

static bool is_kept(struct store *store, const char *id)
{
    struct store_samples out = {0};
    int status = store_sample_get(store, &out, "m", id, NULL);
    store_samples_done(&out);
    return status == DEEPSAD_OK;
}

/* Retention works beside: waits up to 10 s for so many samples. */
static void wait_for_samples(struct store *store, size_t count)
{
    for (int i = 0; i < 1000 && store_must_count(store).samples != count; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_int_equal(store_must_count(store).samples, count);
}

static void a_sample_is_seen_once_it_was_kept(void **state)
{
    struct store *store = store_must_open(state);
    for (int i = 0; i < 200; i++) {
        struct store_samples out = {0};
        char id[16];
        snprintf(id, sizeof id, "t-%d", i);
        assert_true(store_keep_one(store, id, (float)i, 1234));
        assert_int_equal(store_sample_get(store, &out, "m", id, NULL), DEEPSAD_OK);
        assert_true(out.count == 1 && out.features == STORE_FEATURES);
        assert_true(out.x[0] == (float)i && isnan(out.x[2]));
        assert_true(out.samples[0].score == (float)i && out.samples[0].p_value == 0.25F);
        assert_int_equal(out.samples[0].scored_at_ms, 1234);
        store_samples_done(&out);
    }
    store_close(store);
}

static void a_sample_that_is_not_there_is_not_found(void **state)
{
    struct store *store = store_must_open(state);
    struct deepsad_error error = {0};
    struct store_samples out = {0};
    assert_int_equal(store_sample_get(store, &out, "m", "t-1", &error),
                     DEEPSAD_NOT_FOUND);
    assert_error_says(error, "sample \"t-1\" is not kept for model m");
    store_close(store);
}

static void a_sample_kept_again_is_the_newest(void **state)
{
    struct store *store = store_must_open(state);
    keep_many(store, 0, 3, 1);
    assert_true(store_keep_one(store, "t-0", 7, 2));
    assert_true(is_kept(store, "t-0"));
    struct store_samples out = {0};
    while (out.count == 0 || out.samples[0].scored_at_ms != 2) {
        store_samples_done(&out);
        out = list_samples(store, STORE_ALL, 10);
    }
    assert_int_equal(out.count, 3);
    assert_string_equal(out.samples[0].id, "t-0");
    assert_true(out.x[0] == 7);
    store_samples_done(&out);
    store_close(store);
}

static void a_sample_with_a_label_is_not_replaced(void **state)
{
    struct store *store = store_must_open(state);
    struct store_label label = {0};
    struct store_samples out = {0};
    keep_many(store, 0, 2, 1);
    store_label_one(store, "l-1", "t-0", STORE_NORMAL, NULL);
    store_label_withdraw(store, &label, "m", "l-1", NULL, 1, NULL);
    assert_true(store_keep_one(store, "t-0", 7, 2));
    assert_true(store_keep_one(store, "t-5", 7, 2));
    assert_true(is_kept(store, "t-5"));
    assert_int_equal(store_sample_get(store, &out, "m", "t-0", NULL), DEEPSAD_OK);
    assert_true(out.x[0] == 0 && out.samples[0].scored_at_ms == 1);
    store_samples_done(&out);
    store_close(store);
}

static void the_list_leaves_out_what_has_a_label(void **state)
{
    struct store *store = store_must_open(state);
    struct store_label label = {0};
    keep_many(store, 0, 4, 1);
    store_label_one(store, "l-1", "t-1", STORE_UNSURE, NULL);
    store_label_one(store, "l-2", "t-2", STORE_NORMAL, NULL);
    store_label_withdraw(store, &label, "m", "l-2", NULL, 1, NULL);
    struct store_samples all = list_samples(store, STORE_ALL, 10);
    struct store_samples unlabeled = list_samples(store, STORE_UNLABELED, 2);
    assert_int_equal(all.count, 4);
    assert_int_equal(unlabeled.count, 2);
    assert_string_equal(unlabeled.samples[0].id, "t-3");
    assert_string_equal(unlabeled.samples[1].id, "t-2");
    store_samples_done(&all);
    store_samples_done(&unlabeled);
    store_close(store);
}

static void a_full_queue_drops_and_counts(void **state)
{
    struct deepsad_error error = {0};
    struct store *store = NULL;
    const struct sqlite_options options = {.directory = *state, .queue = 2000};
    assert_int_equal(sqlite_open(&store, &options, &error), DEEPSAD_OK);
    size_t kept = keep_many(store, 0, 5000, 1);
    assert_in_range(kept, 1, 4999);
    store_label_one(store, "l-1", "t-0", STORE_NORMAL, NULL);
    struct store_statistics statistics;
    store_statistics(store, &statistics);
    assert_int_equal(statistics.samples_kept, kept);
    assert_int_equal(statistics.samples_dropped, 5000 - kept);
    assert_int_equal(store_must_count(store).samples, kept);
    store_close(store);
}

static void the_oldest_samples_without_a_label_go_first(void **state)
{
    struct store *store = store_must_open(state);
    keep_many(store, 0, 2500, 1);
    store_label_one(store, "l-1", "t-1", STORE_NORMAL, NULL);
    store_set_retention(store, &(struct store_retention){.samples = 10});
    wait_for_samples(store, 11);
    assert_true(is_kept(store, "t-1") && is_kept(store, "t-2490"));
    assert_false(is_kept(store, "t-2489"));
    keep_many(store, 3000, 5, 1);
    assert_true(is_kept(store, "t-3004"));
    wait_for_samples(store, 11);
    assert_false(is_kept(store, "t-2494"));
    store_close(store);
}

static void samples_without_a_label_go_when_they_are_old(void **state)
{
    struct store *store = store_must_open(state);
    int64_t now = clock_realtime_ms();
    struct store_label label = {0};
    keep_many(store, 0, 20, now - 100000);
    keep_many(store, 20, 5, now);
    store_label_one(store, "l-1", "t-3", STORE_NORMAL, NULL);
    store_label_withdraw(store, &label, "m", "l-1", NULL, 1, NULL);
    store_set_retention(store, &(struct store_retention){.samples_age = 50});
    wait_for_samples(store, 6);
    assert_true(is_kept(store, "t-3") && is_kept(store, "t-20"));
    store_close(store);
}

static void jobs_are_put_and_listed(void **state)
{
    struct store *store = store_must_open(state);
    struct store_job job = {.id = "j-1", .model = "m", .state = "queued", .version = 3};
    struct store_job read = {0};
    assert_int_equal(store_job_put(store, &job, NULL), DEEPSAD_OK);
    char detail[] = "{\"trigger\": \"labels\"}";
    job.detail = detail;
    memcpy(job.state, "running", sizeof "running");
    job.journal_seq = 7;
    assert_int_equal(store_job_put(store, &job, NULL), DEEPSAD_OK);
    assert_int_equal(store_job_get(store, &read, "j-1", NULL), DEEPSAD_OK);
    assert_string_equal(read.state, "running");
    assert_string_equal(read.detail, detail);
    assert_true(read.journal_seq == 7 && read.version == 3);
    store_job_done(&read);
    assert_int_equal(store_job_get(store, &read, "j-2", NULL), DEEPSAD_NOT_FOUND);
    store_close(store);
}

static size_t count_jobs(struct store *store, const char *model, const char *state,
                         const char *before, size_t limit)
{
    struct store_jobs jobs = {0};
    assert_int_equal(store_jobs_list(store, &jobs, model, state, before, limit, NULL),
                     DEEPSAD_OK);
    for (size_t i = 1; i < jobs.count; i++) {
        assert_true(strcmp(jobs.jobs[i].id, jobs.jobs[i - 1].id) < 0);
    }
    size_t count = jobs.count + (jobs.more ? 100 : 0);
    store_jobs_done(&jobs);
    return count;
}

static void jobs_are_filtered_and_paged(void **state)
{
    struct store *store = store_must_open(state);
    for (int i = 0; i < 6; i++) {
        struct store_job job = {.model = "a"};
        snprintf(job.id, sizeof job.id, "j-%d", i);
        snprintf(job.model, sizeof job.model, "%s", i < 4 ? "a" : "b");
        snprintf(job.state, sizeof job.state, "%s", i % 2 ? "queued" : "failed");
        assert_int_equal(store_job_put(store, &job, NULL), DEEPSAD_OK);
    }
    assert_int_equal(count_jobs(store, NULL, NULL, NULL, 0), 6);
    assert_int_equal(count_jobs(store, "a", NULL, NULL, 0), 4);
    assert_int_equal(count_jobs(store, "a", "queued", NULL, 0), 2);
    assert_int_equal(count_jobs(store, NULL, "failed", NULL, 0), 3);
    assert_int_equal(count_jobs(store, NULL, NULL, "j-4", 3), 103);
    assert_int_equal(count_jobs(store, "a", NULL, "j-1", 3), 1);
    store_close(store);
}

static void versions_are_put_and_read(void **state)
{
    struct store *store = store_must_open(state);
    char detail[] = "{\"decision\": \"promoted\"}";
    struct store_version version = {
        .model = "m", .number = 4, .parent = 3, .job = "j-1", .created_at_ms = 9};
    struct store_version read = {0};
    assert_int_equal(store_version_put(store, &version, NULL), DEEPSAD_OK);
    version.detail = detail;
    assert_int_equal(store_version_put(store, &version, NULL), DEEPSAD_OK);
    assert_int_equal(store_version_get(store, &read, "m", 4, NULL), DEEPSAD_OK);
    assert_string_equal(read.detail, detail);
    assert_string_equal(read.job, "j-1");
    assert_true(read.parent == 3 && read.number == 4 && read.created_at_ms == 9);
    free(read.detail);
    assert_int_equal(store_version_get(store, &read, "m", 5, NULL), DEEPSAD_NOT_FOUND);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

static void the_oldest_ended_jobs_go_first(void **state)
{
    struct store *store = store_must_open(state);
    for (int i = 0; i < 9; i++) {
        struct store_job job = {.model = "m"};
        snprintf(job.id, sizeof job.id, "j-%d", i);
        snprintf(job.state, sizeof job.state, "%s", i == 0 ? "running" : "promoted");
        assert_int_equal(store_job_put(store, &job, NULL), DEEPSAD_OK);
    }
    store_set_retention(store, &(struct store_retention){.jobs = 3});
    for (int tries = 0; tries < 500 && count_jobs(store, "m", NULL, NULL, 0) > 4;
         tries++) {
        usleep(10000);
    }
    assert_int_equal(count_jobs(store, "m", NULL, NULL, 0),
                     4); /* with the one that runs */
    assert_int_equal(count_jobs(store, "m", "running", NULL, 0), 1);
    assert_int_equal(count_jobs(store, NULL, NULL, "j-6", 0), 1);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sample_is_seen_once_it_was_kept),
        TEST(a_sample_that_is_not_there_is_not_found),
        TEST(a_sample_kept_again_is_the_newest),
        TEST(a_sample_with_a_label_is_not_replaced),
        TEST(the_list_leaves_out_what_has_a_label),
        TEST(a_full_queue_drops_and_counts),
        TEST(the_oldest_samples_without_a_label_go_first),
        TEST(samples_without_a_label_go_when_they_are_old),
        TEST(jobs_are_put_and_listed),
        TEST(jobs_are_filtered_and_paged),
        TEST(the_oldest_ended_jobs_go_first),
        TEST(versions_are_put_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
