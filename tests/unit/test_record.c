/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs as they are read back from a real store. */
#include "../testing.h"

#include <stdlib.h>

#include "../stores.h"
#include "learn/record.h"

static struct store_job job_in(struct store *store, const char *id)
{
    struct deepsad_error error = {0};
    struct store_job job;
    if (store_job_get(store, &job, id, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return job;
}

/* The text at `key` of a JSON object in `detail` is `expected`. */
static void assert_told(const char *detail, const char *key, const char *expected)
{
    json_t *object = json_loads(detail, 0, NULL);
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strcmp(text, expected) != 0) {
        fail_msg("%s of %s is not \"%s\"", key, detail, expected);
    }
    json_decref(object);
}

static struct round_result result_of(enum round_end end, unsigned version, unsigned live)
{
    struct round_result result = {.end = end,
                                  .decision = "decided",
                                  .reason = "because",
                                  .version = version,
                                  .live = live,
                                  .quarantined = 2,
                                  .journal_seq = 7,
                                  .detail = json_object()};
    return result;
}

static void end_with(struct store *store, const char *id, struct round_result result)
{
    struct record record;
    struct deepsad_error error = {0};
    record_init(&record, "m", id, "labels", NULL);
    if (record_end(&record, store, &result, 1, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    assert_null(result.detail);
}

static void a_job_is_written_when_it_is_made_and_when_it_starts(void **state)
{
    struct store *store = store_must_open(state);
    struct record record;
    record_init(&record, "m", "j1", "hand", "kim");
    assert_int_equal(record_put(&record, store, "queued", NULL), DEEPSAD_OK);
    struct store_job job = job_in(store, "j1");
    assert_string_equal(job.state, "queued");
    assert_string_equal(job.model, "m");
    assert_true(job.created_at_ms > 0 && job.started_at_ms == 0);
    assert_told(job.detail, "trigger", "hand");
    assert_told(job.detail, "asked_by", "kim");
    store_job_done(&job);
    assert_int_equal(record_put(&record, store, "running", NULL), DEEPSAD_OK);
    job = job_in(store, "j1");
    assert_string_equal(job.state, "running");
    assert_true(job.started_at_ms >= job.created_at_ms && job.finished_at_ms == 0);
    store_job_done(&job);
    store_close(store);
}

static void a_job_that_failed_says_why(void **state)
{
    struct store *store = store_must_open(state);
    struct record record;
    record_init(&record, "m", "j1", "interval", NULL);
    assert_int_equal(record_fail(&record, store, "failed", "no rows", NULL), DEEPSAD_OK);
    struct store_job job = job_in(store, "j1");
    assert_string_equal(job.state, "failed");
    assert_true(job.finished_at_ms > 0 && job.version == 0);
    assert_told(job.detail, "reason", "no rows");
    assert_null(strstr(job.detail, "asked_by"));
    store_job_done(&job);
    store_close(store);
}

static void a_decision_is_kept_with_its_version(void **state)
{
    struct store *store = store_must_open(state);
    struct store_version version;
    end_with(store, "j1", result_of(ROUND_PROMOTED, 2, 2));
    struct store_job job = job_in(store, "j1");
    assert_string_equal(job.state, "promoted");
    assert_true(job.version == 2 && job.journal_seq == 7);
    assert_told(job.detail, "reason", "because");
    store_job_done(&job);
    assert_int_equal(store_version_get(store, &version, "m", 2, NULL), DEEPSAD_OK);
    assert_true(version.parent == 1);
    assert_string_equal(version.job, "j1");
    assert_told(version.detail, "decision", "decided");
    free(version.detail);
    store_close(store);
}

static void a_challenger_and_what_went_live_instead_are_both_recorded(void **state)
{
    struct store *store = store_must_open(state);
    end_with(store, "j1", result_of(ROUND_REJECTED, 2, 3));
    for (unsigned number = 2; number <= 3; number++) {
        struct store_version version;
        assert_int_equal(store_version_get(store, &version, "m", number, NULL),
                         DEEPSAD_OK);
        free(version.detail);
    }
    struct store_job job = job_in(store, "j1");
    assert_string_equal(job.state, "rejected");
    assert_int_equal(job.version, 2);
    store_job_done(&job);
    store_close(store);
}

static void a_round_that_wrote_nothing_records_no_version(void **state)
{
    struct store *store = store_must_open(state);
    struct store_version version;
    end_with(store, "j1", result_of(ROUND_WAITING, 0, 0));
    struct store_job job = job_in(store, "j1");
    assert_string_equal(job.state, "waiting");
    store_job_done(&job);
    assert_int_equal(store_version_get(store, &version, "m", 0, NULL), DEEPSAD_NOT_FOUND);
    store_close(store);
}

/* A job as a crash leaves it, with `detail`, recovered. */
static struct store_job recover(struct store *store, const char *detail, unsigned version)
{
    struct store_job job = {
        .id = "j1", .model = "m", .state = "running", .detail = strdup(detail)};
    assert_int_equal(store_job_put(store, &job, NULL), DEEPSAD_OK);
    assert_int_equal(record_recover(&job, store, version, NULL), DEEPSAD_OK);
    store_job_done(&job);
    return job_in(store, "j1");
}

static void a_job_that_a_crash_cut_off_failed(void **state)
{
    struct store *store = store_must_open(state);
    struct store_job job = recover(store, "{\"trigger\":\"labels\"}", 0);
    assert_string_equal(job.state, "failed");
    assert_true(job.finished_at_ms > 0);
    assert_told(job.detail, "trigger", "labels");
    assert_told(job.detail, "reason", "the daemon ended while it ran");
    store_job_done(&job);
    store_close(store);
}

static void a_job_whose_version_is_there_was_promoted(void **state)
{
    struct store *store = store_must_open(state);
    struct store_job job = recover(store, "no JSON", 4);
    assert_string_equal(job.state, "promoted");
    assert_int_equal(job.version, 4);
    assert_told(job.detail, "reason", "the daemon ended after the version was written");
    store_job_done(&job);
    store_close(store);
}

/* ---- A store that cannot be written ------------------------------------------------ */

static int refuse_version(struct store *store, const struct store_version *version,
                          struct deepsad_error *error)
{
    (void)store;
    (void)version;
    return error_set(error, DEEPSAD_IO, "disk full");
}

static int refuse_job(struct store *store, const struct store_job *job,
                      struct deepsad_error *error)
{
    (void)store;
    (void)job;
    return error_set(error, DEEPSAD_IO, "disk full");
}

static const struct store_ops refusing = {.version_put = refuse_version,
                                          .job_put = refuse_job};

static void what_a_store_refuses_is_owed_and_can_be_forgotten(void **state)
{
    struct store store = {&refusing};
    struct deepsad_error error = {0};
    (void)state;
    for (unsigned version = 0; version <= 2; version += 2) {
        struct record record;
        struct round_result result = result_of(ROUND_PROMOTED, version, version);
        record_init(&record, "m", "j1", "labels", NULL);
        assert_int_equal(record_end(&record, &store, &result, 1, &error), DEEPSAD_IO);
        assert_null(result.detail);
        assert_true(record.owed);
        assert_int_equal(record_settle(&record, &store, NULL), DEEPSAD_IO);
        record_done(&record);
        assert_null(record.job.detail);
    }
    assert_error_says(error, "disk full");
}

static void a_job_that_cannot_be_written_at_its_start_is_not_owed(void **state)
{
    struct store store = {&refusing};
    struct record record;
    (void)state;
    record_init(&record, "m", "j1", "labels", NULL);
    assert_int_equal(record_put(&record, &store, "queued", NULL), DEEPSAD_IO);
    assert_null(record.job.detail);
    assert_int_equal(record_fail(&record, &store, "failed", "x", NULL), DEEPSAD_IO);
    record_done(&record);
    assert_null(record.job.detail);
}

static void what_a_store_refused_is_written_later_with_its_versions(void **state)
{
    struct store refuser = {&refusing}, *store = store_must_open(state);
    struct store_job job = {0};
    struct record record;
    record_init(&record, "m", "j1", "labels", NULL);
    struct round_result result = result_of(ROUND_PROMOTED, 2, 3);
    assert_int_equal(record_end(&record, &refuser, &result, 1, NULL), DEEPSAD_IO);
    assert_int_equal(record_settle(&record, &refuser, NULL), DEEPSAD_IO);
    assert_true(record.owed);
    assert_int_equal(record_settle(&record, store, NULL), DEEPSAD_OK);
    assert_false(record.owed);
    assert_int_equal(store_job_get(store, &job, "j1", NULL), DEEPSAD_OK);
    assert_string_equal(job.state, "promoted");
    store_job_done(&job);
    for (unsigned number = 2; number <= 3; number++) {
        struct store_version version = {0};
        assert_int_equal(store_version_get(store, &version, "m", number, NULL), 0);
        free(version.detail);
    }
    store_close(store);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_job_is_written_when_it_is_made_and_when_it_starts),
        WITH_FOLDER(a_job_that_failed_says_why),
        WITH_FOLDER(a_decision_is_kept_with_its_version),
        WITH_FOLDER(a_challenger_and_what_went_live_instead_are_both_recorded),
        WITH_FOLDER(a_round_that_wrote_nothing_records_no_version),
        WITH_FOLDER(a_job_that_a_crash_cut_off_failed),
        WITH_FOLDER(a_job_whose_version_is_there_was_promoted),
        WITH_FOLDER(what_a_store_refused_is_written_later_with_its_versions),
        cmocka_unit_test(what_a_store_refuses_is_owed_and_can_be_forgotten),
        cmocka_unit_test(a_job_that_cannot_be_written_at_its_start_is_not_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
