/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "../stores.h"
#include "base/file.h"
#include "learn/prune.h"

enum { VERSIONS = 20 };

/* Model m of `count` versions, newest first; the newest is live and loaded. */
struct model {
    unsigned numbers[VERSIONS];
    struct catalog_version live;
    struct catalog_entry entry;
    char directory[FOLDER_PATH];
};

static bool is_there(const struct model *model, unsigned number)
{
    char path[FOLDER_PATH + 16];
    snprintf(path, sizeof path, "%s/%u", model->directory, number);
    return file_is_directory(path);
}

static void make_version(const struct model *model, unsigned number)
{
    char path[FOLDER_PATH + 64];
    snprintf(path, sizeof path, "%s/%u", model->directory, number);
    assert_int_equal(file_make_directories(path, NULL), DEEPSAD_OK);
    snprintf(path, sizeof path, "%s/%u/model.safetensors", model->directory, number);
    assert_int_equal(file_replace(path, "weights", 7, NULL), DEEPSAD_OK);
}

static void make_model(struct model *model, void **state, unsigned count, size_t keep)
{
    static char name[] = "m";
    *model = (struct model){.live = {.number = count}};
    folder_path(model->directory, state, name);
    for (unsigned i = 0; i < count; i++) {
        model->numbers[i] = count - i;
        make_version(model, count - i);
    }
    model->entry = (struct catalog_entry){
        .name = name,
        .policy = {.retraining = {.versions = keep}},
        .version_count = 1,
        .versions = &model->live,
        .available_count = count,
        .available = model->numbers,
    };
}

/* Versions first..last were made by retraining. */
static struct store *open_with_records(void **state, unsigned first, unsigned last)
{
    struct store *store = store_must_open(state);
    for (unsigned number = first; number <= last; number++) {
        const struct store_version version = {.model = "m", .number = number};
        assert_int_equal(store_version_put(store, &version, NULL), DEEPSAD_OK);
    }
    return store;
}

static void the_oldest_that_retraining_made_go(void **state)
{
    struct model model;
    make_model(&model, state, 6, 3);
    struct store *store = open_with_records(state, 2, 6);
    assert_int_equal(prune_versions(&model.entry, model.directory, store), 3);
    assert_true(is_there(&model, 1)); /* made by hand */
    assert_false(is_there(&model, 2) || is_there(&model, 3) || is_there(&model, 4));
    assert_true(is_there(&model, 5) && is_there(&model, 6));
    store_close(store);
}

static void nothing_goes_below_the_limit_or_without_one(void **state)
{
    struct model model;
    make_model(&model, state, 4, 4);
    struct store *store = open_with_records(state, 1, 4);
    assert_int_equal(prune_versions(&model.entry, model.directory, store), 0);
    model.entry.policy.retraining.versions = 0;
    assert_int_equal(prune_versions(&model.entry, model.directory, store), 0);
    for (unsigned number = 1; number <= 4; number++) {
        assert_true(is_there(&model, number));
    }
    store_close(store);
}

static void the_live_version_stays_however_old(void **state)
{
    struct model model;
    make_model(&model, state, 4, 1);
    model.live.number = 1; /* rolled back */
    struct store *store = open_with_records(state, 1, 4);
    assert_int_equal(prune_versions(&model.entry, model.directory, store), 3);
    assert_true(is_there(&model, 1));
    store_close(store);
}

static void versions_made_by_hand_stay(void **state)
{
    struct model model;
    make_model(&model, state, 5, 1);
    struct store *store = open_with_records(state, 3, 3);
    assert_int_equal(prune_versions(&model.entry, model.directory, store), 1);
    assert_false(is_there(&model, 3));
    assert_true(is_there(&model, 1) && is_there(&model, 2) && is_there(&model, 4));
    store_close(store);
}

static void only_a_few_go_at_a_time(void **state)
{
    struct model model;
    make_model(&model, state, VERSIONS, 1);
    struct store *store = open_with_records(state, 1, VERSIONS);
    assert_int_equal(prune_versions(&model.entry, model.directory, store), 8);
    assert_true(!is_there(&model, 8) && is_there(&model, 9));
    store_close(store);
}

static void what_somebody_else_removed_is_passed_over(void **state)
{
    struct model model;
    make_model(&model, state, 3, 1);
    struct store *store = open_with_records(state, 1, 5);
    model.numbers[2] = 5; /* in the catalog, but not on disk any more */
    assert_int_equal(prune_versions(&model.entry, model.directory, store), 1);
    assert_false(is_there(&model, 2));
    store_close(store);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(the_oldest_that_retraining_made_go),
        WITH_FOLDER(nothing_goes_below_the_limit_or_without_one),
        WITH_FOLDER(the_live_version_stays_however_old),
        WITH_FOLDER(versions_made_by_hand_stay),
        WITH_FOLDER(only_a_few_go_at_a_time),
        WITH_FOLDER(what_somebody_else_removed_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
