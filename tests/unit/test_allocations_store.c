/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of labels when memory runs out: what was acknowledged is there, and once
 * there is memory again, all goes on. */
#include "../allocations.h"
#include "../stores.h"

static const struct store_label_filter EVERYTHING = {.limit = 0};

/* Of one run of a story. */
struct scene {
    void **folder;
    bool acknowledged;
};

static int label_and_list(struct store *store, struct scene *scene,
                          struct deepsad_error *error)
{
    const float x[STORE_FEATURES] = {1, 2, NAN};
    const struct store_verdict_new new[] = {
        {.label_id = "l-1",
         .sample_new = "s-1",
         .x = x,
         .verdict = STORE_ANOMALOUS,
         .analyst = "kim",
         .reason = "fraud",
         .note = "a note"},
        {.label_id = "l-2", .sample_new = "s-2", .x = x, .verdict = STORE_NORMAL}};
    struct store_labels out = {0}, list = {0}, force = {0};
    struct store_samples samples = {0};
    struct store_counts counts = {0};
    bool replayed = false;
    size_t wrong = 0, changes = 0;
    int status = store_add(store, &out, &replayed, new, 2, "key", 1, &wrong, error);
    scene->acknowledged = status == DEEPSAD_OK;
    if (status == DEEPSAD_OK) {
        assert_int_equal(out.count, 2);
        store_keep_one(store, "t-1", 0.5F, 100);
        status = store_labels_list(store, &list, "m", &EVERYTHING, error);
    }
    if (status == DEEPSAD_OK) {
        assert_int_equal(list.count, 2);
        status = store_labels_in_force(store, &force, "m", STORE_FEATURES, error);
    }
    if (status == DEEPSAD_OK) {
        status =
            store_samples_list(store, &samples, "m", STORE_FEATURES, STORE_ALL, 9, error);
    }
    if (status == DEEPSAD_OK) {
        assert_true(samples.count >= 2); /* that of no label may be dropped */
        status = store_counts(store, &counts, "m", error);
    }
    if (status == DEEPSAD_OK) {
        assert_int_equal(counts.anomalous, 1);
        status = store_changes(store, &changes, "m", 0, error);
    }
    store_labels_done(&out);
    store_labels_done(&list);
    store_labels_done(&force);
    store_samples_done(&samples);
    return status;
}

static int put_jobs(struct store *store, struct deepsad_error *error)
{
    struct store_job job = {.id = "j-1", .model = "m", .state = "queued", .detail = "{}"},
                     got = {.version = 0};
    struct store_jobs jobs = {0};
    const struct store_version version = {
        .model = "m", .number = 3, .job = "j-1", .detail = (char[]){"{}"}};
    struct store_version read = {.number = 0};
    struct store_label label = {.seq = 0};
    size_t count = 0;
    const char *const ids[] = {"l-2"};
    int status = store_job_put(store, &job, error);
    if (status == DEEPSAD_OK) {
        status = store_job_get(store, &got, "j-1", error);
    }
    if (status == DEEPSAD_OK) {
        status = store_jobs_list(store, &jobs, "m", "queued", NULL, 5, error);
    }
    if (status == DEEPSAD_OK) {
        status = store_version_put(store, &version, error);
    }
    if (status == DEEPSAD_OK) {
        status = store_version_get(store, &read, "m", 3, error);
    }
    if (status == DEEPSAD_OK) {
        status = store_quarantine(store, "m", ids, 1, "j-1", "why", error);
    }
    if (status == DEEPSAD_OK) {
        status = store_label_withdraw(store, &label, "m", "l-1", "kim", 2000, error);
    }
    if (status == DEEPSAD_OK) {
        status = store_labels_withdraw_by(store, &count, "m", NULL, 2000, error);
    }
    store_label_done(&label);
    store_job_done(&got);
    store_jobs_done(&jobs);
    free(read.detail);
    return status;
}

/* Memory is what fails here, not power. */
static int open_store(struct store **out, const struct scene *scene,
                      struct deepsad_error *error)
{
    const struct sqlite_options options = {
        .directory = *scene->folder, .queue = STORE_QUEUE, .synchronous = "OFF"};
    return sqlite_open(out, &options, error);
}

static void remove_database(struct scene *scene)
{
    static const char *const names[] = {SQLITE_FILE, SQLITE_FILE "-wal",
                                        SQLITE_FILE "-shm"};
    char path[FOLDER_PATH];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(folder_path(path, scene->folder, names[i]));
    }
}

/* After the story, and with memory again: both labels, or none where it was refused. */
static void check_what_is_there(struct scene *scene)
{
    long left = atomic_exchange(&allocations_left, -1);
    struct store *store = NULL;
    assert_int_equal(open_store(&store, scene, NULL), DEEPSAD_OK);
    struct store_labels list = store_must_list(store, &EVERYTHING);
    assert_true(list.count == 2 || (list.count == 0 && !scene->acknowledged));
    store_labels_done(&list);
    store_close(store);
    remove_database(scene);
    atomic_store(&allocations_left, left);
}

static int keep_a_journal(void *closure, struct deepsad_error *error)
{
    struct scene *scene = closure;
    struct store *store = NULL;
    scene->acknowledged = false;
    int status = open_store(&store, scene, error);
    if (status == DEEPSAD_OK) {
        status = label_and_list(store, scene, error);
    }
    if (status == DEEPSAD_OK) {
        status = put_jobs(store, error);
    }
    store_close(store);
    check_what_is_there(scene);
    /* What SQLite says of memory reaches clients as "cannot be written now". */
    return status == DEEPSAD_IO ? DEEPSAD_NO_MEMORY : status;
}

static void no_acknowledged_label_is_lost(void **state)
{
    struct scene scene = {.folder = state};
    allocations_fail_each(keep_a_journal, &scene, 100, 60);
}

static void nor_where_only_our_own_fail(void **state)
{
    struct scene scene = {.folder = state};
    allocations_spare_sqlite = true;
    allocations_fail_each(keep_a_journal, &scene, 20, 1000);
    allocations_spare_sqlite = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_acknowledged_label_is_lost, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(nor_where_only_our_own_fail, folder_setup,
                                        folder_teardown),
    };
    return cmocka_run_group_tests(tests, allocations_setup, NULL);
}
