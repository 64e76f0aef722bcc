/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dataset.h"

#include "../files.h"

static void assert_refused(const char *path, const struct deepsad_read_options *options,
                           enum deepsad_status status, const char *message)
{
    struct deepsad_dataset data = {.rows = 77};
    struct deepsad_error error = {0};
    assert_int_equal(deepsad_dataset_read(&data, path, options, &error), status);
    assert_error_says(error, message);
    assert_int_equal(data.rows, 77);
}

static void the_extension_chooses_the_reader(void **state)
{
    struct deepsad_dataset data = {0};
    const char *names[] = {"a.csv", "a.csv.gz"};
    for (size_t i = 0; i < 2; i++) {
        const char *path = files_write(state, names[i], "a,b\n1,2\n", 8);
        assert_int_equal(deepsad_dataset_read(&data, path, NULL, NULL), DEEPSAD_OK);
        assert_int_equal(data.features, 2);
        deepsad_dataset_clear(&data);
    }
    const char *others[] = {"a.npy", "t10k-images-idx3-ubyte", "a.idx3-ubyte.gz",
                            "a.bin"};
    const char *messages[] = {"not a .npy file", "not an IDX file", "not an IDX file",
                              "record 1 has 8 of 3073"};
    for (size_t i = 0; i < 4; i++) {
        const char *path = files_write(state, others[i], "a,b\n1,2\n", 8);
        assert_refused(path, NULL, DEEPSAD_INVALID, messages[i]);
    }
}

static void other_names_are_refused(void **state)
{
    (void)state;
    assert_refused("a.parquet", NULL, DEEPSAD_INVALID,
                   "a.parquet: no format of data has this name; read are .csv, .npy");
    assert_refused("a.png", NULL, DEEPSAD_INVALID, "numpy.save them as one array");
    assert_refused("csv", NULL, DEEPSAD_INVALID, "no format of data has this name");
    assert_refused("", NULL, DEEPSAD_INVALID, "no format of data has this name");
    assert_refused("/nowhere/a.csv", NULL, DEEPSAD_NOT_FOUND,
                   "/nowhere/a.csv: cannot open: No such file");
}

static void options_without_a_meaning_are_refused(void **state)
{
    (void)state;
    struct deepsad_read_options options = {.normal_class = "1"};
    assert_refused("a.csv", &options, DEEPSAD_INVALID,
                   "a normal class is given, which has no meaning for a file of CSV");
    assert_refused("a.npy", &options, DEEPSAD_INVALID, "a normal class");
    options = (struct deepsad_read_options){.labels = "b"};
    assert_refused("a.csv.gz", &options, DEEPSAD_INVALID, "a file of labels is given");
    assert_refused("a.bin", &options, DEEPSAD_INVALID, "a file of labels is given");
    options = (struct deepsad_read_options){.label_column = "b"};
    assert_refused("a.npy", &options, DEEPSAD_INVALID, "a label column is given");
    options = (struct deepsad_read_options){.label_map = "0=normal"};
    assert_refused("aidx3-ubyte", &options, DEEPSAD_INVALID, "a label map is given");
    const char *some[] = {"b", NULL};
    options = (struct deepsad_read_options){.ignore = some};
    assert_refused("a.bin.gz", &options, DEEPSAD_INVALID, "columns to ignore is given");
}

static struct deepsad_dataset three_rows(void)
{
    struct deepsad_dataset data = {.channels = 1, .height = 1, .width = 2};
    assert_int_equal(dataset_allocate(&data, 3, 2, "test", NULL), DEEPSAD_OK);
    for (size_t i = 0; i < 6; i++) {
        data.x[i] = (float)i;
    }
    data.labels[0] = 1;
    data.labels[1] = -1;
    return data;
}

static void a_selection_is_a_copy_in_its_own_order(void **state)
{
    (void)state;
    struct deepsad_dataset data = three_rows();
    struct deepsad_dataset part = {0};
    data.names = calloc(2, sizeof *data.names);
    data.names[0] = strdup("a");
    data.names[1] = strdup("b");
    const size_t rows[] = {2, 0};
    assert_int_equal(dataset_select(&part, &data, rows, 2, NULL), DEEPSAD_OK);
    deepsad_dataset_clear(&data);
    assert_int_equal(part.rows, 2);
    assert_memory_equal(part.x, ((float[]){4, 5, 0, 1}), 4 * sizeof(float));
    assert_memory_equal(part.labels, ((signed char[]){0, 1}), 2);
    assert_string_equal(part.names[1], "b");
    assert_int_equal(part.width, 2);
    deepsad_dataset_clear(&part);
}

static void what_is_written_is_plain_csv(void **state)
{
    struct deepsad_dataset data = three_rows();
    data.x[3] = NAN;
    data.x[4] = -0.25f;
    const char *path = files_path(state, "out.csv");
    assert_int_equal(deepsad_dataset_write_csv(&data, path, NULL), DEEPSAD_OK);
    char text[200] = "";
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "x0,x1,label\n0,1,normal\n2,,anomalous\n-0.25,5,\n");
    deepsad_dataset_clear(&data);
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct deepsad_dataset data = three_rows();
    struct deepsad_error error = {0};
    assert_int_equal(deepsad_dataset_write_csv(&data, "/nowhere/a.csv", &error),
                     DEEPSAD_NOT_FOUND);
    assert_error_says(error, "/nowhere/a.csv");
    deepsad_dataset_clear(&data);
}

static void a_feature_named_label_is_not_written_twice(void **state)
{
    struct deepsad_dataset data = {0};
    struct deepsad_error error = {0};
    const struct deepsad_read_options options = {.label_column = "y"};
    const char *path = files_write(state, "two.csv", "label,y\n1,normal\n", 17);
    assert_int_equal(deepsad_dataset_read(&data, path, &options, NULL), DEEPSAD_OK);
    assert_int_equal(deepsad_dataset_write_csv(&data, path, &error), DEEPSAD_INVALID);
    assert_error_says(error, "a feature is named `label`");
    deepsad_dataset_clear(&data);
}

static void sizes_that_overflow_are_an_error(void **state)
{
    (void)state;
    struct deepsad_dataset data = {0};
    assert_int_equal(dataset_allocate(&data, SIZE_MAX / 4, 5, "test", NULL),
                     DEEPSAD_NO_MEMORY);
    assert_null(data.x);
}

static void clearing_takes_null_and_twice(void **state)
{
    (void)state;
    struct deepsad_dataset data = three_rows();
    deepsad_dataset_clear(&data);
    deepsad_dataset_clear(&data);
    deepsad_dataset_clear(NULL);
    assert_int_equal(data.rows, 0);
    assert_null(data.x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_extension_chooses_the_reader),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(options_without_a_meaning_are_refused),
        cmocka_unit_test(a_selection_is_a_copy_in_its_own_order),
        cmocka_unit_test(what_is_written_is_plain_csv),
        cmocka_unit_test(a_file_that_cannot_be_written_is_an_error),
        cmocka_unit_test(a_feature_named_label_is_not_written_twice),
        cmocka_unit_test(sizes_that_overflow_are_an_error),
        cmocka_unit_test(clearing_takes_null_and_twice),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
