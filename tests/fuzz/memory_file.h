/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a file, for parsers that take a path. */
#ifndef TESTS_FUZZ_MEMORY_FILE_H
#define TESTS_FUZZ_MEMORY_FILE_H

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

enum { MEMORY_FILE_PATH = 32 };

/* The same file each time, now with these bytes; `path` names it. */
static inline void memory_file_set(char path[static MEMORY_FILE_PATH],
                                   const uint8_t *data, size_t size)
{
    static int descriptor = -1;
    if (descriptor < 0) {
        descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    }
    FUZZ_CHECK(ftruncate(descriptor, (off_t)size) == 0);
    FUZZ_CHECK(pwrite(descriptor, data, size, 0) == (ssize_t)size);
    snprintf(path, MEMORY_FILE_PATH, "/proc/self/fd/%d", descriptor);
}

#endif
