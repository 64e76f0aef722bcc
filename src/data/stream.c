/* SPDX-License-Identifier: Apache-2.0 */
#include "data/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { STREAM_BUFFER = 65536 };

int stream_open(struct stream *out, const char *path, struct deepsad_error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return error_system(error, errno, "%s: cannot open", path);
    }
    struct stat status;
    if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
        close(descriptor);
        return error_set(error, DEEPSAD_INVALID,
                         "%s: is a directory; name a file of data", path);
    }
    gzFile file = gzdopen(descriptor, "rb");
    if (file == NULL) {
        close(descriptor);
        return error_no_memory(error, path);
    }
    gzbuffer(file, STREAM_BUFFER);
    *out = (struct stream){.path = path, .file = file};
    return DEEPSAD_OK;
}

void stream_open_memory(struct stream *out, const char *path, const void *bytes,
                        size_t size)
{
    *out = (struct stream){.path = path, .memory = bytes, .left = size};
}

void stream_close(struct stream *stream)
{
    if (stream->file != NULL) {
        gzclose_r(stream->file);
    }
    *stream = (struct stream){0};
}

static int file_error(struct stream *stream, struct deepsad_error *error)
{
    int number = Z_OK;
    int from_system = errno;
    const char *message = gzerror(stream->file, &number);
    if (number == Z_ERRNO) {
        return error_system(error, from_system, "%s: cannot read", stream->path);
    }
    if (number == Z_MEM_ERROR) {
        return error_no_memory(error, stream->path);
    }
    const char *colon = strstr(message, ": "); /* zlib names the file by its number */
    message = colon == NULL ? message : colon + 2;
    return error_set(error, DEEPSAD_INVALID,
                     "%s: the gzip data are damaged or cut off (%s); make the file again",
                     stream->path, message);
}

static int read_file(struct stream *stream, char *bytes, size_t size, size_t *got,
                     struct deepsad_error *error)
{
    size_t done = 0;
    while (done < size) {
        size_t part = size - done < INT_MAX ? size - done : INT_MAX;
        int count = gzread(stream->file, bytes + done, (unsigned)part);
        if (count < 0) {
            return file_error(stream, error);
        }
        if (count == 0) {
            int number = Z_OK; /* a cut-off gzip stream ends with Z_BUF_ERROR */
            gzerror(stream->file, &number);
            if (number != Z_OK && number != Z_STREAM_END) {
                return file_error(stream, error);
            }
            break;
        }
        done += (size_t)count;
    }
    *got = done;
    return DEEPSAD_OK;
}

int stream_read(struct stream *stream, void *bytes, size_t size, size_t *got,
                struct deepsad_error *error)
{
    if (stream->file != NULL) {
        return read_file(stream, bytes, size, got, error);
    }
    size_t part = size < stream->left ? size : stream->left;
    if (part > 0) {
        memcpy(bytes, stream->memory, part);
        stream->memory += part;
        stream->left -= part;
    }
    *got = part;
    return DEEPSAD_OK;
}

int stream_read_exactly(struct stream *stream, void *bytes, size_t size, const char *what,
                        struct deepsad_error *error)
{
    size_t got = 0;
    int status = stream_read(stream, bytes, size, &got, error);
    if (status == DEEPSAD_OK && got < size) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: ends within %s: %zu of %zu bytes are there; is the file "
                         "complete?",
                         stream->path, what, got, size);
    }
    return status;
}

int stream_expect_end(struct stream *stream, struct deepsad_error *error)
{
    char byte;
    size_t got = 0;
    int status = stream_read(stream, &byte, 1, &got, error);
    if (status == DEEPSAD_OK && got > 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: bytes follow behind the data that its header announces; is "
                         "the file intact?",
                         stream->path);
    }
    return status;
}
