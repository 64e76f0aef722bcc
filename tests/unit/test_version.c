/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "../folder.h"
#include "../sample_data.h"
#include "../testing.h"

#include "base/file.h"
#include "model/live.h"
#include "model/version.h"

static struct deepsad_model *small_model(void)
{
    struct deepsad_dataset data = sample_data(60, 0, 0, 2);
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, "alpha", "0.05");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    return model;
}

static void a_model_name_is_lower_case_and_short(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'a', sizeof longest);
    longest[64] = '\0';
    assert_true(version_name_valid("a") && version_name_valid("0-_z"));
    assert_true(version_name_valid(longest));
    longest[64] = 'a';
    longest[65] = '\0';
    static const char *const bad[] = {"",    "-a",  "_a",       "A",
                                      "a.b", "a/b", "\xc3\xa4", ".."};
    assert_false(version_name_valid(longest));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(version_name_valid(bad[i]));
    }
}

static void versions_count_from_one(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_model *model = small_model();
    folder_path(path, state, "shop");
    for (unsigned expected = 1; expected <= 3; expected++) {
        unsigned version = 0;
        assert_int_equal(deepsad_model_save_version(model, path, &version, NULL),
                         DEEPSAD_OK);
        assert_int_equal(version, expected);
    }
    unsigned *list;
    size_t count;
    assert_int_equal(version_list(&list, &count, path, NULL), DEEPSAD_OK);
    assert_int_equal(count, 3);
    assert_int_equal(list[0], 3);
    free(list);
    deepsad_model_unref(model);
}

static size_t count_entries(const char *path)
{
    size_t entries = 0;
    DIR *stream = opendir(path);
    while (readdir(stream) != NULL) {
        entries++;
    }
    closedir(stream);
    return entries - 2; /* . and .. */
}

static void nothing_but_versions_and_the_policy_is_left_behind(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_model *model = small_model();
    folder_path(path, state, "shop");
    assert_int_equal(deepsad_model_save_version(model, path, NULL, NULL), DEEPSAD_OK);
    assert_int_equal(count_entries(path), 2); /* 1 and model.yaml */
    deepsad_model_unref(model);
}

static void a_model_is_loaded_by_file_version_or_directory(void **state)
{
    static const char *const ways[] = {"shop", "shop/1", "shop/1/model.safetensors"};
    char path[FOLDER_PATH];
    struct deepsad_model *model = small_model();
    folder_path(path, state, "shop");
    assert_int_equal(deepsad_model_save_version(model, path, NULL, NULL), DEEPSAD_OK);
    deepsad_model_unref(model);
    for (size_t i = 0; i < 3; i++) {
        struct deepsad_error error = {0};
        if (deepsad_model_load(&model, folder_path(path, state, ways[i]), &error) !=
            DEEPSAD_OK) {
            fail_msg("%s", error.message);
        }
        assert_near(deepsad_model_alpha(model), 0.05, 1e-12);
        deepsad_model_unref(model);
    }
}

