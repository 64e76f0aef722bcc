/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "../folder.h"
#include "../sample_data.h"
#include "../testing.h"

#include "base/file.h"
#include "learn/publish.h"
#include "model/live.h"

static char name[] = "shop";

static struct publish_place place_in(void **state)
{
    struct publish_place place;
    const struct catalog_entry entry = {.name = name};
    assert_int_equal(publish_place_init(&place, *state, &entry, NULL), DEEPSAD_OK);
    return place;
}

static struct deepsad_model *small_model(void)
{
    struct deepsad_dataset data = sample_data(60, 0, 0, 2);
    struct deepsad_recipe *recipe = sample_recipe("default");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    return model;
}

static void a_version_is_written_and_read_afresh(void **state)
{
    unsigned number = 0;
    struct publish_place place = place_in(state);
    struct deepsad_model *model = small_model(), *again = NULL;
    assert_int_equal(file_make_directories(place.directory, NULL), DEEPSAD_OK);
    assert_int_equal(publish_version(&number, &place, model, true, NULL), DEEPSAD_OK);
    assert_int_equal(number, 1);
    assert_true(live_is_challenger(place.directory, 1));
    assert_int_equal(publish_read(&again, &place, 1, NULL), DEEPSAD_OK);
    assert_int_equal(deepsad_model_features(again), 2);
    deepsad_model_unref(again);
    deepsad_model_unref(model);
    publish_place_done(&place);
}

static void a_model_that_was_removed_is_not_made_again(void **state)
{
    unsigned number = 0;
    struct deepsad_error error = {0};
    struct publish_place place = place_in(state);
    struct deepsad_model *model = small_model(), *again = NULL;
    assert_int_equal(publish_version(&number, &place, model, false, &error),
                     DEEPSAD_NOT_FOUND);
    assert_error_says(error, "shop is gone");
    assert_false(file_is_directory(place.directory));
    assert_int_not_equal(publish_read(&again, &place, 1, &error), DEEPSAD_OK);
    deepsad_model_unref(model);
    publish_place_done(&place);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_version_is_written_and_read_afresh),
        WITH_FOLDER(a_model_that_was_removed_is_not_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
