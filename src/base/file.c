/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_CHUNK = 65536 };

static int read_descriptor(struct buffer *out, int descriptor, const char *path,
                           size_t limit, struct deepsad_error *error)
{
    size_t start = out->length;
    for (;;) {
        char *room = buffer_reserve(out, FILE_CHUNK);
        if (room == NULL) {
            return error_no_memory(error, path);
        }
        ssize_t size = read(descriptor, room, FILE_CHUNK);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            return error_system(error, errno, "%s: cannot read", path);
        }
        if (size == 0) {
            return DEEPSAD_OK;
        }
        out->length += (size_t)size;
        if (out->length - start > limit) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s: longer than the limit of %zu bytes", path, limit);
        }
    }
}

int file_read(struct buffer *out, const char *path, size_t limit,
              struct deepsad_error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return error_system(error, errno, "%s: cannot open", path);
    }
    int status = read_descriptor(out, descriptor, path, limit, error);
    close(descriptor);
    return status;
}

static int write_all(int descriptor, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(descriptor, bytes, size);
        if (done < 0 && errno != EINTR) {
            return errno;
        }
        if (done > 0) {
            bytes += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

static int sync_parent(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return errno;
    }
    int number = fsync(directory) == 0 ? 0 : errno;
    close(directory);
    return number;
}

int file_writer_open(struct file_writer *out, const char *path,
                     struct deepsad_error *error)
{
    struct file_writer writer = {.path = path};
    int length = asprintf(&writer.temporary, "%s.XXXXXX", path);
    if (length < 0) {
        return error_no_memory(error, path);
    }
    writer.descriptor = mkostemp(writer.temporary, O_CLOEXEC);
    if (writer.descriptor < 0) {
        int number = errno;
        free(writer.temporary);
        return error_system(error, number, "%s: cannot create a temporary file beside it",
                            path);
    }
    *out = writer;
    return DEEPSAD_OK;
}

void file_writer_write(struct file_writer *writer, const void *bytes, size_t size)
{
    if (writer->number == 0) {
        writer->number = write_all(writer->descriptor, bytes, size);
    }
}

int file_writer_commit(struct file_writer *writer, struct deepsad_error *error)
{
    int number = writer->number;
    if (number == 0 &&
        (fchmod(writer->descriptor, 0644) != 0 || fsync(writer->descriptor) != 0)) {
        number = errno;
    }
    if (number == 0 && rename(writer->temporary, writer->path) != 0) {
        number = errno;
    }
    if (number != 0) {
        int status = error_system(error, number, "%s: cannot write", writer->path);
        file_writer_discard(writer);
        return status;
    }
    close(writer->descriptor); /* all is synced: nothing is left that could fail */
    free(writer->temporary);
    number = sync_parent(writer->path);
    return number == 0 ? DEEPSAD_OK
                       : error_system(error, number, "%s: cannot sync its directory",
                                      writer->path);
}

void file_writer_discard(struct file_writer *writer)
{
    close(writer->descriptor);
    unlink(writer->temporary);
    free(writer->temporary);
}

int file_replace(const char *path, const void *bytes, size_t size,
                 struct deepsad_error *error)
{
    struct file_writer writer;
    int status = file_writer_open(&writer, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    file_writer_write(&writer, bytes, size);
    return file_writer_commit(&writer, error);
}

int file_make_directories(const char *path, struct deepsad_error *error)
{
    char partial[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof partial) {
        return error_set(error, DEEPSAD_INVALID, "%s: path too long", path);
    }
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0755) != 0 && errno != EEXIST) {
            return error_system(error, errno, "%s: cannot create the directory", partial);
        }
    }
    if (!file_is_directory(path)) {
        return error_set(error, DEEPSAD_IO, "%s: exists and is not a directory", path);
    }
    return DEEPSAD_OK;
}

bool file_is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}
