/* SPDX-License-Identifier: Apache-2.0 */
#include "data/cifar.h"

#include "../testing.h"

enum { RECORD = 3073, COUNT = 3 };

/* Records of classes 4, 9, 4: pixel p of record i is (i + p) mod 256. */
static unsigned char RECORDS[COUNT * RECORD + 1];

static int fill(void **state)
{
    (void)state;
    static const unsigned char classes[COUNT] = {4, 9, 4};
    for (size_t i = 0; i < COUNT; i++) {
        RECORDS[i * RECORD] = classes[i];
        for (size_t p = 0; p + 1 < RECORD; p++) {
            RECORDS[i * RECORD + 1 + p] = (unsigned char)(i + p);
        }
    }
    return 0;
}

static int read_records(struct deepsad_dataset *out, size_t size,
                        const struct deepsad_read_options *options,
                        struct deepsad_error *error)
{
    struct stream stream;
    stream_open_memory(&stream, "t.bin", RECORDS, size);
    return cifar_read(out, &stream, options, error);
}

static void records_become_images(void **state)
{
    (void)state;
    struct deepsad_dataset data = {0};
    const struct deepsad_read_options options = {0};
    assert_int_equal(read_records(&data, COUNT * RECORD, &options, NULL), DEEPSAD_OK);
    assert_int_equal(data.rows, COUNT);
    assert_int_equal(data.features, 3072);
    assert_true(data.channels == 3 && data.height == 32 && data.width == 32);
    assert_true(data.x[0] == 0 && data.x[255] == 1 && data.x[256] == 0);
    assert_true(data.x[2 * 3072 + 3071] == 1 / 255.0f);
    assert_int_equal(data.labels[1], 0);
    deepsad_dataset_clear(&data);
}

static void classes_become_labels(void **state)
{
    (void)state;
    struct deepsad_dataset data = {0};
    struct deepsad_read_options options = {.normal_class = "4"};
    assert_int_equal(read_records(&data, COUNT * RECORD, &options, NULL), DEEPSAD_OK);
    assert_memory_equal(data.labels, ((signed char[]){1, -1, 1}), COUNT);
    deepsad_dataset_clear(&data);
    options.anomaly_classes = (const char *const[]){"9", NULL};
    assert_int_equal(read_records(&data, COUNT * RECORD, &options, NULL), DEEPSAD_OK);
    assert_memory_equal(data.labels, ((signed char[]){1, -1, 1}), COUNT);
    deepsad_dataset_clear(&data);
    options.normal_class = "9";
    options.anomaly_classes = (const char *const[]){"0", NULL};
    struct deepsad_error error = {0};
    assert_int_equal(read_records(&data, COUNT * RECORD, &options, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "no row is of the anomaly class 0");
}

static void assert_refused(size_t size, const char *normal, const char *message)
{
    struct deepsad_dataset data = {.rows = 77};
    struct deepsad_error error = {0};
    const struct deepsad_read_options options = {.normal_class = normal};
    assert_int_equal(read_records(&data, size, &options, &error), DEEPSAD_INVALID);
    assert_error_says(error, message);
    assert_int_equal(data.rows, 77);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    assert_refused(0, NULL, "t.bin: no image is in it");
    assert_refused(COUNT * RECORD - 1, NULL, "record 3 has 3072 of 3073 bytes");
    assert_refused(COUNT * RECORD + 1, NULL, "record 4 has 1 of 3073 bytes");
    assert_refused(COUNT * RECORD, "5", "no row is of the normal class 5");
    RECORDS[RECORD] = 10;
    assert_refused(COUNT * RECORD, NULL, "record 2 is of class 10");
    RECORDS[RECORD] = 9;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_become_images),
        cmocka_unit_test(classes_become_labels),
        cmocka_unit_test(damaged_files_are_refused),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
