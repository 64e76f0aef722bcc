/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of data and of settings when memory runs out. */
#include "../allocations.h"

#include "base/json.h"
#include "base/setting_yaml.h"
#include "data/cifar.h"
#include "data/csv.h"
#include "data/dataset.h"
#include "data/idx.h"
#include "data/npy.h"
#include "data/stream.h"
#include "model/recipe.h"
#include "nn/architecture_parse.h"

struct source {
    int (*read)(struct deepsad_dataset *, struct stream *,
                const struct deepsad_read_options *, struct deepsad_error *);
    const void *bytes;
    size_t size;
};

static int read_memory(void *closure, struct deepsad_error *error)
{
    const struct source *source = closure;
    const char *const ignore[] = {"id", NULL};
    const struct deepsad_read_options options = {.label_map = "0=normal,1=anomalous",
                                                 .ignore = ignore};
    struct deepsad_dataset out = {0};
    struct stream stream;
    stream_open_memory(&stream, "f", source->bytes, source->size);
    int status = source->read(&out, &stream, &options, error);
    stream_close(&stream);
    assert_true(status == DEEPSAD_OK ? out.rows > 0 : out.x == NULL);
    deepsad_dataset_clear(&out);
    return status;
}

static void csv_files_end_in_an_error(void **state)
{
    static const char text[] = "id,\"a, \"\"quoted\"\"\",b,label\n"
                               "k1,1,2.5,0\nk2,,nan,1\nk3,\"3\",4e2,\n";
    struct source source = {csv_read, text, sizeof text - 1};
    (void)state;
    allocations_fail_each(read_memory, &source, 5, 2000);
}

static void npy_files_end_in_an_error(void **state)
{
    static char file[128 + 24] = "\x93NUMPY\x01\x00\x76\x00"
                                 "{'descr': '<f4', 'fortran_order': False, "
                                 "'shape': (2, 3), }";
    struct source source = {npy_read, file, sizeof file};
    (void)state;
    memset(file + strlen(file + 10) + 10, ' ', 117 - strlen(file + 10));
    file[127] = '\n';
    allocations_fail_each(read_memory, &source, 1, 2000);
}

static void idx_files_end_in_an_error(void **state)
{
    static const unsigned char file[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0,
                                         0, 2, 0, 0, 0, 1, 1, 2, 3, 4};
    struct source source = {idx_read, file, sizeof file};
    (void)state;
    allocations_fail_each(read_memory, &source, 1, 2000);
}

static void cifar_files_end_in_an_error(void **state)
{
    static const unsigned char file[2 * 3073] = {3};
    struct source source = {cifar_read, file, sizeof file};
    (void)state;
    allocations_fail_each(read_memory, &source, 1, 2000);
}

static int read_recipe(void *closure, struct deepsad_error *error)
{
    static const char text[] = "hidden: [32, 16]\nbatch_norm: on\nepochs: 3\n"
                               "network: [conv: 8, pool, rep: 4]\n";
    struct deepsad_recipe recipe = {0};
    (void)closure;
    int status = settings_init(&recipe, recipe_table, NULL, error);
    if (status == DEEPSAD_OK) {
        status = settings_load_yaml_text(&recipe, recipe_table, "f", text,
                                         sizeof text - 1, NULL, error);
    }
    settings_done(&recipe, recipe_table);
    return status;
}

static void recipes_end_in_an_error(void **state)
{
    (void)state;
    allocations_fail_each(read_recipe, NULL, 3, 2000);
}

/* *closure: how many letters stand before the escape, which ends where jansson's buffer
 * grows for some of them. */
static int read_json(void *closure, struct deepsad_error *error)
{
    const size_t *letters = closure;
    char text[128], expected[128];
    json_t *json = NULL;
    int length = snprintf(text, sizeof text, "[\"%.*s\\u00e9\", 1]", (int)*letters,
                          "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    snprintf(expected, sizeof expected, "%.*s\xc3\xa9", (int)*letters, text + 2);
    int status = json_parse(&json, text, (size_t)length, 0, "f", error);
    if (status == DEEPSAD_OK) {
        assert_string_equal(json_string_value(json_array_get(json, 0)), expected);
    }
    json_decref(json);
    return status;
}

static void no_text_loses_a_part(void **state)
{
    (void)state;
    for (size_t letters = 0; letters < 52; letters++) {
        allocations_fail_each(read_json, &letters, 5, 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_files_end_in_an_error),
        cmocka_unit_test(npy_files_end_in_an_error),
        cmocka_unit_test(idx_files_end_in_an_error),
        cmocka_unit_test(cifar_files_end_in_an_error),
        cmocka_unit_test(recipes_end_in_an_error),
        cmocka_unit_test(no_text_loses_a_part),
    };
    return cmocka_run_group_tests(tests, allocations_setup, NULL);
}