static void the_policy_file_decides_alpha_and_is_never_overwritten(void **state)
{
    char path[FOLDER_PATH], policy[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_model *model = small_model();
    folder_path(path, state, "shop");
    folder_path(policy, state, "shop/model.yaml");
    assert_int_equal(file_make_directories(path, NULL), DEEPSAD_OK);
    assert_int_equal(file_replace(policy, "alpha: 0.2\n", 11, NULL), DEEPSAD_OK);
    assert_int_equal(deepsad_model_save_version(model, path, NULL, NULL), DEEPSAD_OK);
    deepsad_model_unref(model);
    assert_int_equal(deepsad_model_load(&model, path, NULL), DEEPSAD_OK);
    assert_near(deepsad_model_alpha(model), 0.2, 1e-12);
    deepsad_model_unref(model);
    assert_int_equal(file_replace(policy, "alfa: 0.2\n", 10, NULL), DEEPSAD_OK);
    assert_int_equal(deepsad_model_load(&model, path, &error), DEEPSAD_INVALID);
    assert_error_says(error, "model.yaml:1");
}

static void a_directory_without_versions_says_how_to_train_one(void **state)
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    assert_int_equal(deepsad_model_load(&model, *state, &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, "deepsad train");
}

static void a_bad_name_is_refused_before_anything_is_made(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_model *model = small_model();
    folder_path(path, state, "Shop");
    assert_int_equal(deepsad_model_save_version(model, path, NULL, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "no model name");
    assert_false(file_is_directory(path));
    deepsad_model_unref(model);
}

static void a_version_is_no_model_directory(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_model *model = small_model();
    folder_path(path, state, "shop");
    assert_int_equal(deepsad_model_save_version(model, path, NULL, NULL), DEEPSAD_OK);
    folder_path(path, state, "shop/1");
    assert_int_equal(deepsad_model_save_version(model, path, NULL, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "is a version of a model");
    deepsad_model_unref(model);
}

static void version_numbers_end_without_starting_again(void **state)
{
    char path[FOLDER_PATH], last[FOLDER_PATH], file[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct deepsad_model *model = small_model();
    folder_path(path, state, "shop");
    folder_path(last, state, "shop/4294967295");
    folder_path(file, state, "shop/4294967295/model.safetensors");
    assert_int_equal(file_make_directories(last, NULL), DEEPSAD_OK);
    assert_int_equal(deepsad_model_save(model, file, NULL), DEEPSAD_OK);
    assert_int_equal(deepsad_model_save_version(model, path, NULL, &error), DEEPSAD_IO);
    assert_error_says(error, "no free version number above 4294967295");
    deepsad_model_unref(model);
}

enum { WRITERS = 4, WRITES = 5 };

struct writer {
    const struct deepsad_model *model;
    const char *path;
    unsigned versions[WRITES];
    int status;
};

static void *write_versions(void *closure)
{
    struct writer *writer = closure;
    for (size_t i = 0; i < WRITES && writer->status == DEEPSAD_OK; i++) {
        writer->status = deepsad_model_save_version(writer->model, writer->path,
                                                    &writer->versions[i], NULL);
    }
    return NULL;
}

static void writers_at_the_same_time_get_numbers_of_their_own(void **state)
{
    char path[FOLDER_PATH];
    bool seen[WRITERS * WRITES + 1] = {false};
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct deepsad_model *model = small_model();
    folder_path(path, state, "shop");
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.model = model, .path = path};
        assert_int_equal(pthread_create(&threads[i], NULL, write_versions, &writers[i]),
                         0);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(writers[i].status, DEEPSAD_OK);
        for (size_t j = 0; j < WRITES; j++) {
            assert_in_range(writers[i].versions[j], 1, WRITERS * WRITES);
            assert_false(seen[writers[i].versions[j]]);
            seen[writers[i].versions[j]] = true;
        }
    }
    deepsad_model_unref(model);
}

static void save_one(void **state, bool challenger)
{
    char path[FOLDER_PATH];
    struct deepsad_model *model = small_model();
    assert_int_equal(
        version_save(model, folder_path(path, state, "shop"), challenger, NULL, NULL),
        DEEPSAD_OK);
    deepsad_model_unref(model);
}

/* The version whose file a path comes to. */
static unsigned located(void **state)
{
    char path[FOLDER_PATH];
    struct version_place place;
    struct deepsad_error error = {0};
    if (version_locate(&place, folder_path(path, state, "shop"), &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    unsigned number = (unsigned)strtoul(strstr(place.file, "shop/") + 5, NULL, 10);
    version_place_done(&place);
    return number;
}

static void a_directory_stands_for_its_live_version(void **state)
{
    char path[FOLDER_PATH];
    save_one(state, false);
    save_one(state, false);
    save_one(state, true);
    assert_int_equal(located(state), 2);
    struct live live = {.version = 1, .newest = 3, .hold = true};
    assert_int_equal(live_write(&live, folder_path(path, state, "shop"), NULL), 0);
    assert_int_equal(located(state), 1);
    save_one(state, false);
    assert_int_equal(located(state), 1);
    live.hold = false;
    assert_int_equal(live_write(&live, path, NULL), DEEPSAD_OK);
    assert_int_equal(located(state), 4);
}

static void challengers_alone_are_not_live(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    struct version_place place;
    save_one(state, true);
    folder_path(path, state, "shop");
    assert_true(live_is_challenger(path, 1));
    assert_int_equal(version_locate(&place, path, &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, "challengers");
}

static void make_old(const char *path, int64_t seconds)
{
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* 4194304 is the largest process number there is, and never given. */
static void what_killed_writers_left_is_removed(void **state)
{
    static const struct {
        const char *name;
        int64_t age;
        bool stays;
    } cases[] = {
        {"shop/.new.4194304-1", 120, false}, {"shop/.new.4194304-2", 2, true},
        {"shop/.new.1-3", 120, true},        {"shop/.new.1-4", 4000, false},
        {"shop/.new.other", 4000, true},     {"shop/notes.4194304-1", 4000, true}};
    char path[FOLDER_PATH], file[FOLDER_PATH + 32];
    for (size_t i = 0; i < 6; i++) {
        folder_path(path, state, cases[i].name);
        snprintf(file, sizeof file, "%s/%s", path, VERSION_FILE);
        assert_int_equal(file_make_directories(path, NULL), DEEPSAD_OK);
        assert_int_equal(file_replace(file, "half", 4, NULL), DEEPSAD_OK);
        make_old(path, cases[i].age);
    }
    save_one(state, false);
    for (size_t i = 0; i < 6; i++) {
        folder_path(path, state, cases[i].name);
        assert_true(file_is_directory(path) == cases[i].stays);
    }
}

static void a_removed_version_leaves_nothing_behind(void **state)
{
    char path[FOLDER_PATH];
    unsigned *list;
    size_t count;
    save_one(state, false);
    save_one(state, true);
    folder_path(path, state, "shop");
    assert_int_equal(version_remove(path, 2, NULL), DEEPSAD_OK);
    assert_int_equal(version_list(&list, &count, path, NULL), DEEPSAD_OK);
    assert_true(count == 1 && list[0] == 1);
    free(list);
    assert_int_equal(count_entries(path), 2); /* version 1 and model.yaml */
}

static void what_is_not_there_cannot_be_removed(void **state)
{
    char path[FOLDER_PATH];
    struct deepsad_error error = {0};
    save_one(state, false);
    folder_path(path, state, "shop");
    assert_int_equal(version_remove(path, 7, &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, "shop/7");
    assert_int_equal(count_entries(path), 2);
    folder_path(path, state, "none");
    assert_int_equal(version_remove(path, 1, &error), DEEPSAD_NOT_FOUND);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_name_is_lower_case_and_short),
        WITH_FOLDER(versions_count_from_one),
        WITH_FOLDER(nothing_but_versions_and_the_policy_is_left_behind),
        WITH_FOLDER(a_model_is_loaded_by_file_version_or_directory),
        WITH_FOLDER(the_policy_file_decides_alpha_and_is_never_overwritten),
        WITH_FOLDER(a_directory_without_versions_says_how_to_train_one),
        WITH_FOLDER(a_bad_name_is_refused_before_anything_is_made),
        WITH_FOLDER(a_version_is_no_model_directory),
        WITH_FOLDER(version_numbers_end_without_starting_again),
        WITH_FOLDER(a_directory_stands_for_its_live_version),
        WITH_FOLDER(challengers_alone_are_not_live),
        WITH_FOLDER(what_killed_writers_left_is_removed),
        WITH_FOLDER(a_removed_version_leaves_nothing_behind),
        WITH_FOLDER(what_is_not_there_cannot_be_removed),
        WITH_FOLDER(writers_at_the_same_time_get_numbers_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
