/* SPDX-License-Identifier: Apache-2.0 */
#include "../folder.h"
#include "../testing.h"

#include "base/file.h"
#include "model/live.h"

static const unsigned numbers[] = {5, 4, 3, 2, 1};

static void mark(void **state, unsigned number)
{
    char path[FOLDER_PATH], rest[64];
    snprintf(rest, sizeof rest, "%u", number);
    assert_int_equal(file_make_directories(folder_path(path, state, rest), NULL), 0);
    snprintf(rest, sizeof rest, "%u/%s", number, LIVE_CHALLENGER);
    assert_int_equal(file_replace(folder_path(path, state, rest), "", 0, NULL), 0);
}

static unsigned choose(void **state, struct live live)
{
    return live_choose(&live, *state, numbers, 5);
}

static void without_a_file_the_newest_is_live(void **state)
{
    struct live live = {.version = 9, .hold = true};
    assert_int_equal(live_read(&live, *state, NULL), DEEPSAD_OK);
    assert_int_equal(live.version, 0);
    assert_false(live.hold);
    assert_int_equal(choose(state, live), 5);
    assert_int_equal(live_choose(&live, *state, numbers, 0), 0);
}

static void challengers_are_passed_over(void **state)
{
    mark(state, 5);
    mark(state, 4);
    assert_int_equal(choose(state, (struct live){0}), 3);
    for (unsigned i = 1; i <= 3; i++) {
        mark(state, i);
    }
    assert_int_equal(choose(state, (struct live){0}), 0);
}

static void a_held_version_is_live_whatever_comes(void **state)
{
    struct live live = {.version = 2, .newest = 3, .hold = true};
    assert_int_equal(choose(state, live), 2);
    mark(state, 2); /* somebody activated a challenger */
    assert_int_equal(choose(state, live), 2);
}

static void a_released_version_stays_until_a_newer_one_comes(void **state)
{
    struct live live = {.version = 2, .newest = 5};
    assert_int_equal(choose(state, live), 2);
    live.newest = 4;
    assert_int_equal(choose(state, live), 5);
    mark(state, 5);
    assert_int_equal(choose(state, live), 2);
}

static void a_version_that_is_gone_falls_back_to_the_newest(void **state)
{
    struct live live = {.version = 7, .newest = 7, .hold = true};
    assert_int_equal(choose(state, live), 5);
}

static void what_is_written_is_read_back(void **state)
{
    struct live live = {.version = 4294967295U, .newest = 7, .hold = true}, read;
    assert_int_equal(live_write(&live, *state, NULL), DEEPSAD_OK);
    assert_int_equal(live_read(&read, *state, NULL), DEEPSAD_OK);
    assert_int_equal(read.version, live.version);
    assert_int_equal(read.newest, 7);
    assert_true(read.hold);
    live.hold = false;
    assert_int_equal(live_write(&live, *state, NULL), DEEPSAD_OK);
    assert_int_equal(live_read(&read, *state, NULL), DEEPSAD_OK);
    assert_false(read.hold);
}

static void each_fault_names_file_and_line(void **state)
{
    static const char *const texts[][2] = {
        {"version: -1\n", "live.yaml:1"},
        {"version: 4294967296\n", "live.yaml:1"},
        {"version: 1\nheld: true\n", "live.yaml:2"},
        {"hold: true\n", "version is missing"},
    };
    char path[FOLDER_PATH];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct live live = {.version = 3};
        struct deepsad_error error = {0};
        folder_path(path, state, LIVE_FILE);
        assert_int_equal(file_replace(path, texts[i][0], strlen(texts[i][0]), NULL), 0);
        assert_int_equal(live_read(&live, *state, &error), DEEPSAD_INVALID);
        assert_error_says(error, texts[i][1]);
        assert_int_equal(live.version, 3); /* untouched */
    }
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(without_a_file_the_newest_is_live),
        WITH_FOLDER(challengers_are_passed_over),
        WITH_FOLDER(a_held_version_is_live_whatever_comes),
        WITH_FOLDER(a_released_version_stays_until_a_newer_one_comes),
        WITH_FOLDER(a_version_that_is_gone_falls_back_to_the_newest),
        WITH_FOLDER(what_is_written_is_read_back),
        WITH_FOLDER(each_fault_names_file_and_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
