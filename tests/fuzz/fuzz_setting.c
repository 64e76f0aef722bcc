/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a recipe, or an error with its place; what is printed of one reads back. */
#include "fuzz.h"

#include <string.h>

#include "base/setting_yaml.h"
#include "model/recipe.h"

static void check_prints(const struct deepsad_recipe *recipe)
{
    struct deepsad_recipe again;
    FUZZ_CHECK(settings_init(&again, recipe_table, NULL, NULL) == DEEPSAD_OK);
    for (size_t i = 0; i < recipe_table.count; i++) {
        struct buffer out = {0}, twice = {0};
        setting_print(&out, recipe, recipe_table, i);
        buffer_append(&out, "", 1);
        const char *key = recipe_table.settings[i].key;
        FUZZ_CHECK(settings_set(&again, recipe_table, key, out.data, SETTING_FILE, NULL,
                                NULL) == DEEPSAD_OK);
        setting_print(&twice, &again, recipe_table, i);
        buffer_append(&twice, "", 1);
        FUZZ_CHECK(strcmp(out.data, twice.data) == 0);
        buffer_done(&out);
        buffer_done(&twice);
    }
    settings_done(&again, recipe_table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct deepsad_recipe recipe = {0};
    struct deepsad_error error = {0};
    FUZZ_CHECK(settings_init(&recipe, recipe_table, NULL, NULL) == DEEPSAD_OK);
    int status = settings_load_yaml_text(&recipe, recipe_table, "f", (const char *)data,
                                         size, NULL, &error);
    FUZZ_CHECK(status == DEEPSAD_OK || strncmp(error.message, "f:", 2) == 0);
    check_prints(&recipe);
    settings_done(&recipe, recipe_table);
    return 0;
}
