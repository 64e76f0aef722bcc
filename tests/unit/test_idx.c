/* SPDX-License-Identifier: Apache-2.0 */
#include "data/idx.h"

#include "../files.h"

/* Five images of 2 x 3: every pixel of image i is 10 i, but the last is 255. */
enum { COUNT = 5, HEIGHT = 2, WIDTH = 3, SIZE = HEIGHT * WIDTH };
static const unsigned char CLASSES[COUNT] = {3, 7, 3, 1, 7};

struct bytes {
    unsigned char data[64];
    size_t size;
};

static void put_number(struct bytes *out, unsigned number)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        out->data[out->size++] = (unsigned char)(number >> shift);
    }
}

static struct bytes images(void)
{
    struct bytes out = {.size = 0};
    put_number(&out, 0x803);
    put_number(&out, COUNT);
    put_number(&out, HEIGHT);
    put_number(&out, WIDTH);
    for (size_t i = 0; i < COUNT * SIZE; i++) {
        out.data[out.size++] =
            (unsigned char)(i % SIZE == SIZE - 1 ? 255 : 10 * (i / SIZE));
    }
    return out;
}

static struct bytes classes(void)
{
    struct bytes out = {.size = 0};
    put_number(&out, 0x801);
    put_number(&out, COUNT);
    memcpy(out.data + out.size, CLASSES, COUNT);
    out.size += COUNT;
    return out;
}

static int read_pair(void **state, struct deepsad_dataset *out, struct bytes x,
                     struct bytes y, const struct deepsad_read_options *options,
                     struct deepsad_error *error)
{
    const char *path = files_write(state, "x-idx3-ubyte", x.data, x.size);
    struct deepsad_read_options with = *options;
    if (y.size > 0) {
        with.labels = files_write(state, "y-idx1-ubyte", y.data, y.size);
    }
    int status = deepsad_dataset_read(out, path, &with, error);
    ((struct files *)*state)->count = 0; /* the names are used again */
    unlink(path);
    if (with.labels != NULL) {
        unlink(with.labels);
    }
    return status;
}

static void pixels_are_scaled_and_rows_unlabeled(void **state)
{
    struct deepsad_dataset data = {0};
    struct deepsad_read_options options = {0};
    assert_int_equal(
        read_pair(state, &data, images(), (struct bytes){.size = 0}, &options, NULL),
        DEEPSAD_OK);
    assert_int_equal(data.rows, COUNT);
    assert_int_equal(data.features, SIZE);
    assert_int_equal(data.channels, 1);
    assert_int_equal(data.height, HEIGHT);
    assert_int_equal(data.width, WIDTH);
    assert_true(data.x[SIZE - 1] == 1 && data.x[SIZE] == 10 / 255.0f);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(data.labels[i], 0);
    }
    deepsad_dataset_clear(&data);
}

static void all_other_classes_are_anomalous(void **state)
{
    struct deepsad_dataset data = {0};
    struct deepsad_read_options options = {.normal_class = "3"};
    assert_int_equal(read_pair(state, &data, images(), classes(), &options, NULL),
                     DEEPSAD_OK);
    assert_int_equal(data.rows, COUNT);
    assert_memory_equal(data.labels, ((signed char[]){1, -1, 1, -1, -1}), COUNT);
    deepsad_dataset_clear(&data);
}

static void rows_of_classes_not_named_are_left_out(void **state)
{
    struct deepsad_dataset data = {0};
    const char *anomalies[] = {"1", NULL};
    struct deepsad_read_options options = {.normal_class = "3",
                                           .anomaly_classes = anomalies};
    assert_int_equal(read_pair(state, &data, images(), classes(), &options, NULL),
                     DEEPSAD_OK);
    assert_int_equal(data.rows, 3);
    assert_memory_equal(data.labels, ((signed char[]){1, 1, -1}), 3);
    assert_true(data.x[SIZE] == 20 / 255.0f && data.x[2 * SIZE] == 30 / 255.0f);
    deepsad_dataset_clear(&data);
}

