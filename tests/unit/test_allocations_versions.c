/* SPDX-License-Identifier: Apache-2.0 */
/* Versions on disk and the catalog of what is served when memory runs out. */
#include "../allocations.h"
#include "../folder.h"
#include "../sample_data.h"

#include "model/live.h"
#include "model/policy.h"
#include "model/registry.h"
#include "model/version.h"

static struct deepsad_model *model; /* of all stories: not changed */

static int set_up(void **state)
{
    struct deepsad_dataset data = sample_data(40, 3, 6, 2);
    struct deepsad_recipe *recipe = sample_reference();
    sample_set(recipe, "hidden", "2");
    sample_set(recipe, "pretrain_epochs", "0");
    sample_set(recipe, "epochs", "1");
    model = sample_model(&data, recipe, 1);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    return allocations_setup(state);
}

static int tear_down(void **state)
{
    (void)state;
    deepsad_model_unref(model);
    return 0;
}

/* In memory where there is such a place: what fails here is not the disk. */
static void make_folder(char folder[static FOLDER_PATH])
{
    bool memory = access("/dev/shm", W_OK) == 0;
    snprintf(folder, FOLDER_PATH, "%s/deepsad-test-XXXXXX", memory ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
}

static int save_versions(const char *directory, struct deepsad_error *error)
{
    unsigned number = 0;
    int status = deepsad_model_save_version(model, directory, &number, error);
    if (status == DEEPSAD_OK) {
        assert_int_equal(number, 1);
        status = version_save(model, directory, true, &number, error);
    }
    if (status == DEEPSAD_OK) {
        const struct live live = {.version = 1, .newest = 2, .hold = true};
        status = live_write(&live, directory, error);
    }
    return status;
}

static int load_place(const char *path, struct deepsad_error *error)
{
    struct deepsad_model *loaded = NULL;
    int status = deepsad_model_load(&loaded, path, error);
    deepsad_model_unref(loaded);
    return status;
}

static int write_and_load(void *closure, struct deepsad_error *error)
{
    char folder[FOLDER_PATH], directory[FOLDER_PATH], path[FOLDER_PATH + 16];
    (void)closure;
    make_folder(folder);
    snprintf(directory, sizeof directory, "%.200s/m", folder);
    int status = save_versions(directory, error);
    if (status == DEEPSAD_OK) {
        status = load_place(directory, error);
    }
    if (status == DEEPSAD_OK) {
        snprintf(path, sizeof path, "%s/2", directory);
        status = load_place(path, error);
    }
    if (status == DEEPSAD_OK) {
        status = version_remove(directory, 2, error);
    }
    nftw(folder, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}

static void versions_are_written_or_not(void **state)
{
    (void)state;
    allocations_fail_each(write_and_load, NULL, 20, 400);
}

static int serve(const char *folder, struct deepsad_error *error)
{
    const struct registry_options options = {.directory = folder, .versions_loaded = 2};
    struct registry *registry = NULL;
    int status = registry_open(&registry, &options, error);
    if (status == DEEPSAD_OK) {
        status = registry_reload(registry, &options, error);
    }
    if (status == DEEPSAD_OK) {
        status = registry_unload(registry, "m", error);
    }
    if (status == DEEPSAD_OK) {
        status = registry_load(registry, "m", error);
    }
    registry_close(registry);
    return status;
}

static int serve_folder(void *closure, struct deepsad_error *error)
{
    return serve(closure, error);
}

static void a_registry_opens_or_says_why(void **state)
{
    char folder[FOLDER_PATH], directory[FOLDER_PATH];
    struct deepsad_error error = {0};
    (void)state;
    make_folder(folder);
    snprintf(directory, sizeof directory, "%.200s/m", folder);
    assert_int_equal(save_versions(directory, &error), DEEPSAD_OK);
    allocations_fail_each(serve_folder, folder, 20, 4000);
    nftw(folder, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_written_or_not),
        cmocka_unit_test(a_registry_opens_or_says_why),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
