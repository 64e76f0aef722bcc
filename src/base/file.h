/* SPDX-License-Identifier: Apache-2.0 */
/* Files are read whole with a limit, and replaced by one helper that never leaves half.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buffer.h"
#include "base/error.h"

/* The whole file appended to `out`; DEEPSAD_INVALID when it is longer than `limit` bytes.
 */
int file_read(struct buffer *out, const char *path, size_t limit,
              struct deepsad_error *error);

/* Replaces `path` piece by piece: a temporary file in the same directory, at the end
 * fsync, rename, fsync of the directory. Until then the old file stands. */
struct file_writer {
    const char *path; /* borrowed */
    char *temporary;
    int descriptor;
    int number; /* errno of the first write that failed: the rest then does nothing */
};

int file_writer_open(struct file_writer *out, const char *path,
                     struct deepsad_error *error);
void file_writer_write(struct file_writer *writer, const void *bytes, size_t size);
/* Ends the writer, one way or the other; after a failure no temporary file is left. */
int file_writer_commit(struct file_writer *writer, struct deepsad_error *error);
void file_writer_discard(struct file_writer *writer);

/* The same for bytes that are all there. */
int file_replace(const char *path, const void *bytes, size_t size,
                 struct deepsad_error *error);

/* A new directory PATH.<something>, with the permissions that the umask leaves; free()
 * its name. NULL and errno when it cannot be made. */
char *file_make_temporary_directory(const char *path);

/* mkdir -p */
int file_make_directories(const char *path, struct deepsad_error *error);

bool file_is_directory(const char *path);

#endif
