/* SPDX-License-Identifier: Apache-2.0 */
/* What the operations of the store share: the writer and the readers. */
#ifndef STORE_SQLITE_STORE_H
#define STORE_SQLITE_STORE_H

#include "store/sqlite_readers.h"
#include "store/sqlite_writer.h"
#include "store/store.h"

struct sqlite_store {
    struct store base; /* the first member */
    struct sqlite_writer *writer;
    struct sqlite_readers *readers;
};

static inline struct sqlite_store *sqlite_store_of(struct store *store)
{
    return (struct sqlite_store *)store;
}

/* DEEPSAD_INVALID where a name is missing or longer than `max`: "<what> ...". */
int sqlite_check_name(const char *name, size_t max, const char *what,
                      struct deepsad_error *error);

/* Room for one more of `count` things of `size` bytes in *array, which grows by doubling;
 * false when out of memory. Start with *array NULL and count 0; nothing is cleared. */
bool sqlite_grow(void **array, size_t count, size_t size);

#endif
