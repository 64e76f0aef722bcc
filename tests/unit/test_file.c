/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "../files.h"

static size_t files_in_folder(void **state)
{
    size_t count = 0;
    DIR *folder = opendir(((struct files *)*state)->folder);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

static void assert_holds(const char *path, const char *text)
{
    struct buffer buffer = {0};
    assert_int_equal(file_read(&buffer, path, 1000, NULL), DEEPSAD_OK);
    assert_int_equal(buffer.length, strlen(text));
    assert_memory_equal(buffer.data, text, strlen(text));
    buffer_done(&buffer);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
    const char *path = files_path(state, "whole");
    assert_int_equal(file_replace(path, "one", 3, NULL), DEEPSAD_OK);
    assert_int_equal(file_replace(path, "three", 5, NULL), DEEPSAD_OK);
    assert_holds(path, "three");
    assert_int_equal(files_in_folder(state), 1);
    unlink(path);
}

static void the_old_file_stands_until_the_commit(void **state)
{
    const char *path = files_write(state, "pieces", "old", 3);
    struct file_writer writer;
    assert_int_equal(file_writer_open(&writer, path, NULL), DEEPSAD_OK);
    file_writer_write(&writer, "ne", 2);
    assert_holds(path, "old");
    file_writer_write(&writer, "w", 1);
    assert_int_equal(file_writer_commit(&writer, NULL), DEEPSAD_OK);
    assert_holds(path, "new");
    unlink(path);
}

static void a_discarded_file_leaves_nothing(void **state)
{
    const char *path = files_write(state, "kept", "old", 3);
    struct file_writer writer;
    assert_int_equal(file_writer_open(&writer, path, NULL), DEEPSAD_OK);
    file_writer_write(&writer, "new", 3);
    file_writer_discard(&writer);
    assert_holds(path, "old");
    assert_int_equal(files_in_folder(state), 1);
    unlink(path);
}

static void a_failed_commit_leaves_nothing(void **state)
{
    const char *path = files_path(state, "folder");
    struct deepsad_error error = {0};
    assert_int_equal(mkdir(path, 0755), 0); /* a file cannot replace it */
    assert_int_equal(file_replace(path, "x", 1, &error), DEEPSAD_IO);
    assert_error_says(error, "folder: cannot write");
    assert_int_equal(files_in_folder(state), 1);
    assert_int_equal(rmdir(path), 0);
}

static void a_failed_write_is_told_by_the_commit(void **state)
{
    const char *path = files_write(state, "full", "old", 3);
    struct file_writer writer;
    struct deepsad_error error = {0};
    assert_int_equal(file_writer_open(&writer, path, NULL), DEEPSAD_OK);
    close(writer.descriptor);
    writer.descriptor = open("/dev/full", O_WRONLY);
    file_writer_write(&writer, "new", 3);
    assert_int_equal(file_writer_commit(&writer, &error), DEEPSAD_IO);
    assert_error_says(error, "full: cannot write: No space left on device");
    assert_holds(path, "old");
    assert_int_equal(files_in_folder(state), 1);
    unlink(path);
}

static void a_file_longer_than_the_limit_is_refused(void **state)
{
    const char *path = files_write(state, "long", "0123456789", 10);
    struct buffer buffer = {0};
    struct deepsad_error error = {0};
    assert_int_equal(file_read(&buffer, path, 10, NULL), DEEPSAD_OK);
    assert_int_equal(file_read(&buffer, path, 9, &error), DEEPSAD_INVALID);
    assert_error_says(error, "longer than the limit of 9 bytes");
    buffer_done(&buffer);
    unlink(path);
}

static void the_umask_decides_who_may_read(void **state)
{
    const char *path = files_path(state, "private");
    struct stat status;
    mode_t before = umask(077);
    assert_int_equal(file_replace(path, "x", 1, NULL), DEEPSAD_OK);
    char *folder = file_make_temporary_directory(path);
    umask(before);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_non_null(folder);
    assert_int_equal(stat(folder, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    rmdir(folder);
    free(folder);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_as_a_whole),
        cmocka_unit_test(the_old_file_stands_until_the_commit),
        cmocka_unit_test(a_discarded_file_leaves_nothing),
        cmocka_unit_test(the_umask_decides_who_may_read),
        cmocka_unit_test(a_failed_commit_leaves_nothing),
        cmocka_unit_test(a_failed_write_is_told_by_the_commit),
        cmocka_unit_test(a_file_longer_than_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
