/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of files that a test makes, and that goes when it is done. */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "testing.h"

enum { FILES_MAX = 16, FILES_PATH = 128 };

struct files {
    char folder[FILES_PATH];
    char paths[FILES_MAX][FILES_PATH];
    size_t count;
};

static inline int files_setup(void **state)
{
    struct files *files = calloc(1, sizeof *files);
    if (files == NULL) {
        return -1;
    }
    snprintf(files->folder, sizeof files->folder, "/tmp/deepsad-test-XXXXXX");
    *state = files;
    return mkdtemp(files->folder) != NULL ? 0 : -1;
}

static inline int files_teardown(void **state)
{
    struct files *files = *state;
    for (size_t i = 0; i < files->count; i++) {
        unlink(files->paths[i]);
    }
    int status = rmdir(files->folder); /* fails where a file is left that no test made */
    free(files);
    return status;
}

/* A path in the folder. The file, if one comes to be, is removed at the end. */
static inline const char *files_path(void **state, const char *name)
{
    struct files *files = *state;
    assert_true(files->count < FILES_MAX);
    char path[FILES_PATH];
    snprintf(path, sizeof path, "%.64s/%.60s", files->folder, name);
    return strcpy(files->paths[files->count++], path);
}

/* gzip where the name ends with .gz */
static inline const char *files_write(void **state, const char *name, const void *bytes,
                                      size_t size)
{
    const char *path = files_path(state, name);
    bool zip = strstr(name, ".gz") != NULL;
    gzFile file = gzopen(path, zip ? "wb" : "wbT");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
    return path;
}

#endif
