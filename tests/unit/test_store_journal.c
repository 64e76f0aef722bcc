/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal promises: append-only, replayed by key, shared commits, two processes.
 */
#include "../stores.h"

#include <pthread.h>
#include <sqlite3.h>
#include <time.h>

enum { THREADS = 16, LABELS_EACH = 40 };

static sqlite3 *open_file(void **state)
{
    char path[FOLDER_PATH];
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(folder_path(path, state, SQLITE_FILE), &handle),
                     SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    return handle;
}

static void assert_forbidden(sqlite3 *handle, const char *text)
{
    assert_int_equal(sqlite3_exec(handle, text, NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_string_equal(sqlite3_errmsg(handle), "the journal is append-only");
}

static void the_journal_cannot_be_changed(void **state)
{
    struct store *store = store_must_open(state);
    store_keep_one(store, "t-1", 1, 1);
    store_label_one(store, "l-1", "t-1", STORE_NORMAL, "kim");
    sqlite3 *handle = open_file(state);
    assert_forbidden(handle, "UPDATE journal SET verdict = -1");
    assert_forbidden(handle, "DELETE FROM journal");
    sqlite3_close(handle);
    store_close(store);
}

/* ---- Idempotency ------------------------------------------------------------------- */

static int add_with_key(struct store *store, const char *label_id, const char *key,
                        unsigned char body, struct store_labels *out, bool *replayed,
                        size_t *wrong)
{
    struct deepsad_error error = {0};
    const struct store_verdict_new new[] = {
        {.label_id = label_id, .sample_id = "t-1", .verdict = STORE_NORMAL},
        {.label_id = "other", .sample_id = "t-2", .verdict = STORE_ANOMALOUS}};
    return store_add(store, out, replayed, new, 2, key, body, wrong, &error);
}

static void a_key_replays_the_same_labels(void **state)
{
    struct store *store = store_must_open(state);
    struct store_labels out = {0};
    struct store_label label = {0};
    bool replayed = true;
    size_t wrong = 0;
    store_keep_one(store, "t-1", 1, 1);
    store_keep_one(store, "t-2", 1, 1);
    assert_int_equal(add_with_key(store, "l-1", "k", 1, &out, &replayed, &wrong), 0);
    assert_false(replayed);
    store_labels_done(&out);
    store_label_one(store, "l-3", "t-1", STORE_ANOMALOUS, NULL);
    store_label_withdraw(store, &label, "m", "other", NULL, 5, NULL);
    store_close(store);
    store = store_must_open(state);
    assert_int_equal(add_with_key(store, "l-9", "k", 1, &out, &replayed, &wrong), 0);
    assert_true(replayed && out.count == 2);
    assert_string_equal(out.labels[0].id, "l-1");
    assert_string_equal(out.labels[1].id, "other");
    assert_true(!out.labels[0].in_force && out.labels[1].withdrawn_at_ms == 5);
    assert_int_equal(store_must_count(store).last_seq, 4);
    store_labels_done(&out);
    store_close(store);
}

static void a_key_with_another_body_is_refused(void **state)
{
    struct store *store = store_must_open(state);
    struct store_labels out = {0};
    bool replayed;
    size_t wrong = 0;
    store_keep_one(store, "t-1", 1, 1);
    store_keep_one(store, "t-2", 1, 1);
    assert_int_equal(add_with_key(store, "l-1", "k", 1, &out, &replayed, &wrong), 0);
    store_labels_done(&out);
    assert_int_equal(add_with_key(store, "l-1", "k", 2, &out, &replayed, &wrong),
                     DEEPSAD_INVALID);
    assert_true(wrong == SIZE_MAX);
    store_close(store);
}

static void a_key_that_failed_may_be_used_again(void **state)
{
    struct store *store = store_must_open(state);
    struct store_labels out = {0};
    bool replayed = true;
    size_t wrong = 9;
    store_keep_one(store, "t-1", 1, 1);
    assert_int_equal(add_with_key(store, "l-1", "k", 1, &out, &replayed, &wrong),
                     DEEPSAD_NOT_FOUND);
    assert_int_equal(wrong, 1);
    store_keep_one(store, "t-2", 1, 1);
    assert_int_equal(add_with_key(store, "l-1", "k", 1, &out, &replayed, &wrong), 0);
    assert_false(replayed);
    store_labels_done(&out);
    store_close(store);
}

static void keys_are_forgotten_when_they_are_old(void **state)
{
    struct store *store = store_must_open(state);
    struct store_labels out = {0};
    bool replayed = true;
    size_t wrong;
    store_keep_one(store, "t-1", 1, 1);
    store_keep_one(store, "t-2", 1, 1);
    assert_int_equal(add_with_key(store, "l-1", "k", 1, &out, &replayed, &wrong), 0);
    store_labels_done(&out);
    store_set_retention(store, &(struct store_retention){.idempotency_age = 0.01});
    int status = 0;
    for (int i = 0; i < 1000; i++) { /* refused for its ids once the key is forgotten */
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        status = add_with_key(store, "l-1", "k", 1, &out, &replayed, &wrong);
        if (status != DEEPSAD_OK) {
            break;
        }
        store_labels_done(&out);
    }
    assert_int_equal(status, DEEPSAD_INVALID);
    assert_int_equal(wrong, 0);
    store_close(store);
}

/* ---- Threads and processes --------------------------------------------------------- */

struct poster {
    struct store *store;
    int number, failed;
};

static void *post_labels(void *context)
{
    struct poster *poster = context;
    for (int i = 0; i < LABELS_EACH; i++) {
        char label[32], sample[32];
        const float x[STORE_FEATURES] = {1, 2, 3};
        snprintf(label, sizeof label, "l-%d-%d", poster->number, i);
        snprintf(sample, sizeof sample, "s-%d-%d", poster->number, i);
        const struct store_verdict_new new = {
            .label_id = label, .sample_new = sample, .x = x, .verdict = STORE_NORMAL};
        struct store_labels out = {0};
        struct store_counts counts = {0};
        bool replayed;
        size_t wrong;
        poster->failed += store_add(poster->store, &out, &replayed, &new, 1, NULL, 0,
                                    &wrong, NULL) != 0;
        poster->failed += store_counts(poster->store, &counts, "m", NULL) != 0;
        poster->failed += out.count != 1 || counts.last_seq < out.labels[0].seq;
        store_labels_done(&out);
    }
    return NULL;
}

/* Half of the threads on each store; how many failures. */
static int post_from_threads(struct store *const stores[2])
{
    pthread_t threads[THREADS];
    struct poster posters[THREADS];
    int failed = 0;
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){.store = stores[i % 2], .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_labels, &posters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failed += posters[i].failed;
    }
    return failed;
}

/* The label's ordinals are 0, 1, 2, ... in the order of the journal. */
static void assert_in_order(struct store *store)
{
    struct store_labels out = {0};
    assert_int_equal(store_labels_in_force(store, &out, "m", STORE_FEATURES, NULL), 0);
    assert_int_equal(out.count, THREADS * LABELS_EACH);
    for (size_t i = 0; i < out.count; i++) {
        assert_int_equal(out.labels[i].ordinal, i);
    }
    store_labels_done(&out);
}

static void callers_share_commits(void **state)
{
    struct store *store = store_must_open(state);
    struct store *const stores[2] = {store, store};
    struct store_statistics statistics;
    assert_int_equal(post_from_threads(stores), 0);
    store_statistics(store, &statistics);
    assert_int_equal(statistics.entries, THREADS * LABELS_EACH);
    assert_true(statistics.commits < statistics.entries);
    assert_int_equal(statistics.queued, 0);
    assert_true(statistics.healthy);
    assert_in_order(store);
    store_close(store);
}

static void two_stores_on_one_file_both_write(void **state)
{
    struct store *const stores[2] = {store_must_open(state), store_must_open(state)};
    assert_int_equal(post_from_threads(stores), 0);
    assert_in_order(stores[0]);
    assert_in_order(stores[1]);
    store_close(stores[0]);
    store_close(stores[1]);
}

static void without_groups_each_label_has_a_commit(void **state)
{
    struct store *store = NULL;
    const struct sqlite_options options = {
        .directory = *state, .queue = STORE_QUEUE, .commit_each = true};
    assert_int_equal(sqlite_open(&store, &options, NULL), DEEPSAD_OK);
    struct store_statistics statistics;
    struct store *const stores[2] = {store, store};
    assert_int_equal(post_from_threads(stores), 0);
    store_statistics(store, &statistics);
    assert_int_equal(statistics.commits, statistics.entries);
    store_close(store);
}

static void one_wrong_request_does_not_fail_the_others(void **state)
{
    struct store *store = store_must_open(state);
    struct store_labels out = {0};
    struct store_statistics statistics;
    bool replayed;
    size_t wrong;
    store_keep_one(store, "t-1", 1, 1);
    assert_int_equal(add_with_key(store, "l-1", NULL, 1, &out, &replayed, &wrong),
                     DEEPSAD_NOT_FOUND); /* t-2, in a group with the sample */
    store_label_one(store, "l-1", "t-1", STORE_NORMAL, NULL);
    store_statistics(store, &statistics);
    assert_int_equal(statistics.entries, 2);
    assert_int_equal(statistics.samples_kept, 1);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_journal_cannot_be_changed),
        TEST(a_key_replays_the_same_labels),
        TEST(a_key_with_another_body_is_refused),
        TEST(a_key_that_failed_may_be_used_again),
        TEST(keys_are_forgotten_when_they_are_old),
        TEST(callers_share_commits),
        TEST(two_stores_on_one_file_both_write),
        TEST(without_groups_each_label_has_a_commit),
        TEST(one_wrong_request_does_not_fail_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
