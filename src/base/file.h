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

/* Replaces `path` by `size` bytes: temporary file in the same directory, fsync, rename,
 * fsync of the directory. On failure the old file stands and no temporary is left. */
int file_replace(const char *path, const void *bytes, size_t size,
                 struct deepsad_error *error);

/* mkdir -p */
int file_make_directories(const char *path, struct deepsad_error *error);

bool file_is_directory(const char *path);

#endif
