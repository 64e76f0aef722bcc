/* SPDX-License-Identifier: Apache-2.0 */
/* Full disks, damaged files, locks: what fails, what it says, and that it recovers. */
#include "../stores.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>

#include "base/file.h"

static void pause_ms(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

static void run_sql(void **state, const char *text)
{
    char path[FOLDER_PATH];
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(folder_path(path, state, SQLITE_FILE), &handle),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

/* A label with `features` features; adds to *count where it was acknowledged. */
static int add_large(struct store *store, int number, size_t features, size_t *count,
                     struct deepsad_error *error)
{
    char label[32], sample[32];
    float *x = calloc(features, sizeof *x);
    snprintf(label, sizeof label, "l-%d", number);
    snprintf(sample, sizeof sample, "s-%d", number);
    const struct store_verdict_new new = {
        .label_id = label, .sample_new = sample, .x = x, .verdict = STORE_NORMAL};
    const struct store_labels_new labels = {
        .model = "m", .features = features, .count = 1, .verdicts = &new};
    struct store_labels out = {0};
    bool replayed;
    size_t wrong;
    int status = store_labels_add(store, &out, &replayed, &labels, &wrong, error);
    *count += out.count;
    store_labels_done(&out);
    free(x);
    return status;
}

/* Adds until it fails; the status. */
static int fill(struct store *store, size_t *count, struct deepsad_error *error)
{
    int status = DEEPSAD_OK;
    for (int i = 0; i < 1000 && status == DEEPSAD_OK; i++) {
        status = add_large(store, (int)*count, 10000, count, error);
    }
    return status;
}

/* No operation asks: the store looks by itself. */
static void wait_until_healthy(struct store *store)
{
    for (int i = 0; i < 1000 && store_health(store, NULL) != DEEPSAD_OK; i++) {
        pause_ms(10);
    }
    assert_int_equal(store_health(store, NULL), DEEPSAD_OK);
}

static void set_file_size_limit(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_file_that_may_not_grow_fails_and_recovers(void **state)
{
    struct store *store = store_must_open(state);
    struct deepsad_error error = {0}, sick = {0};
    struct store_statistics statistics;
    size_t count = 0;
    set_file_size_limit(1 << 20);
    int status = fill(store, &count, &error);
    int health = store_health(store, &sick);
    store_keep_one(store, "t-1", 1, 1);
    set_file_size_limit(RLIM_INFINITY);
    assert_int_equal(status, DEEPSAD_IO);
    assert_error_says(error, "the label store cannot write: ");
    assert_true(health == DEEPSAD_IO && count > 0);
    assert_string_equal(sick.message, error.message);
    wait_until_healthy(store);
    assert_int_equal(store_must_count(store).normal, count);
    assert_int_equal(add_large(store, 5000, 3, &count, &error), DEEPSAD_OK);
    assert_int_equal(store_must_count(store).normal, count);
    store_statistics(store, &statistics);
    assert_true(statistics.healthy);
    store_close(store);
}

/* A file system of 1 MB in the test's folder; false where the user may not mount. */
static bool mount_small(void **state)
{
    return mount("tmpfs", *state, "tmpfs", 0, "size=1m") == 0;
}

static void a_full_disk_fails_and_recovers(void **state)
{
    if (!mount_small(state)) {
        skip();
    }
    struct store *store = store_must_open(state);
    struct deepsad_error error = {0};
    size_t count = 0;
    int status = fill(store, &count, &error);
    int health = store_health(store, NULL);
    mount("tmpfs", *state, "tmpfs", MS_REMOUNT, "size=64m");
    wait_until_healthy(store);
    struct store_counts counts = store_must_count(store);
    struct deepsad_error none = {0};
    int after = add_large(store, 5000, 10000, &count, &none);
    store_close(store);
    umount(*state);
    assert_true(status == DEEPSAD_IO && health == DEEPSAD_IO && after == DEEPSAD_OK);
    assert_error_says(error, "the label store cannot write: disk full");
    assert_true(count > 1 && counts.normal == count - 1);
}

static void samples_that_a_full_disk_refuses_are_counted(void **state)
{
    struct store *store = store_must_open(state);
    struct store_statistics statistics;
    struct store_samples out = {0};
    set_file_size_limit(1 << 10);
    assert_true(store_keep_one(store, "t-1", 1, 1));
    do {
        pause_ms(10);
        store_statistics(store, &statistics);
    } while (statistics.samples_dropped + statistics.samples_kept == 0);
    set_file_size_limit(RLIM_INFINITY);
    assert_int_equal(store_sample_get(store, &out, "m", "t-1", NULL), DEEPSAD_NOT_FOUND);
    assert_true(statistics.samples_dropped == 1 && statistics.samples_kept == 0);
    store_close(store);
}

static void write_file(void **state, const void *bytes, size_t size)
{
    char path[FOLDER_PATH];
    int file = open(folder_path(path, state, SQLITE_FILE), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(file, bytes, size), size);
    close(file);
}

/* What a disk that died answers: nothing that makes sense. Then it is back. */
static void a_file_damaged_at_work_fails_and_recovers(void **state)
{
    char path[FOLDER_PATH];
    struct buffer whole = {0};
    struct deepsad_error error = {0};
    size_t count = 0;
    struct store *store = store_must_open(state);
    assert_int_equal(add_large(store, 0, 3, &count, &error), DEEPSAD_OK);
    store_close(store); /* the log is moved into the file */
    assert_int_equal(
        file_read(&whole, folder_path(path, state, SQLITE_FILE), 1 << 24, NULL), 0);
    store = store_must_open(state);
    char *garbage = calloc(1, whole.length);
    memset(garbage, 0x5a, whole.length);
    write_file(state, garbage, whole.length);
    int status = add_large(store, 1, 3, &count, &error);
    int health = store_health(store, NULL);
    write_file(state, whole.data, whole.length);
    assert_true(status == DEEPSAD_IO && health == DEEPSAD_IO);
    assert_error_says(error, "the file is damaged"); /* found writing, or opening again */
    wait_until_healthy(store);
    error = (struct deepsad_error){0};
    assert_int_equal(add_large(store, 1, 3, &count, &error), DEEPSAD_OK);
    assert_int_equal(store_must_count(store).normal, 2);
    store_close(store);
    free(garbage);
    buffer_done(&whole);
}

static void remove_files(void **state)
{
    static const char *const NAMES[] = {SQLITE_FILE, SQLITE_FILE "-wal",
                                        SQLITE_FILE "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[FOLDER_PATH];
        assert_int_equal(unlink(folder_path(path, state, NAMES[i])), 0);
    }
}

static void a_backup_put_in_place_is_taken_up(void **state)
{
    char path[FOLDER_PATH];
    struct buffer backup = {0};
    struct store *store = store_must_open(state);
    size_t count = 0;
    assert_int_equal(add_large(store, 0, 3, &count, NULL), DEEPSAD_OK);
    store_close(store);
    assert_int_equal(
        file_read(&backup, folder_path(path, state, SQLITE_FILE), 1 << 24, NULL), 0);
    store = store_must_open(state);
    assert_int_equal(add_large(store, 1, 3, &count, NULL), DEEPSAD_OK);
    assert_int_equal(store_must_count(store).normal, 2);
    remove_files(state);
    write_file(state, backup.data, backup.length);
    assert_int_equal(add_large(store, 2, 3, &count, NULL), DEEPSAD_OK);
    assert_int_equal(store_must_count(store).normal, 2);
    store_close(store);
    store = store_must_open(state);
    assert_int_equal(store_must_count(store).normal, 2);
    store_close(store);
    buffer_done(&backup);
}

static void a_file_that_is_gone_is_not_made_again(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct store *store = store_must_open(state);
    size_t count = 0;
    assert_int_equal(add_large(store, 0, 3, &count, &error), DEEPSAD_OK);
    remove_files(state);
    assert_int_equal(add_large(store, 1, 3, &count, &error), DEEPSAD_IO);
    assert_error_says(error,
                      "the label store cannot be opened: the file cannot be opened");
    write_file(state, "", 0);
    error = (struct deepsad_error){0};
    assert_int_equal(add_large(store, 1, 3, &count, &error), DEEPSAD_IO);
    assert_error_says(error, "the label store cannot write: its file was emptied");
    assert_int_equal(store_health(store, NULL), DEEPSAD_IO);
    store_close(store);
    assert_int_equal(access(folder_path(path, state, SQLITE_FILE), F_OK), 0);
}

static void a_newer_schema_is_refused(void **state)
{
    struct deepsad_error error = {0};
    struct store *store = store_must_open(state);
    store_close(store);
    run_sql(state, "PRAGMA user_version = 99");
    assert_int_equal(store_open_in(&store, state, &error), DEEPSAD_UNSUPPORTED);
    assert_error_says(error, "deepsad.db: the label store has schema 99, this program "
                             "knows up to 1; start the newer program");
}

static void the_database_of_another_program_is_refused(void **state)
{
    struct deepsad_error error = {0};
    struct store *store;
    run_sql(state, "CREATE TABLE sample (a)");
    assert_int_equal(store_open_in(&store, state, &error), DEEPSAD_UNSUPPORTED);
    assert_error_says(error, "deepsad.db: a database, but not a label store");
}

static void a_damaged_file_is_refused(void **state)
{
    struct deepsad_error error = {0};
    struct store *store;
    char garbage[5000];
    memset(garbage, 0x5a, sizeof garbage);
    write_file(state, garbage, sizeof garbage);
    assert_int_equal(store_open_in(&store, state, &error), DEEPSAD_IO);
    assert_error_says(error, "deepsad.db: the label store cannot be opened: the file is "
                             "damaged");
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct store *store;
    const struct sqlite_options options = {.directory =
                                               folder_path(path, state, "nowhere")};
    assert_int_equal(sqlite_open(&store, &options, &error), DEEPSAD_IO);
    assert_error_says(error, "nowhere/deepsad.db: the label store cannot be opened: the "
                             "file cannot be opened");
}

static void *let_go(void *handle)
{
    pause_ms(300);
    sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL);
    return NULL;
}

static void another_process_that_writes_is_waited_for(void **state)
{
    char path[FOLDER_PATH];
    pthread_t thread;
    sqlite3 *other = NULL;
    struct store *store = store_must_open(state);
    size_t count = 0;
    sqlite3_open(folder_path(path, state, SQLITE_FILE), &other);
    sqlite3_busy_timeout(other, 5000);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pthread_create(&thread, NULL, let_go, other), 0);
    assert_int_equal(add_large(store, 1, 3, &count, NULL), DEEPSAD_OK);
    pthread_join(thread, NULL);
    sqlite3_close(other);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_may_not_grow_fails_and_recovers),
        TEST(a_full_disk_fails_and_recovers),
        TEST(samples_that_a_full_disk_refuses_are_counted),
        TEST(a_file_damaged_at_work_fails_and_recovers),
        TEST(a_backup_put_in_place_is_taken_up),
        TEST(a_file_that_is_gone_is_not_made_again),
        TEST(a_newer_schema_is_refused),
        TEST(the_database_of_another_program_is_refused),
        TEST(a_damaged_file_is_refused),
        TEST(a_directory_that_is_not_there_is_named),
        TEST(another_process_that_writes_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
