/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for a test that makes folders in it; it goes with all it holds. *state is its
 * path. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLDER_PATH = 256 };

static inline int folder_setup(void **state)
{
    char *path = strdup("/tmp/deepsad-test-XXXXXX");
    *state = path;
    return path != NULL && mkdtemp(path) != NULL ? 0 : -1;
}

static inline int folder_remove_one(const char *path, const struct stat *status, int type,
                                    struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static inline int folder_teardown(void **state)
{
    int status = nftw(*state, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return status;
}

/* The folder's path, a slash, and the rest. */
static inline const char *folder_path(char out[static FOLDER_PATH], void **state,
                                      const char *rest)
{
    snprintf(out, FOLDER_PATH, "%s/%s", (const char *)*state, rest);
    return out;
}

#endif
