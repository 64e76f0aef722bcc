/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_CHUNK = 65536, TEMPORARY_ATTEMPTS = 1000 };

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

/* PATH.PID-N: taken names are passed over, other processes' and what a killed one left.
 * Unlike mkstemp and mkdtemp this leaves the permissions to the umask, whose owner may
 * want models and scores to be private. */
static char *next_temporary(const char *path)
{
    static atomic_uint count;
    char *name;
    int length = asprintf(&name, "%s.%ld-%u", path, (long)getpid(),
                          atomic_fetch_add_explicit(&count, 1, memory_order_relaxed));
    return length < 0 ? NULL : name;
}

char *file_make_temporary_directory(const char *path)
{
    for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
        char *name = next_temporary(path);
        if (name == NULL || mkdir(name, 0777) == 0) {
            return name;
        }
        int number = errno;
        free(name);
        errno = number;
        if (number != EEXIST) {
            break;
        }
    }
    return NULL;
}

static int open_temporary(char **name, const char *path)
{
    for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
        *name = next_temporary(path);
        if (*name == NULL) {
            return -1;
        }
        int descriptor = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0) {
            return descriptor;
        }
        int number = errno;
        free(*name);
        errno = number;
        if (number != EEXIST) {
            break;
        }
    }
    return -1;
}

int file_writer_open(struct file_writer *out, const char *path,
                     struct deepsad_error *error)
{
    struct file_writer writer = {.path = path};
    writer.descriptor = open_temporary(&writer.temporary, path);
    if (writer.descriptor < 0) {
        return error_system(error, errno, "%s: cannot create a temporary file beside it",
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
    if (number == 0 && fsync(writer->descriptor) != 0) {
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
        if (mkdir(partial, 0777) != 0 && errno != EEXIST) {
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
