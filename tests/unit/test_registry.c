/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "../folder.h"
#include "../sample_data.h"
#include "../testing.h"

#include "base/file.h"
#include "model/registry.h"

static void save(void **state, const char *name)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_dataset data = sample_data(60, 0, 0, 2);
    struct deepsad_recipe *recipe = sample_recipe("default");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    if (deepsad_model_save_version(model, folder_path(path, state, name), NULL, &error) !=
        DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static void write_text(void **state, const char *rest, const char *text)
{
    char path[FOLDER_PATH];
    assert_int_equal(
        file_replace(folder_path(path, state, rest), text, strlen(text), NULL),
        DEEPSAD_OK);
}

static struct registry *open_registry(void **state, size_t versions_loaded)
{
    struct deepsad_error error = {0};
    struct registry *registry = NULL;
    struct registry_options options = {.directory = *state,
                                       .versions_loaded = versions_loaded};
    if (registry_open(&registry, &options, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return registry;
}

static void models_are_found_by_name_with_their_newest_version_live(void **state)
{
    save(state, "beta");
    save(state, "alpha");
    save(state, "alpha");
    save(state, "alpha");
    struct registry *registry = open_registry(state, 2);
    const struct catalog *catalog = registry_acquire(registry);
    assert_int_equal(catalog->count, 2);
    const struct catalog_entry *entry = catalog_find(catalog, "alpha");
    assert_int_equal(entry->version_count, 2);
    assert_int_equal(entry->available_count, 3);
    assert_int_equal(catalog_version(entry, 0)->number, 3);
    assert_int_equal(catalog_version(entry, 2)->number, 2);
    assert_null(catalog_version(entry, 1));
    assert_null(entry->fault);
    assert_non_null(catalog_find(catalog, "beta"));
    assert_null(catalog_find(catalog, "gamma"));
    registry_release(registry, catalog);
    registry_close(registry);
}

static void a_broken_model_does_not_stop_the_others(void **state)
{
    save(state, "good");
    save(state, "bad");
    write_text(state, "bad/1/model.safetensors", "nonsense");
    struct registry *registry = open_registry(state, 1);
    const struct catalog *catalog = registry_acquire(registry);
    const struct catalog_entry *bad = catalog_find(catalog, "bad");
    assert_int_equal(bad->version_count, 0);
    assert_non_null(strstr(bad->fault, "bad/1/model.safetensors"));
    assert_null(catalog_find(catalog, "good")->fault);
    registry_release(registry, catalog);
    registry_close(registry);
}

static void unchanged_files_are_not_read_again(void **state)
{
    save(state, "shop");
    struct registry *registry = open_registry(state, 1);
    const struct catalog *before = registry_acquire(registry);
    assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
    const struct catalog *after = registry_acquire(registry);
    assert_ptr_not_equal(before, after);
    assert_ptr_equal(before->entries[0].versions[0].model,
                     after->entries[0].versions[0].model);
    assert_int_equal(before->entries[0].loaded_at_ms, after->entries[0].loaded_at_ms);
    registry_release(registry, before);
    registry_release(registry, after);
    registry_close(registry);
}

static void a_request_keeps_its_catalog_over_a_reload(void **state)
{
    save(state, "shop");
    struct registry *registry = open_registry(state, 1);
    const struct catalog *catalog = registry_acquire(registry);
    save(state, "shop");
    assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
    assert_int_equal(catalog_version(&catalog->entries[0], 0)->number, 1);
    const struct catalog *next = registry_acquire(registry);
    assert_int_equal(catalog_version(&next->entries[0], 0)->number, 2);
    registry_release(registry, next);
    registry_close(registry);
    assert_int_equal(deepsad_model_features(catalog->entries[0].versions[0].model), 2);
    registry_release(NULL, catalog);
}

static void a_broken_new_version_leaves_the_live_one_live(void **state)
{
    save(state, "shop");
    struct registry *registry = open_registry(state, 1);
    save(state, "shop");
    write_text(state, "shop/2/model.safetensors", "nonsense");
    assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
    const struct catalog *catalog = registry_acquire(registry);
    assert_int_equal(catalog_version(&catalog->entries[0], 0)->number, 1);
    assert_non_null(strstr(catalog->entries[0].fault, "shop/2"));
    registry_release(registry, catalog);
    registry_close(registry);
}

static void a_live_version_whose_file_breaks_stays_live(void **state)
{
    save(state, "shop");
    save(state, "shop");
    struct registry *registry = open_registry(state, 1);
    write_text(state, "shop/2/model.safetensors", "nonsense");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
        const struct catalog *catalog = registry_acquire(registry);
        assert_int_equal(catalog_version(&catalog->entries[0], 0)->number, 2);
        assert_non_null(catalog->entries[0].fault);
        registry_release(registry, catalog);
    }
    registry_close(registry);
}

static void the_policy_sets_alpha_and_threshold(void **state)
{
    save(state, "shop");
    write_text(state, "shop/model.yaml", "alpha: 0.1\n");
    struct registry *registry = open_registry(state, 1);
    const struct catalog *catalog = registry_acquire(registry);
    const struct catalog_entry *entry = &catalog->entries[0];
    float threshold;
    assert_near(entry->alpha, 0.1, 1e-12);
    assert_true(entry->reachable);
    assert_true(deepsad_model_threshold(entry->versions[0].model, 0.1, &threshold));
    assert_true(entry->threshold == threshold);
    registry_release(registry, catalog);
    write_text(state, "shop/model.yaml", "alpha: 0.001\n");
    assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
    catalog = registry_acquire(registry);
    assert_false(catalog->entries[0].reachable);
    registry_release(registry, catalog);
    registry_close(registry);
}

static void a_missing_directory_is_a_failure_and_changes_nothing(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct registry_options options = {.directory = folder_path(path, state, "absent"),
                                       .versions_loaded = 1};
    save(state, "shop");
    struct registry *registry = open_registry(state, 1), *none = NULL;
    assert_int_equal(registry_open(&none, &options, &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, "absent");
    assert_int_equal(registry_reload(registry, &options, NULL), DEEPSAD_NOT_FOUND);
    const struct catalog *catalog = registry_acquire(registry);
    assert_int_equal(catalog->count, 1);
    registry_release(registry, catalog);
    assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
    registry_close(registry);
}

static void what_is_no_model_directory_is_passed_over(void **state)
{
    char path[FOLDER_PATH];
    write_text(state, "README", "text");
    assert_int_equal(mkdir(folder_path(path, state, "Not-A-Name"), 0755), 0);
    assert_int_equal(mkdir(folder_path(path, state, "empty"), 0755), 0);
    struct registry *registry = open_registry(state, 1);
    const struct catalog *catalog = registry_acquire(registry);
    assert_int_equal(catalog->count, 1);
    assert_non_null(strstr(catalog->entries[0].fault, "no version"));
    registry_release(registry, catalog);
    registry_close(registry);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(models_are_found_by_name_with_their_newest_version_live),
        WITH_FOLDER(a_broken_model_does_not_stop_the_others),
        WITH_FOLDER(unchanged_files_are_not_read_again),
        WITH_FOLDER(a_request_keeps_its_catalog_over_a_reload),
        WITH_FOLDER(a_broken_new_version_leaves_the_live_one_live),
        WITH_FOLDER(a_live_version_whose_file_breaks_stays_live),
        WITH_FOLDER(the_policy_sets_alpha_and_threshold),
        WITH_FOLDER(a_missing_directory_is_a_failure_and_changes_nothing),
        WITH_FOLDER(what_is_no_model_directory_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
