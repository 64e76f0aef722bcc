/* SPDX-License-Identifier: Apache-2.0 */
#include "data/stream.h"

#include "../files.h"
#include "nn/rng.h"

enum { SIZE = 300000 };

static void fill(char *bytes)
{
    struct rng rng; /* random, so that gzip leaves the size as it is */
    rng_init(&rng, 1, 0);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (char)rng_next(&rng);
    }
}

static void plain_and_gzip_files_give_the_same_bytes(void **state)
{
    char *expected = malloc(SIZE);
    char *bytes = malloc(SIZE + 1);
    assert_true(expected != NULL && bytes != NULL);
    fill(expected);
    const char *paths[] = {files_write(state, "plain", expected, SIZE),
                           files_write(state, "packed.gz", expected, SIZE)};
    for (size_t i = 0; i < 2; i++) {
        struct stream stream;
        size_t got = 0;
        assert_int_equal(stream_open(&stream, paths[i], NULL), DEEPSAD_OK);
        assert_int_equal(stream_read_exactly(&stream, bytes, 10, "it", NULL), DEEPSAD_OK);
        assert_int_equal(stream_read(&stream, bytes + 10, SIZE, &got, NULL), DEEPSAD_OK);
        assert_int_equal(got, SIZE - 10);
        assert_memory_equal(bytes, expected, SIZE);
        assert_int_equal(stream_expect_end(&stream, NULL), DEEPSAD_OK);
        stream_close(&stream);
    }
    free(expected);
    free(bytes);
}

/* A gzip file cut at `size`, or with its byte at `damaged` changed. */
static void assert_damage_is_found(void **state, const char *from, size_t cut,
                                   size_t damaged)
{
    char *bytes = malloc(SIZE + 1000);
    assert_non_null(bytes);
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, SIZE + 1000, file) - cut;
    fclose(file);
    bytes[damaged] ^= (char)(damaged > 0 ? 0x55 : 0);
    const char *path = files_write(state, "damaged", bytes, size);
    struct stream stream;
    struct deepsad_error error = {0};
    size_t got;
    assert_int_equal(stream_open(&stream, path, NULL), DEEPSAD_OK);
    assert_int_equal(stream_read(&stream, bytes, SIZE + 1000, &got, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "damaged: the gzip data are damaged or cut off");
    stream_close(&stream);
    free(bytes);
}

static void damaged_gzip_data_are_an_error(void **state)
{
    char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    fill(bytes);
    const char *path = files_write(state, "whole.gz", bytes, SIZE);
    assert_damage_is_found(state, path, 4, 0);
    assert_damage_is_found(state, path, SIZE / 2, 0);
    assert_damage_is_found(state, path, 0, 5000);
    free(bytes);
}

static void what_cannot_be_opened_is_told_apart(void **state)
{
    struct stream stream;
    struct deepsad_error error = {0};
    const char *path = files_path(state, "missing");
    assert_int_equal(stream_open(&stream, path, &error), DEEPSAD_NOT_FOUND);
    assert_error_says(error, "missing: cannot open");
    error = (struct deepsad_error){0};
    assert_int_equal(stream_open(&stream, "/tmp", &error), DEEPSAD_INVALID);
    assert_error_says(error, "/tmp: is a directory");
}

static void an_early_end_says_what_is_missing(void **state)
{
    (void)state;
    struct stream stream;
    struct deepsad_error error = {0};
    char bytes[8];
    stream_open_memory(&stream, "m", "abc", 3);
    assert_int_equal(stream_read_exactly(&stream, bytes, 8, "its header", &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "m: ends within its header: 3 of 8 bytes are there");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_gzip_files_give_the_same_bytes),
        cmocka_unit_test(damaged_gzip_data_are_an_error),
        cmocka_unit_test(what_cannot_be_opened_is_told_apart),
        cmocka_unit_test(an_early_end_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
