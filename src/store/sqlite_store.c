/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_store.h"

#include <stdlib.h>
#include <string.h>

int sqlite_check_name(const char *name, size_t max, const char *what,
                      struct deepsad_error *error)
{
    if (name == NULL || *name == '\0') {
        return error_set(error, DEEPSAD_INVALID, "%s is missing", what);
    }
    if (strnlen(name, max + 1) > max) {
        return error_set(error, DEEPSAD_INVALID, "%s is longer than %zu characters", what,
                         max);
    }
    return DEEPSAD_OK;
}

bool sqlite_grow(void **array, size_t count, size_t size)
{
    enum { FIRST = 16 };
    bool full = count == 0 || (count >= FIRST && (count & (count - 1)) == 0);
    if (!full) {
        return true;
    }
    size_t room = count == 0 ? FIRST : 2 * count;
    size = size > 0 ? size : 1;
    void *grown = size <= SIZE_MAX / room ? realloc(*array, room * size) : NULL;
    if (grown != NULL) {
        *array = grown;
    }
    return grown != NULL;
}
