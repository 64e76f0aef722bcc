/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a file in order, gzip or plain (told apart by content, not by name), or of a
 * block of memory. */
#ifndef DATA_STREAM_H
#define DATA_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct stream {
    const char *path; /* for messages; borrowed */
    void *file;       /* gzFile; NULL for memory */
    const char *memory;
    size_t left; /* of memory */
};

int stream_open(struct stream *out, const char *path, struct deepsad_error *error);

/* `bytes` and `path` are borrowed until stream_close. */
void stream_open_memory(struct stream *out, const char *path, const void *bytes,
                        size_t size);
void stream_close(struct stream *stream);

/* Up to `size` bytes; *got < size only at the end. Damaged or truncated gzip data is an
 * error. */
int stream_read(struct stream *stream, void *bytes, size_t size, size_t *got,
                struct deepsad_error *error);

/* Exactly `size` bytes of `what`, or an error that says the file ends too early. */
int stream_read_exactly(struct stream *stream, void *bytes, size_t size, const char *what,
                        struct deepsad_error *error);

/* DEEPSAD_INVALID where bytes follow. */
int stream_expect_end(struct stream *stream, struct deepsad_error *error);

#endif