static void gzip_files_are_read_alike(void **state)
{
    struct bytes x = images();
    struct bytes y = classes();
    struct deepsad_dataset data = {0};
    struct deepsad_read_options options = {.normal_class = "7"};
    const char *path = files_write(state, "a-idx3-ubyte.gz", x.data, x.size);
    options.labels = files_write(state, "a-idx1-ubyte.gz", y.data, y.size);
    assert_int_equal(deepsad_dataset_read(&data, path, &options, NULL), DEEPSAD_OK);
    assert_memory_equal(data.labels, ((signed char[]){-1, 1, -1, -1, 1}), COUNT);
    deepsad_dataset_clear(&data);
    unlink(path);
    unlink(options.labels);
    ((struct files *)*state)->count = 0;
}

static void assert_refused(void **state, struct bytes x, struct bytes y,
                           struct deepsad_read_options options, const char *message)
{
    struct deepsad_dataset data = {.rows = 77};
    struct deepsad_error error = {0};
    assert_int_equal(read_pair(state, &data, x, y, &options, &error), DEEPSAD_INVALID);
    assert_error_says(error, message);
    assert_int_equal(data.rows, 77);
}

static void damaged_images_are_refused(void **state)
{
    const struct bytes none = {.size = 0};
    const struct deepsad_read_options options = {0};
    struct bytes x = images();
    for (size_t size = 0; size < 16; size++) {
        x.size = size;
        assert_refused(state, x, none, options, "ends within its header");
    }
    x.size = images().size - 1;
    assert_refused(state, x, none, options, "ends within an image: 5 of 6 bytes");
    x.size += 2;
    assert_refused(state, x, none, options, "bytes follow behind the data");
    x = images();
    x.data[3] = 1;
    assert_refused(state, x, none, options, "not an IDX file of images of bytes");
    x = images();
    x.data[11] = 0;
    assert_refused(state, x, none, options, "images of 0 x 3 pixels");
    memset(x.data + 4, 0xff, 12); /* 2^96 bytes announced */
    assert_refused(state, x, none, options, "images of 4294967295 x 4294967295 pixels");
    x = images();
    memset(x.data + 4, 0xff, 4);
    assert_refused(state, x, none, options, "ends within an image");
    memset(x.data + 4, 0, 4);
    x.size = 16;
    assert_refused(state, x, none, options, "no image is in it");
}

static void damaged_classes_are_refused(void **state)
{
    const struct deepsad_read_options options = {.normal_class = "3"};
    struct bytes y = classes();
    y.size--;
    assert_refused(state, images(), y, options, "ends within the classes");
    y.size += 2;
    assert_refused(state, images(), y, options, "bytes follow behind the data");
    y = classes();
    y.data[7]--;
    assert_refused(state, images(), y, options, "4 classes for the 5 images of");
    assert_refused(state, images(), images(), options,
                   "not an IDX file of classes but of");
    assert_refused(state, classes(), classes(), options, "but of classes");
}

static void class_options_are_checked(void **state)
{
    const struct bytes none = {.size = 0};
    struct deepsad_read_options options = {.normal_class = "3"};
    assert_refused(state, images(), none, options, "needs the file of classes");
    options.normal_class = NULL;
    assert_refused(state, images(), classes(), options, "name it (--normal-class K)");
    options.normal_class = "2";
    assert_refused(state, images(), classes(), options,
                   "no row is of the normal class 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_scaled_and_rows_unlabeled),
        cmocka_unit_test(all_other_classes_are_anomalous),
        cmocka_unit_test(rows_of_classes_not_named_are_left_out),
        cmocka_unit_test(gzip_files_are_read_alike),
        cmocka_unit_test(damaged_images_are_refused),
        cmocka_unit_test(damaged_classes_are_refused),
        cmocka_unit_test(class_options_are_checked),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
