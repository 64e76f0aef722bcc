/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "../folder.h"
#include "../sample_data.h"
#include "../testing.h"

#include "base/file.h"
#include "model/registry.h"
#include "model/version.h"

static void save_as(void **state, const char *name, bool challenger)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_dataset data = sample_data(60, 0, 0, 2);
    struct deepsad_recipe *recipe = sample_recipe("default");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    if (version_save(model, folder_path(path, state, name), challenger, NULL, &error) !=
        DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static void save(void **state, const char *name)
{
    save_as(state, name, false);
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

/* Numbers of the loaded versions, "2 4 3". */
static const char *loaded(char text[static 64], const struct catalog *catalog)
{
    const struct catalog_entry *entry = &catalog->entries[0];
    text[0] = '\0';
    for (size_t i = 0; i < entry->version_count; i++) {
        snprintf(text + strlen(text), 64 - strlen(text), i == 0 ? "%u" : " %u",
                 entry->versions[i].number);
    }
    return text;
}

static void assert_loaded(struct registry *registry, const char *expected)
{
    char text[64];
    assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
    const struct catalog *catalog = registry_acquire(registry);
    assert_string_equal(loaded(text, catalog), expected);
    registry_release(registry, catalog);
}

static void the_live_version_comes_first_and_counts(void **state)
{
    for (int i = 0; i < 4; i++) {
        save(state, "shop");
    }
    struct registry *registry = open_registry(state, 3);
    assert_loaded(registry, "4 3 2");
    write_text(state, "shop/live.yaml", "version: 1\nnewest: 4\nhold: true\n");
    assert_loaded(registry, "1 4 3");
    save(state, "shop");
    assert_loaded(registry, "1 5 4");
    write_text(state, "shop/live.yaml", "version: 1\nnewest: 5\nhold: false\n");
    assert_loaded(registry, "1 5 4");
    save(state, "shop");
    assert_loaded(registry, "6 5 4");
    registry_close(registry);
}

static void challengers_are_loaded_but_never_live(void **state)
{
    save(state, "shop");
    save(state, "shop");
    save_as(state, "shop", true);
    struct registry *registry = open_registry(state, 2);
    assert_loaded(registry, "2 3");
    const struct catalog *catalog = registry_acquire(registry);
    assert_true(catalog->entries[0].challenger[0]);
    assert_false(catalog->entries[0].challenger[1]);
    registry_release(registry, catalog);
    write_text(state, "shop/2/model.safetensors", "nonsense");
    struct registry *fresh = open_registry(state, 1);
    assert_loaded(fresh, "1"); /* a challenger does not step in */
    registry_close(fresh);
    registry_close(registry);
}

static void a_fault_in_live_yaml_keeps_what_was_live(void **state)
{
    save(state, "shop");
    save(state, "shop");
    write_text(state, "shop/live.yaml", "version: 1\nnewest: 2\nhold: true\n");
    struct registry *registry = open_registry(state, 2);
    write_text(state, "shop/live.yaml", "version: one\n");
    assert_loaded(registry, "1 2");
    const struct catalog *catalog = registry_acquire(registry);
    assert_non_null(strstr(catalog->entries[0].fault, "live.yaml:1"));
    assert_true(catalog->entries[0].live.hold);
    registry_release(registry, catalog);
    registry_close(registry);
}

static void an_activated_version_that_breaks_stays_live(void **state)
{
    save(state, "shop");
    save(state, "shop");
    write_text(state, "shop/live.yaml", "version: 1\nnewest: 2\nhold: true\n");
    struct registry *registry = open_registry(state, 1);
    write_text(state, "shop/1/model.safetensors", "nonsense");
    assert_loaded(registry, "1");
    struct registry *fresh = open_registry(state, 1);
    assert_loaded(fresh, "2"); /* better than none, and the fault says why */
    registry_close(fresh);
    registry_close(registry);
}

static void a_model_whose_versions_are_gone_stays_live(void **state)
{
    char path[FOLDER_PATH], away[FOLDER_PATH];
    save(state, "shop");
    struct registry *registry = open_registry(state, 1);
    assert_int_equal(
        rename(folder_path(path, state, "shop/1"), folder_path(away, state, "shop/old")),
        0);
    assert_loaded(registry, "1");
    const struct catalog *catalog = registry_acquire(registry);
    assert_non_null(strstr(catalog->entries[0].fault, "no version of a model"));
    registry_release(registry, catalog);
    registry_close(registry);
}

static void challengers_alone_are_a_fault_that_says_so(void **state)
{
    save_as(state, "shop", true);
    struct registry *registry = open_registry(state, 2);
    const struct catalog *catalog = registry_acquire(registry);
    assert_int_equal(catalog->entries[0].version_count, 0);
    assert_non_null(strstr(catalog->entries[0].fault, "all are challengers"));
    registry_release(registry, catalog);
    registry_close(registry);
}

static void a_promotion_reads_nothing_but_the_new_version(void **state)
{
    save(state, "shop");
    save(state, "shop");
    struct registry *registry = open_registry(state, 3);
    const struct catalog *before = registry_acquire(registry);
    save(state, "shop");
    assert_loaded(registry, "3 2 1");
    const struct catalog *after = registry_acquire(registry);
    assert_ptr_equal(before->entries[0].versions[0].model,
                     after->entries[0].versions[1].model);
    assert_ptr_equal(before->entries[0].versions[1].model,
                     after->entries[0].versions[2].model);
    registry_release(registry, before);
    registry_release(registry, after);
    registry_close(registry);
}

static void the_whole_policy_is_in_the_entry(void **state)
{
    save(state, "shop");
    write_text(state, "shop/model.yaml",
               "alpha: 0.1\nretraining:\n  mode: never\n  min_labels: 4\n");
    struct registry *registry = open_registry(state, 1);
    write_text(state, "shop/model.yaml", "retraining:\n  mode: perhaps\n");
    assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
    const struct catalog *catalog = registry_acquire(registry);
    assert_int_equal(catalog->entries[0].policy.retraining.mode, POLICY_NEVER);
    assert_int_equal(catalog->entries[0].policy.retraining.min_labels, 4);
    assert_near(catalog->entries[0].policy.gate.auc_loss, 0.03, 1e-12);
    assert_non_null(strstr(catalog->entries[0].fault, "retraining.mode"));
    registry_release(registry, catalog);
    registry_close(registry);
}

static void a_catalog_prepared_aside_is_seen_once_it_is_committed(void **state)
{
    struct catalog *next;
    const struct catalog *base;
    save(state, "shop");
    struct registry *registry = open_registry(state, 2);
    save(state, "shop");
    assert_int_equal(registry_prepare(registry, &next, &base, NULL), DEEPSAD_OK);
    const struct catalog *catalog = registry_acquire(registry);
    assert_int_equal(catalog->entries[0].versions[0].number, 1);
    registry_release(registry, catalog);
    assert_true(registry_commit(registry, next, base));
    catalog = registry_acquire(registry);
    assert_int_equal(catalog->entries[0].versions[0].number, 2);
    registry_release(registry, catalog);
    registry_close(registry);
}

static void a_reload_in_between_wins_over_what_was_prepared(void **state)
{
    struct catalog *next;
    const struct catalog *base;
    save(state, "shop");
    struct registry *registry = open_registry(state, 2);
    assert_int_equal(registry_prepare(registry, &next, &base, NULL), DEEPSAD_OK);
    save(state, "shop");
    assert_int_equal(registry_reload(registry, NULL, NULL), DEEPSAD_OK);
    assert_false(registry_commit(registry, next, base));
    const struct catalog *catalog = registry_acquire(registry);
    assert_int_equal(catalog->entries[0].versions[0].number, 2);
    registry_release(registry, catalog);
    registry_close(registry);
}

static void nothing_is_prepared_from_a_directory_that_is_gone(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct catalog *next;
    const struct catalog *base;
    save(state, "models/shop");
    struct registry_options options = {.directory = folder_path(path, state, "models"),
                                       .versions_loaded = 1};
    struct registry *registry = NULL;
    assert_int_equal(registry_open(&registry, &options, &error), DEEPSAD_OK);
    char away[FOLDER_PATH];
    assert_int_equal(rename(path, folder_path(away, state, "away")), 0);
    assert_int_equal(registry_prepare(registry, &next, &base, &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, "models");
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
        WITH_FOLDER(the_live_version_comes_first_and_counts),
        WITH_FOLDER(challengers_are_loaded_but_never_live),
        WITH_FOLDER(a_fault_in_live_yaml_keeps_what_was_live),
        WITH_FOLDER(an_activated_version_that_breaks_stays_live),
        WITH_FOLDER(a_model_whose_versions_are_gone_stays_live),
        WITH_FOLDER(challengers_alone_are_a_fault_that_says_so),
        WITH_FOLDER(a_promotion_reads_nothing_but_the_new_version),
        WITH_FOLDER(the_whole_policy_is_in_the_entry),
        WITH_FOLDER(a_catalog_prepared_aside_is_seen_once_it_is_committed),
        WITH_FOLDER(a_reload_in_between_wins_over_what_was_prepared),
        WITH_FOLDER(nothing_is_prepared_from_a_directory_that_is_gone),
        WITH_FOLDER(a_missing_directory_is_a_failure_and_changes_nothing),
        WITH_FOLDER(what_is_no_model_directory_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
